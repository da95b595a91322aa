//! The server: connections in, graceful end. Axum's own has no limits to set, so it is hyper's.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
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
        let Some((stream, peer)) = usable(accepted).await else { continue };
        let app = TowerToHyperService::new(app.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            app.call(request)
        });
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

async fn usable(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<(TcpStream, SocketAddr)> {
    match accepted {
        Ok((stream, peer)) => {
            // Answers are small and leave at once.
            let _ = stream.set_nodelay(true);
            Some((stream, peer))
        }
        Err(error) => {
            tracing::warn!(event = "accept_failed", %error, "a connection could not be taken");
            // No event says when there is room again.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Notify, oneshot};

    /// The server and its address, and a page that says when it was asked for and never comes.
    async fn listening() -> (TcpListener, SocketAddr, Router, Arc<Notify>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Notify::new());
        let never = {
            let asked = asked.clone();
            || async move {
                asked.notify_one();
                pending::<&str>().await
            }
        };
        (listener, address, Router::new().route("/never", axum::routing::get(never)), asked)
    }

    // The clock jumps as soon as everybody waits, so these take no time.
    // Proves R70.
    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_is_not_waited_for() {
        let (listener, address, app, _) = listening().await;
        tokio::spawn(serve(listener, app, pending(), Duration::ZERO));
        for begun in ["", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let end = timeout(2 * HEAD_WITHIN, stream.read_to_end(&mut answer)).await;
            assert!(end.is_ok(), "{begun:?} is still waited for");
            assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
        }
    }

    // Proves R70.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_ends_is_cut_off() {
        let (listener, address, app, asked) = listening().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let stop_when_told = async { drop(stopped.await) };
        let served = tokio::spawn(serve(listener, app, stop_when_told, Duration::from_secs(10)));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        asked.notified().await;
        drop(stop);
        assert!(served.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn without_requests_it_ends_at_once() {
        let (listener, address, app, _) = listening().await;
        assert!(serve(listener, app, ready(()), Duration::from_secs(3600)).await.is_ok());
        assert!(TcpStream::connect(address).await.is_err());
    }
}
