//! For axum 0.8: the session as an argument of a handler, and its errors as responses.

use std::convert::Infallible;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::head;
use crate::session::{Session, SessionError};

/// There is no session in the request: no `SessionLayer` of this mark stands around the handler.
/// Answers 500, and says in the log what to do.
#[derive(Clone, Copy, Debug)]
pub struct MissingLayer {
    session: &'static str,
}

impl std::fmt::Display for MissingLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "there is no {} in this request: is SessionLayer installed, with `.layer(..)` after the \
             route that asks for it, and with the same mark?",
            self.session
        )
    }
}

impl std::error::Error for MissingLayer {}

impl IntoResponse for MissingLayer {
    fn into_response(self) -> Response {
        tracing::error!(event = "missing_layer", "{self}");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

impl<S: Sync, Mark: 'static> FromRequestParts<S> for Session<Mark> {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        let session = std::any::type_name::<Self>();
        Self::of(&parts.extensions).ok_or(MissingLayer { session })
    }
}

impl<S: Sync, Mark: 'static> OptionalFromRequestParts<S> for Session<Mark> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        let error = self.inner();
        // What the store failed at, the library has logged where it happened.
        if error.status() == 500 {
            tracing::error!(event = "misused_session", %error, "a handler asked what can't be done");
        }
        head::refusal(error)
    }
}
