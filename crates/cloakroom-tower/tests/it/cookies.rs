use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use cloakroom::User;
use cloakroom::store::Verb;
use cloakroom::testing::Visitor;
use cloakroom_tower::{Session, SessionError};
use http::StatusCode;

use crate::house::{House, NOTE, header, set_cookies};

fn routes() -> Router {
    Router::new()
        .route(
            "/login",
            get(|session: Session| async move {
                let _ = session.log_in(User::new("alice")?).await?;
                Ok::<_, SessionError>("in")
            }),
        )
        .route(
            "/login-then-fail",
            get(|session: Session| async move {
                let _ = session.log_in(User::new("alice")?).await?;
                session.set(NOTE, "lost")?;
                Ok::<_, SessionError>(StatusCode::INTERNAL_SERVER_ERROR)
            }),
        )
        .route(
            "/logout",
            get(|session: Session| async move {
                session.log_out().await?;
                Ok::<_, SessionError>("out")
            }),
        )
        .route(
            "/rotate",
            get(|session: Session| async move {
                session.rotate().await?;
                Ok::<_, SessionError>(([("vary", "accept, cookie")], "rotated").into_response())
            }),
        )
        .route(
            "/upgrade",
            get(|session: Session| async move {
                session.set(NOTE, "upgraded")?;
                Ok::<_, SessionError>(StatusCode::SWITCHING_PROTOCOLS)
            }),
        )
        .route(
            "/who",
            get(|session: Session| async move {
                let user = session.user().await?;
                Ok::<_, SessionError>(user.map_or("nobody".into(), |user| user.to_string()))
            }),
        )
}

// Proves R11.
#[tokio::test]
async fn a_cookie_is_set_when_the_token_changes_and_only_then() {
    let house = House::of(routes());
    let mut alice = Visitor::new(&house.manager);
    let mut tokens = Vec::new();
    for (path, verb) in
        [("/login", Verb::Create), ("/login", Verb::Rotate), ("/rotate", Verb::Rotate)]
    {
        let response = house.get(&mut alice, path).await;
        let lines = set_cookies(response.headers());
        assert_eq!(lines.len(), 1, "{path}");
        let (pair, attributes) = lines[0].split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
        assert!(response.headers()["set-cookie"].is_sensitive());
        assert_eq!(response.headers().get_all("vary").iter().count(), 1);
        tokens.push(pair.to_owned());
        assert_eq!(house.store.calls().last(), Some(&verb), "{path}");
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 3);
    assert!(set_cookies(house.get(&mut alice, "/who").await.headers()).is_empty());
}

// Proves R31, CVE-2026-34454.
#[tokio::test]
async fn a_logout_removes_the_cookie_and_a_second_one_does_not() {
    let house = House::of(routes());
    let mut alice = house.logged_in().await;
    let mut late = alice.clone();
    let response = house.get(&mut alice, "/logout").await;
    let lines = set_cookies(response.headers());
    assert!(
        lines[0].starts_with("__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
    );
    assert_eq!(alice.cookie(), None);
    let response = house.get(&mut late, "/logout").await;
    assert_eq!((response.status(), set_cookies(response.headers())), (StatusCode::OK, vec![]));
    let nobody = house.get(&mut Visitor::new(&house.manager), "/logout").await;
    assert!(set_cookies(nobody.headers()).is_empty());
}

#[tokio::test]
async fn an_acknowledged_login_goes_out_even_with_an_error_of_the_handler() {
    let house = House::of(routes());
    let mut alice = Visitor::new(&house.manager);
    let response = house.get(&mut alice, "/login-then-fail").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(house.store.calls(), [Verb::Create], "what waited is dropped");
    assert!(alice.cookie().is_some());
    assert_eq!(crate::house::text(house.get(&mut alice, "/who").await).await, "alice");
}

#[tokio::test]
async fn an_upgrade_stores_what_waits_and_hands_out_the_cookie() {
    let house = House::of(routes());
    let mut stranger = Visitor::new(&house.manager);
    let response = house.get(&mut stranger, "/upgrade").await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(house.store.calls(), [Verb::Create]);
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    assert!(stranger.cookie().is_some());
}
