//! The response of a request that has a session: what the service answers, and then the session's close.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cloakroom::{Head, OpenVisit, SessionError};
use http::Response;
use pin_project_lite::pin_project;

use crate::head;
use crate::hints;

/// What answers in place of a response whose waiting writes could not be stored.
pub(crate) type Replacement<B> = Arc<dyn Fn(&SessionError) -> Response<B> + Send + Sync>;

pin_project! {
    /// The future of [`SessionService`](crate::SessionService). Where it is dropped before its end, as when
    /// a client hangs up or a handler panics, the session is given up: what the browser will never hear of
    /// is ended.
    pub struct SessionFuture<F, B> {
        #[pin]
        state: State<F, B>,
        open: Option<Open<B>>,
    }
}

pin_project! {
    #[project = Now]
    enum State<F, B> {
        Handled { #[pin] by: F },
        // On the heap: few requests have something to wait for at the end, and the future of each is
        // moved several times.
        Closed { by: Pin<Box<dyn Future<Output = Response<B>> + Send>> },
        Answered,
    }
}

/// A request that is still to be closed.
pub(crate) struct Open<B> {
    pub(crate) visit: OpenVisit,
    pub(crate) replacement: Replacement<B>,
    /// Whether the browser seems to speak plain http, in debug builds.
    pub(crate) plain_http: bool,
}

impl<F, B> SessionFuture<F, B> {
    pub(crate) fn of(by: F, open: Open<B>) -> Self {
        Self { state: State::Handled { by }, open: Some(open) }
    }
}

impl<F, B, E> Future for SessionFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Send + 'static,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                Now::Handled { by } => {
                    let answer = ready!(by.poll(context));
                    // What the service holds is given back before anybody waits for the store.
                    this.state.set(State::Answered);
                    let (response, mut open) = match (answer, this.open.take()) {
                        (Ok(response), Some(open)) => (response, open),
                        // An error of the service drops the visit unclosed.
                        (answer, _) => return Poll::Ready(answer),
                    };
                    if let Some(head) = open.visit.close_at_once() {
                        let Open { replacement, plain_http, .. } = open;
                        return Poll::Ready(Ok(said(&head, response, &replacement, plain_http)));
                    }
                    this.state.set(State::Closed { by: Box::pin(open.close(response)) });
                }
                Now::Closed { by } => {
                    let response = ready!(by.as_mut().poll(context));
                    this.state.set(State::Answered);
                    return Poll::Ready(Ok(response));
                }
                Now::Answered => panic!("the future of a session was polled after its end"),
            }
        }
    }
}

impl<B> Open<B> {
    async fn close(self, response: Response<B>) -> Response<B> {
        let head = self.visit.close(response.status().as_u16()).await;
        said(&head, response, &self.replacement, self.plain_http)
    }
}

/// The response, with what the session has to say in its head.
fn said<B>(
    head: &Head,
    mut response: Response<B>,
    replacement: &Replacement<B>,
    plain_http: bool,
) -> Response<B> {
    if plain_http && head.set_cookie.as_ref().is_some_and(|line| line.contains("; Secure")) {
        hints::secure_cookie_over_plain_http();
    }
    if let Some(error) = &head.failed {
        response = replacement(error);
    }
    head::write(head, response.headers_mut());
    response
}

impl<F, B> fmt::Debug for SessionFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionFuture").field("open", &self.open.is_some()).finish_non_exhaustive()
    }
}
