use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use cloakroom::store::Verb;
use cloakroom::testing::Visitor;
use cloakroom_tower::{Session, SessionError};
use http::{Method, StatusCode};

use crate::house::{House, NOTE, VISITS, header, set_cookies, text};

fn routes() -> Router {
    Router::new()
        .route("/static", get(|| async { "static" }))
        .route("/extracted", get(|_: Session| async { "not asked" }))
        .route(
            "/read",
            get(|session: Session| async move {
                let note = session.get(NOTE).await?.unwrap_or_default();
                let user = session.user().await?.map(|user| user.to_string()).unwrap_or_default();
                Ok::<_, SessionError>(format!("{user}{note}"))
            }),
        )
        .route(
            "/count",
            get(|session: Session| async move {
                let counted = session.if_logged_in().increment(VISITS, 1).await?;
                Ok::<_, SessionError>(counted.map(|(_, n)| n).unwrap_or_default().to_string())
            }),
        )
        .route(
            "/note",
            get(|session: Session| async move {
                session.set(NOTE, "hello")?;
                Ok::<_, SessionError>("noted")
            }),
        )
        .route(
            "/unchanged",
            get(|session: Session| async move {
                session.get(NOTE).await?;
                Ok::<_, SessionError>(StatusCode::NOT_MODIFIED.into_response())
            }),
        )
}

#[tokio::test]
async fn a_request_that_never_asks_for_its_session_costs_nothing() {
    let house = House::of(routes());
    let mut alice = house.logged_in().await;
    let before = house.store.calls().len();
    for path in ["/static", "/extracted"] {
        let response = house.get(&mut alice, path).await;
        assert_eq!(header(&response, "cache-control"), None);
        assert_eq!(header(&response, "vary"), None);
        assert!(set_cookies(response.headers()).is_empty());
    }
    assert_eq!(house.store.calls().len(), before);
}

// Proves R39, R68, CVE-2015-5143.
#[tokio::test]
async fn reads_of_somebody_without_a_cookie_cost_nothing_and_make_nothing() {
    let house = House::of(routes());
    let mut stranger = Visitor::new(&house.manager);
    for path in ["/read", "/count"] {
        let response = house.get(&mut stranger, path).await;
        assert!(set_cookies(response.headers()).is_empty());
        assert_eq!(header(&response, "cache-control"), Some("no-store"));
        assert_eq!(header(&response, "vary"), Some("Cookie"));
    }
    assert_eq!(house.store.calls(), []);
}

#[tokio::test]
async fn a_page_costs_one_trip() {
    let house = House::of(routes());
    let mut alice = house.logged_in().await;
    for (path, body) in [("/read", "alice"), ("/count", "1"), ("/count", "2"), ("/note", "noted")] {
        let before = house.store.calls().len();
        let response = house.get(&mut alice, path).await;
        assert!(set_cookies(response.headers()).is_empty(), "{path}");
        assert_eq!(text(response).await, body);
        assert_eq!(house.store.calls()[before..], [Verb::Apply], "{path}");
    }
    assert_eq!(text(house.get(&mut alice, "/read").await).await, "alicehello");
}

// Proves R51, CVE-2023-30861.
#[tokio::test]
async fn what_depends_on_the_session_is_no_caches_business_whatever_the_status() {
    let house = House::of(routes());
    let mut alice = house.logged_in().await;
    let unchanged = house.get(&mut alice, "/unchanged").await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    let head = house.send(&mut alice, Method::HEAD, "/read").await;
    for response in [unchanged, head] {
        assert_eq!(header(&response, "cache-control"), Some("no-store"));
        assert_eq!(header(&response, "vary"), Some("Cookie"));
    }
}

#[tokio::test]
async fn a_handler_without_a_layer_is_told_what_is_missing() {
    use tower::ServiceExt;
    let request = http::Request::builder().uri("/read").body(axum::body::Body::empty()).unwrap();
    let response = routes().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let (mut parts, ()) = http::Request::new(()).into_parts();
    let missing =
        <Session as axum::extract::FromRequestParts<()>>::from_request_parts(&mut parts, &())
            .await
            .unwrap_err();
    assert!(missing.to_string().contains("is SessionLayer installed"), "{missing}");
}
