use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use cloakroom::{CookieSettings, Manager, MemoryStore, Settings, User};
use cloakroom_tower::{Session, SessionError, SessionLayer};
use tower::ServiceExt;

use crate::house::{NOTE, VISITS, set_cookies};

enum Admin {}

/// One store, two cookies, each with a session of its own.
// Proves R42, R57, CVE-2022-46170.
#[tokio::test]
async fn layers_with_different_cookies_keep_different_sessions() {
    let store = MemoryStore::new();
    let main = Manager::new(store.clone(), Settings::default());
    let cookie = CookieSettings::named("admin").unwrap();
    let admin = Manager::new(store, Settings { cookie, ..Settings::default() });
    let app = Router::new()
        .route(
            "/",
            get(async |main: Session, admin: Session<Admin>| {
                main.set(NOTE, "main")?;
                let _ = admin.log_in(User::new("root")?).await?;
                let seen = (main.get(NOTE).await?, admin.get(NOTE).await?);
                Ok::<_, SessionError>(format!("{seen:?}"))
            }),
        )
        .layer(SessionLayer::<_, Admin>::marked(admin.clone()))
        .layer(SessionLayer::new(main.clone()));
    let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
    let lines = set_cookies(response.headers());
    assert_eq!(lines.len(), 2, "{lines:?}");
    let pair = |name: &str| {
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        line.split(';').next().unwrap().to_owned()
    };
    let both = format!("{}; {}", pair("__Host-session="), pair("__Host-admin="));
    let seen = main.open([both.as_bytes()]).session();
    assert_eq!(seen.user().await.unwrap(), None);
    assert_eq!(seen.get(NOTE).await.unwrap().as_deref(), Some("main"));
    let seen = admin.open([both.as_bytes()]).session();
    assert_eq!(seen.user().await.unwrap().unwrap().as_str(), "root");

    // A token shown under the other name names nothing.
    let swapped = pair("__Host-admin=").replace("__Host-admin", "__Host-session");
    let stranger = main.open([swapped.as_bytes()]).session();
    assert_eq!(stranger.user().await.unwrap(), None);
}

async fn counting(request: Request, next: Next) -> Result<Response, SessionError> {
    if let Some(session) = Session::<cloakroom_tower::Main>::of(request.extensions()) {
        session.increment(VISITS, 1).await?;
    }
    Ok(next.run(request).await)
}

#[tokio::test]
async fn middleware_of_the_application_has_the_same_session_as_the_handler() {
    let manager = Manager::new(MemoryStore::new(), Settings::default());
    let app = Router::new()
        .route(
            "/",
            get(async |session: Session| {
                let visits = session.increment(VISITS, 1).await?;
                Ok::<_, SessionError>(visits.to_string())
            }),
        )
        .layer(from_fn(counting))
        .layer(SessionLayer::new(manager));
    let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(set_cookies(response.headers()).len(), 1);
    assert_eq!(crate::house::text(response).await, "2");
}
