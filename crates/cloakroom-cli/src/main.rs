//! The command line of Cloakroom. `cloakroom serve` runs a small web service with sessions, to try
//! the library and to copy from.

mod args;
mod telemetry;
mod store;
mod language;
mod texts;
mod assets;
mod kept;
mod frame;
mod logins;
mod doctor;
mod pages;
mod devices;
mod failure;
mod guard;
mod health;
mod app;
mod serve;
mod prometheus;
mod carry;
mod upkeep;
mod sessions;

use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use cloakroom::Manager;
use tokio::net::TcpListener;

use crate::args::{Command, Serve};
use crate::health::Readiness;
use crate::kept::Keeping;
use crate::logins::Logins;
use crate::prometheus::Numbers;
use crate::sessions::Found;
use crate::store::Problem;

/// How long requests under way may take to end once the process has been asked to.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// The exit code of `cloakroom sessions` when there is nothing of what was asked for.
const NOTHING_FOUND: u8 = 3;
/// What should not be there is, so that a watch over a server needs no eyes.
const SOMETHING_AMISS: u8 = 4;

fn main() -> ExitCode {
    match args::parse() {
        Command::Serve(serve) => {
            telemetry::start(&serve);
            in_a_runtime(run(serve))
        }
        Command::Store(command) => {
            telemetry::start_quietly();
            in_a_runtime(async {
                match upkeep::run(command).await {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(Problem::Wrong(problem)) => args::refuse(problem),
                    Err(Problem::Failed(problem)) => fail(problem),
                }
            })
        }
        Command::Sessions(command) => {
            telemetry::start_quietly();
            in_a_runtime(async {
                match sessions::run(command).await {
                    Ok(Found::Something) => ExitCode::SUCCESS,
                    Ok(Found::Nothing) => ExitCode::from(NOTHING_FOUND),
                    Ok(Found::Amiss) => ExitCode::from(SOMETHING_AMISS),
                    Err(Problem::Wrong(problem)) => args::refuse(problem),
                    Err(Problem::Failed(problem)) => fail(problem),
                }
            })
        }
        Command::Doctor(doctor) => doctor::examine(&doctor),
        Command::Completions { shell } => print(&args::completions(shell)),
        Command::Man => match args::man() {
            Ok(page) => print(&page),
            Err(error) => fail(format_args!("the page can't be written: {error}")),
        },
    }
}

fn in_a_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => fail(format_args!("no runtime could be started: {error}")),
    }
}

async fn run(serve: Serve) -> ExitCode {
    // Before whatever is to be counted.
    let numbers = match serve.metrics.map(|at| Numbers::take().map(|numbers| (numbers, at))) {
        None => None,
        Some(Ok(taken)) => Some(taken),
        Some(Err(problem)) => return fail(problem),
    };
    let (manager, place) = match store::manager(&serve) {
        Ok(manager) => manager,
        Err(Problem::Wrong(problem)) => args::refuse(problem),
        Err(Problem::Failed(problem)) => return fail(problem),
    };
    let logins = match Logins::as_told_by(&serve.logins) {
        Ok(logins) => logins,
        Err(problem) => args::refuse(problem),
    };
    let stop = match serve::asked_to_stop() {
        Ok(stop) => stop,
        Err(error) => return fail(format_args!("signals can't be listened for: {error}")),
    };
    let (listener, address) = match listen(&serve).await {
        Ok(listening) => listening,
        Err(problem) => return fail(problem),
    };
    let metrics = match numbers {
        None => None,
        Some((numbers, at)) => match numbers.show(at).await {
            Ok(at) => Some(at),
            Err(problem) => return fail(problem),
        },
    };
    let readiness = Readiness::of(manager.clone());
    tokio::spawn(say_if_away(manager.clone()));
    let keeping = Keeping::as_told_by(&serve, &manager);
    let app = app::app(manager, readiness.clone(), keeping, logins);
    if !address.ip().is_loopback() {
        tracing::warn!(
            event = "plain_http",
            "other machines can connect, over plain http: put a proxy with TLS in front; without, \
             their browsers refuse the cookie, or strangers can read it"
        );
    }

    // For the person who started it, whatever the log is set to.
    let _ = writeln!(std::io::stdout(), "Sessions are kept {place}");
    let _ = writeln!(std::io::stdout(), "Listening on http://{address} (Ctrl-C ends it)");
    if let Some(at) = metrics {
        let _ = writeln!(std::io::stdout(), "Metrics at http://{at}/metrics");
    }
    let stop = async {
        stop.await;
        readiness.no_longer();
        tracing::info!(event = "stopping", "asked to stop: no more connections are taken");
    };
    if serve::serve(listener, app, stop, DRAIN_WITHIN).await.is_err() {
        tracing::warn!(
            event = "cut_off",
            "requests that took longer than {DRAIN_WITHIN:?} to end were cut off"
        );
    }
    ExitCode::SUCCESS
}

/// The service starts without its store, and joins when it comes; whoever started it should know.
async fn say_if_away(manager: Manager) {
    if let Err(error) = manager.check().await {
        tracing::warn!(
            event = "store_away",
            %error,
            "the session store does not answer yet: pages that need a session are answered 503 \
             until it does"
        );
    }
}

async fn listen(serve: &Serve) -> Result<(TcpListener, std::net::SocketAddr), String> {
    let Serve { host, port, .. } = serve;
    // Brackets around an IPv6 address are for URLs.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let bound = match TcpListener::bind((name, *port)).await {
        Ok(listener) => listener.local_addr().map(|address| (listener, address)),
        Err(error) => Err(error),
    };
    bound.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "port {port} of {host} is in use: end what listens there, or take another port with \
             `--port {}` (`--port 0` takes any that is free)",
            port.checked_add(1).unwrap_or(5000)
        ),
        std::io::ErrorKind::PermissionDenied => format!(
            "port {port} of {host} may not be used by this user: take one above 1023, for example \
             `--port 5000`"
        ),
        std::io::ErrorKind::AddrNotAvailable => {
            format!("{host} is no address of this machine: try `--host 127.0.0.1`")
        }
        _ => format!("can't listen on port {port} of {host}: {error}; try `--host 127.0.0.1`"),
    })
}

/// Whoever closed the pipe doesn't want to read it.
fn print(text: &[u8]) -> ExitCode {
    let _ = std::io::stdout().write_all(text);
    ExitCode::SUCCESS
}

fn fail(problem: impl Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {problem}");
    ExitCode::FAILURE
}
