//! The least HTTP client that keeps a connection open: so that little of what is measured is its own.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(4096) }
    }

    /// Sends a request and waits for the whole answer, which must be a 200 and say its length. Returns its body.
    pub async fn call(&mut self, request: &str) -> Vec<u8> {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        loop {
            if let Some(head) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head_text = std::str::from_utf8(&self.buffer[..head]).unwrap().to_ascii_lowercase();
                assert!(head_text.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer));
                let length = head_text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
                let end = head + 4 + length.trim().parse::<usize>().unwrap();
                if self.buffer.len() >= end {
                    let body = self.buffer[head + 4..end].to_vec();
                    self.buffer.drain(..end);
                    return body;
                }
            }
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the server closed the connection");
        }
    }

    /// Sends a request and gives the connection back for reading an answer that does not end.
    pub async fn stream(mut self, request: &str) -> TcpStream {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.stream
    }
}
