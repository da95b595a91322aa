//! Cloakroom as tower middleware: [`SessionLayer`] for any service that speaks `http`, and, behind
//! the feature `axum`, the extractor [`Session`] and [`SessionError`] as a response.
//!
//! A request that never asks for its session costs nothing, sets no cookie and makes no key. Before
//! the response head leaves:
//!
//! 1. Writes that wait are stored, unless the handler answered 5xx. If they can't be, the response
//!    is replaced: 503 with `Retry-After`, 409, or 422 (see [`SessionLayer::on_failed_writes`]).
//! 2. `Set-Cookie` is added if the token changed, whatever the status: 304, 101 and 503 included. It is
//!    the only line of its name then: one that the application wrote gives way.
//! 3. A response of a handler that asked the session anything gets `Cache-Control: no-store` and
//!    `Vary: Cookie`, to `HEAD` and with 304 as well: no cache may keep it.
//!
//! Around it belongs [`CrossSiteLayer`], which refuses what another site made a browser send.
//!
//! Bodies may stream, and connections be upgraded: a clone of the session goes on working after the
//! head, for awaited operations. A request that is cancelled, or whose handler panics, leaves no
//! session behind that nobody was told of.
#![cfg_attr(
    feature = "axum",
    doc = r#"
```
use axum::{Router, response::Html, routing::get};
use cloakroom::{Field, Manager, MemoryStore, Settings};
use cloakroom_tower::{Session, SessionError, SessionLayer};

const VISITS: Field<u64> = Field::new("visits");

async fn index(session: Session) -> Result<Html<String>, SessionError> {
    let Some((user, visits)) = session.if_logged_in().increment(VISITS, 1).await? else {
        return Ok(Html("You are not logged in".into()));
    };
    Ok(Html(format!("{user}: {visits}")))
}

let manager = Manager::new(MemoryStore::new(), Settings::default());
let app: Router = Router::new().route("/", get(index)).layer(SessionLayer::new(manager));
```
"#
)]

mod session;
mod head;
mod hints;
mod clients;
mod cross_site;
mod future;
mod layer;
#[cfg(feature = "axum")]
mod axum;

#[cfg(feature = "axum")]
pub use axum::MissingLayer;
pub use clients::Clients;
pub use cross_site::{CrossSiteLayer, CrossSiteService, InvalidOrigin};
pub use future::SessionFuture;
pub use head::refusal;
pub use layer::{SessionLayer, SessionService};
pub use session::{Main, Session, SessionError};
