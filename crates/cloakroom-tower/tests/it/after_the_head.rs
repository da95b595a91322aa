use axum::Router;
use axum::body::Body;
use axum::routing::get;
use cloakroom::{SessionError as CoreError, User};
use cloakroom_tower::Session;
use tokio::sync::oneshot;

use crate::house::{House, NOTE, VISITS, text};

/// A streaming body outlives the head: awaited operations work, and what would need a head does not.
#[tokio::test]
async fn after_the_head_awaited_operations_work_and_the_others_say_why_not() {
    let (send, receive) = oneshot::channel();
    let send = std::sync::Arc::new(std::sync::Mutex::new(Some(send)));
    let house = House::of(Router::new().route(
        "/stream",
        get(async move |session: Session| {
            send.lock().unwrap().take().unwrap().send((*session).clone()).unwrap();
            Body::from_stream(counted_while_sent(session))
        }),
    ));
    let mut alice = house.logged_in().await;
    let response = house.get(&mut alice, "/stream").await;
    let session: cloakroom::Session = receive.await.unwrap();

    assert!(matches!(session.set(NOTE, "late"), Err(CoreError::HeadHasLeft(_))));
    assert!(matches!(session.rotate().await, Err(CoreError::HeadHasLeft(_))));
    let login = session.log_in(User::new("bob").unwrap());
    assert!(matches!(login.await, Err(CoreError::HeadHasLeft(_))));
    assert_eq!(text(response).await, "1");
    assert_eq!(session.increment(VISITS, 1).await.unwrap(), 2);
    assert_eq!(session.user().await.unwrap().unwrap().as_str(), "alice");
    // It sees at once what happens elsewhere: nobody is served who has logged out.
    alice.visit(async |elsewhere| elsewhere.log_out().await.unwrap()).await;
    assert_eq!(session.user().await.unwrap(), None);
    assert!(session.if_logged_in().get(VISITS).await.unwrap().is_none());
    session.log_out().await.unwrap();
    assert_eq!(alice.open().session().user().await.unwrap(), None);
}

/// One chunk, made when the body is read.
fn counted_while_sent(
    session: Session,
) -> impl futures_util::Stream<Item = Result<String, CoreError>> {
    futures_util::stream::once(async move {
        session.increment(VISITS, 1).await.map(|visits| visits.to_string())
    })
}
