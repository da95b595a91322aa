//! The server: connections in, graceful end. Axum's own has no limits to set, so it is hyper's.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// The request line and all headers; more is answered 431.
const HEAD_BYTES: usize = 16 * 1024;
const HEADER_LINES: usize = 64;
/// How long a head may take to arrive, and a kept connection may be silent.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be taken, as when there are too many open files.
const BREATHER: Duration = Duration::from_millis(100);

/// Requests were still under way.
pub(crate) struct CutOff;

/// Takes connections until `stop`, then lets the requests under way end, for so long at most.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()>,
    drain_within: Duration,
) -> Result<(), CutOff> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADER_LINES);
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Some(stream) = usable(accepted).await else { continue };
        let service = TowerToHyperService::new(app.clone());
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A visitor who went away, or never spoke HTTP.
                tracing::debug!(event = "connection_broke", %error);
            }
        });
    }
    drop(listener);
    timeout(drain_within, connections.shutdown()).await.map_err(|_| CutOff)
}

async fn usable(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<TcpStream> {
    match accepted {
        Ok((stream, _)) => {
            // Answers are small and leave at once.
            let _ = stream.set_nodelay(true);
            Some(stream)
        }
        Err(error) => {
            tracing::warn!(event = "accept_failed", %error, "a connection could not be taken");
            sleep(BREATHER).await;
            None
        }
    }
}

/// Listens for SIGTERM and Ctrl-C from now on; the future ends with the first of them.
pub(crate) fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        let mut interrupt = tokio::signal::windows::ctrl_c()?;
        Ok(async move {
            interrupt.recv().await;
        })
    }
}
