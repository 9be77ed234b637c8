//! The listening socket: HTTP/1.1, with TLS HTTP/2 too, and an end that waits for answers but not for ever.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustls::{ServerConfig, crypto::ring};
use tokio_util::sync::CancellationToken;

use super::door::Door;

/// Certificate chain and private key, PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

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
            let config = RustlsConfig::from_config(Arc::new(tls_config(&tls)?));
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

fn tls_config(tls: &Tls) -> io::Result<ServerConfig> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

    let unusable = |path: &PathBuf, error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(&tls.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| unusable(&tls.key, &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&tls.certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
