use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use cloakroom::store::Verb;
use cloakroom::testing::{Failure, Visitor};
use cloakroom::{SessionError as CoreError, User};
use cloakroom_tower::{Session, SessionError, SessionLayer};
use http::StatusCode;

use crate::house::{House, NOTE, VISITS, header, set_cookies};

fn routes() -> Router {
    Router::new()
        .route(
            "/count",
            get(|session: Session| async move {
                session.if_logged_in().increment(VISITS, 1).await?;
                Ok::<_, SessionError>("counted")
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
            "/login-and-note",
            get(|session: Session| async move {
                let _ = session.log_in(User::new("alice")?).await?;
                session.set(NOTE, "hello")?;
                Ok::<_, SessionError>("in")
            }),
        )
        .route(
            "/huge",
            get(|session: Session| async move {
                session.set(NOTE, "x".repeat(1 << 20))?;
                Ok::<_, SessionError>("never")
            }),
        )
        .route("/static", get(|| async { "static" }))
}

// Proves R65.
#[tokio::test]
async fn a_store_that_is_away_is_503_with_the_cookie_kept_and_other_pages_up() {
    let house = House::of(routes());
    let mut alice = house.logged_in().await;
    for failure in [Failure::NotReached, Failure::ReplyLost] {
        house.store.fail(failure);
        for path in ["/count", "/note"] {
            let response = house.get(&mut alice, path).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(header(&response, "retry-after"), Some("1"));
            assert!(set_cookies(response.headers()).is_empty());
        }
        assert_eq!(house.get(&mut alice, "/static").await.status(), StatusCode::OK);
        house.store.recover();
        assert_eq!(house.get(&mut alice, "/count").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_increment_whose_answer_was_lost_is_not_repeated() {
    let house = House::of(routes());
    let mut alice = house.logged_in().await;
    let before = house.store.calls().len();
    house.store.fail_at(1, Failure::ReplyLost);
    house.get(&mut alice, "/count").await;
    assert_eq!(house.store.calls()[before..], [Verb::Apply]);
}

#[tokio::test]
async fn a_503_carries_the_cookie_of_a_login_that_was_acknowledged_before() {
    let house = House::of(routes());
    let mut alice = Visitor::new(&house.manager);
    house.store.fail_at(2, Failure::NotReached);
    let response = house.get(&mut alice, "/login-and-note").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(alice.cookie().is_some());
    assert_eq!(house.store.abandoned(), []);
}

#[tokio::test]
async fn a_login_whose_answer_was_lost_is_ended_and_sets_no_cookie() {
    let house = House::of(routes());
    let mut alice = Visitor::new(&house.manager);
    house.store.fail_at(1, Failure::ReplyLost);
    let response = house.get(&mut alice, "/login-and-note").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(alice.cookie(), None);
    assert_eq!(house.store.abandoned().len(), 1);
}

// Proves tower-sessions, actix-session.
#[tokio::test]
async fn waiting_writes_of_a_session_that_was_ended_replace_the_response() {
    let house = House::of(routes());
    let mut alice = house.logged_in().await;
    let mut late = alice.clone();
    alice.visit(async |session| session.log_out().await.unwrap()).await;
    let response = house.get(&mut late, "/note").await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert!(set_cookies(response.headers()).is_empty());
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
}

#[tokio::test]
async fn the_application_may_answer_for_failed_writes_itself() {
    use tower::ServiceExt;
    let house = House::of(routes());
    let mut alice = house.logged_in().await;
    let cookie = alice.cookie().unwrap().to_owned();
    alice.visit(async |session| session.log_out().await.unwrap()).await;
    let layer = SessionLayer::new(house.manager.clone()).on_failed_writes(|error| match error {
        CoreError::Ended => (StatusCode::SEE_OTHER, [("location", "/login")]).into_response(),
        _ => StatusCode::IM_A_TEAPOT.into_response(),
    });
    let request = http::Request::builder().uri("/note").header("cookie", cookie);
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = routes().layer(layer).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(header(&response, "location"), Some("/login"));
}

// Proves R69.
#[tokio::test]
async fn a_value_over_the_limit_is_422_and_nothing_is_written() {
    let house = House::of(routes());
    let mut alice = house.logged_in().await;
    let before = house.store.calls().len();
    let response = house.get(&mut alice, "/huge").await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(house.store.calls().len(), before);
}

/// A request that is given up at any of its awaits leaves no session behind that nobody was told of.
#[tokio::test]
async fn a_cancelled_or_panicking_request_leaves_no_untold_session() {
    let reached = Arc::new(AtomicBool::new(false));
    let then = reached.clone();
    let house = House::of(
        Router::new()
            .route(
                "/hang",
                get(async move |session: Session| {
                    let _ = session.log_in(User::new("alice").unwrap()).await.unwrap();
                    then.store(true, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                }),
            )
            .route(
                "/panic",
                get(|session: Session| async move {
                    let _ = session.log_in(User::new("alice").unwrap()).await.unwrap();
                    if true {
                        panic!("on purpose");
                    }
                }),
            ),
    );
    let stranger = Visitor::new(&house.manager);

    let mut hanging = Box::pin(house.start(&stranger, "/hang"));
    while !reached.load(Ordering::SeqCst) {
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(
                hanging.as_mut().poll(context).is_pending()
            ))
            .await
        );
        tokio::task::yield_now().await;
    }
    drop(hanging);
    assert_eq!(house.store.abandoned().len(), 1);

    let panicking = tokio::spawn(house.start(&stranger, "/panic"));
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!(house.store.abandoned().len(), 2);
}
