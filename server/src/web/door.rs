//! The door: so many connections and no more, and none that says nothing.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum_server::accept::Accept;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};

/// Whoever connects has to say this much, in this time. No request is shorter but for a few that need no answer, and
/// HTTP/2 opens with as many bytes; from there on the server's own time-outs hold.
const FIRST_BYTES: usize = 24;
const FIRST_BYTES_WITHIN: Duration = Duration::from_secs(10);
/// How often it is logged that there is no room.
const SAY_FULL_EVERY: Duration = Duration::from_secs(10);

/// An acceptor in front of another.
#[derive(Clone)]
pub struct Door<A> {
    behind: A,
    places: Arc<Semaphore>,
    patience: Duration,
    full_said: Arc<Mutex<Option<Instant>>>,
}

impl<A> Door<A> {
    /// Lets in `most` at a time.
    pub fn new(behind: A, most: usize) -> Self {
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { behind, places, patience: FIRST_BYTES_WITHIN, full_said: Arc::default() }
    }

    fn enter(&self) -> io::Result<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().map_err(|_| {
            let mut said = self.full_said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.is_none_or(|said| said.elapsed() >= SAY_FULL_EVERY) {
                *said = Some(Instant::now());
                tracing::warn!("a connection was refused: as many as --max-connections are open");
            }
            io::ErrorKind::QuotaExceeded.into()
        })
    }
}

impl<A, I, S> Accept<I, S> for Door<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
{
    type Stream = Guest<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let (place, patience) = (self.enter(), self.patience);
        let behind = self.behind.accept(stream, service);
        Box::pin(async move {
            let place = place?;
            let (stream, service) = behind.await?;
            let patience = Some((FIRST_BYTES, Box::pin(sleep(patience))));
            Ok((Guest { stream, patience, _place: place }, service))
        })
    }
}

/// A connection that was let in.
pub struct Guest<S> {
    stream: S,
    /// How many bytes it still has to say, and until when; `None` once it has.
    patience: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
}

impl<S: AsyncRead + Unpin> AsyncRead for Guest<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some((missing, until)) = &mut self.patience else { return read };
        if read.is_pending() {
            ready!(until.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        *missing = missing.saturating_sub(buffer.filled().len() - before);
        if *missing == 0 {
            self.patience = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guest<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum_server::accept::DefaultAcceptor;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn whoever_says_nothing_is_shown_out_and_whoever_speaks_may_then_be_silent() {
        let door = Door { patience: Duration::from_millis(20), ..Door::new(DefaultAcceptor, 2) };
        let (mut silent, (mut heard, ())) = visit(&door).await;
        silent.write_all(b"PRI").await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(heard.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(heard.read(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (mut speaker, (mut heard, ())) = visit(&door).await;
        speaker.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
        assert_eq!(heard.read(&mut buffer).await.unwrap(), 33);
        let later = tokio::time::timeout(Duration::from_millis(100), heard.read(&mut buffer)).await;
        assert!(later.is_err(), "still open: {later:?}");
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_and_again_when_one_has_left() {
        let door = Door::new(DefaultAcceptor, 1);
        let first = visit(&door).await;
        assert_eq!(door.accept(duplex(8).1, ()).await.err().unwrap().kind(), io::ErrorKind::QuotaExceeded);
        drop(first);
        visit(&door).await;
    }

    type Visit = (tokio::io::DuplexStream, (Guest<tokio::io::DuplexStream>, ()));

    async fn visit(door: &Door<DefaultAcceptor>) -> Visit {
        let (outside, inside) = duplex(64);
        (outside, door.accept(inside, ()).await.unwrap())
    }
}
