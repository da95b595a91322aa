//! The numbers for Prometheus, on a port of their own: what an operator reads is no visitor's
//! business, and a flood of visitors must not keep an operator from reading it.
//!
//! No user, no session and no token is in them; the library knows none of these as a label.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::serve;

/// In seconds: a trip on the same machine takes a tenth of a millisecond, and a request waits for
/// 250 ms at most.
const BUCKETS: [f64; 13] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// What was measured is put into its buckets so often, whether anybody reads it or not: until then it
/// takes memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Numbers that are taken from now on.
pub(crate) struct Numbers(PrometheusHandle);

impl Numbers {
    /// Begins to take them, for everything that is made later in this process.
    pub(crate) fn take() -> Result<Self, String> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)
            .and_then(PrometheusBuilder::install_recorder);
        let why = |error: BuildError| format!("no metrics can be taken: {error}");
        recorder.map(Self).map_err(why)
    }

    /// Shows them at this address, until the process ends. Returns where that is.
    pub(crate) async fn show(self, at: SocketAddr) -> Result<SocketAddr, String> {
        let why = |error| {
            format!("metrics can't be shown at {at}: {error}; take another address with --metrics")
        };
        let listener = TcpListener::bind(at).await.map_err(why)?;
        let address = listener.local_addr().map_err(why)?;
        let handle = self.0.clone();
        tokio::spawn(async move {
            let mut due = tokio::time::interval(UPKEEP_EVERY);
            loop {
                due.tick().await;
                handle.run_upkeep();
            }
        });
        tokio::spawn(serve::serve(listener, page(self.0), pending(), Duration::ZERO));
        Ok(address)
    }
}

fn page(numbers: PrometheusHandle) -> Router {
    let headers =
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Router::new().route("/metrics", get(|| async move { (headers, numbers.render()) }))
}
