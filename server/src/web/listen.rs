//! The listening socket: HTTP/1.1, with TLS HTTP/2 too, and an end that waits for answers but not for ever.

use std::{fmt::Display, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
};
use tokio_util::sync::CancellationToken;

use super::door::Door;

/// Certificate chain and private key, read and found to belong together.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ServerConfig>);

/// A request's head has to arrive within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;
/// Answers under way may take this long after the end was asked for.
const GRACE: Duration = Duration::from_secs(3);

/// Serves until `stopping` is cancelled and what is under way has ended, or its grace is over.
pub async fn serve(
    listener: std::net::TcpListener,
    tls: Option<Tls>,
    max_connections: usize,
    router: Router,
    stopping: CancellationToken,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let handle = Handle::<SocketAddr>::new();
    tokio::spawn({
        let handle = handle.clone();
        async move {
            stopping.cancelled().await;
            handle.graceful_shutdown(Some(GRACE));
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        None => {
            limit(axum_server::from_tcp(listener)?)
                .map(|acceptor| Door::new(acceptor, max_connections))
                .handle(handle)
                .serve(service)
                .await
        }
        Some(tls) => {
            let config = RustlsConfig::from_config(tls.0);
            limit(axum_server::from_tcp_rustls(listener, config)?)
                .map(|acceptor| Door::new(acceptor, max_connections))
                .handle(handle)
                .serve(service)
                .await
        }
    }
}

fn limit<A>(mut server: axum_server::Server<SocketAddr, A>) -> axum_server::Server<SocketAddr, A> {
    let builder = server.http_builder();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_MAX).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    server
}

impl Tls {
    /// Reads two PEM files; the error says which of them is to blame.
    pub fn read(certificate: &Path, key: &Path) -> io::Result<Self> {
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| unusable("certificate", certificate, &reason(&error)))?;
        if chain.is_empty() {
            return Err(unusable("certificate", certificate, &reason(&pem::Error::NoItemsFound)));
        }
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("private key", key, &reason(&error)))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| unusable("certificate with its key", certificate, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn unusable(what: &str, path: &Path, why: &dyn Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the {what} {}: {why}", path.display()))
}

fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is none in this file, in PEM form".to_owned(),
        other => other.to_string(),
    }
}
