//! No request of another site: a layer that refuses what a browser was made to send by somebody
//! else's page (OWASP ASVS 5.0, 3.5.1).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HOST, HeaderName, ORIGIN, REFERER, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use tower_layer::Layer;
use tower_service::Service;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What answers in place of a request that is refused.
type Refusal<B> = Arc<dyn Fn() -> Response<B> + Send + Sync>;

/// Refuses requests that another site caused, with 403. Belongs around all routes, that of the login
/// included.
///
/// GET, HEAD, OPTIONS and TRACE pass: let none of them change anything. Of all others:
///
/// 1. `Sec-Fetch-Site: same-origin` and `none` pass. `same-site` and `cross-site` are refused, unless
///    `Origin` is one that you [trust](Self::trusting). Another value is no browser's word, and
///    not listened to.
/// 2. Without it `Origin` decides: ours and trusted ones pass; all others, and `null`, are refused.
/// 3. Without that too, the origin of `Referer` decides in the same way.
/// 4. Without any of the three a browser is refused, with a cookie or without one: nobody is to be
///    logged in by another site either. All browsers begin their `User-Agent` with `Mozilla/`, which
///    no page of another site can change. Who says something else, or nothing, is a program that
///    sends what its user wants, such as `curl`, and passes.
///
/// A header that came twice is as one that names a stranger. Forwarded headers are not looked at.
///
/// ```
/// use cloakroom_tower::CrossSiteLayer;
///
/// let layer: CrossSiteLayer<String> =
///     CrossSiteLayer::of("https://shop.example")?.trusting("https://login.example")?;
/// # Ok::<(), cloakroom_tower::InvalidOrigin>(())
/// ```
pub struct CrossSiteLayer<B> {
    ours: Ours,
    trusted: Arc<[Box<str>]>,
    refusal: Refusal<B>,
}

#[derive(Clone, Debug)]
enum Ours {
    Origin(Box<str>),
    Host,
}

impl<B: Default + 'static> CrossSiteLayer<B> {
    /// For a service that browsers reach at this origin: scheme, host, and port if it is not the
    /// scheme's own, as in `https://shop.example`.
    pub fn of(origin: impl Into<String>) -> Result<Self, InvalidOrigin> {
        Ok(Self::with(Ours::Origin(canonical(origin.into())?)))
    }

    /// For a service that doesn't know its origin: the host and port of an origin are compared with
    /// `Host`. Whether it was http or https can't be seen then, so a browser that sends no
    /// `Sec-Fetch-Site` takes a page over http for ours; [`of`](Self::of) knows better. A proxy has to
    /// pass `Host` on.
    pub fn by_host() -> Self {
        Self::with(Ours::Host)
    }

    fn with(ours: Ours) -> Self {
        let refusal = || {
            let mut response = Response::new(B::default());
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        };
        Self { ours, trusted: Arc::new([]), refusal: Arc::new(refusal) }
    }
}

impl<B> CrossSiteLayer<B> {
    /// Takes requests of this other origin as well: it can do all that its visitors can do here.
    pub fn trusting(self, origin: impl Into<String>) -> Result<Self, InvalidOrigin> {
        let origin = canonical(origin.into())?;
        let trusted = self.trusted.iter().cloned().chain([origin]).collect();
        Ok(Self { trusted, ..self })
    }

    /// What answers in place of a request that is refused; by default 403 and no body.
    #[must_use]
    pub fn on_refused(self, refusal: impl Fn() -> Response<B> + Send + Sync + 'static) -> Self {
        Self { refusal: Arc::new(refusal), ..self }
    }

    fn lets_pass(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
        if [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method) {
            return true;
        }
        let origin = Line::of(headers, &ORIGIN);
        let site = Line::of(headers, &SEC_FETCH_SITE);
        match site {
            Line::Once(b"same-origin" | b"none") => return true,
            Line::Once(b"same-site" | b"cross-site") => return self.trusts(&origin),
            _ => {}
        }
        match (origin, Line::of(headers, &REFERER)) {
            (Line::Absent, Line::Absent) => {
                let agent = headers.get(USER_AGENT).map_or(&b""[..], |agent| agent.as_bytes());
                matches!(site, Line::Absent) && !agent.starts_with(b"Mozilla/")
            }
            (Line::Absent, Line::Once(referer)) => {
                let origin = Line::Once(origin_of(referer));
                self.trusts(&origin) || self.is_ours(&origin, uri, headers)
            }
            (origin, _) => self.trusts(&origin) || self.is_ours(&origin, uri, headers),
        }
    }

    fn trusts(&self, origin: &Line<'_>) -> bool {
        let Line::Once(origin) = origin else { return false };
        self.trusted.iter().any(|trusted| trusted.as_bytes() == *origin)
    }

    fn is_ours(&self, origin: &Line<'_>, uri: &Uri, headers: &HeaderMap) -> bool {
        let Line::Once(origin) = origin else { return false };
        match &self.ours {
            Ours::Origin(ours) => ours.as_bytes() == *origin,
            Ours::Host => {
                // HTTP/2 has the host in its address.
                let host = match (uri.authority(), Line::of(headers, &HOST)) {
                    (Some(authority), Line::Once(_) | Line::Absent) => {
                        authority.as_str().as_bytes()
                    }
                    (None, Line::Once(host)) => host,
                    _ => return false,
                };
                let named =
                    origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
                named.is_some_and(|named| !named.is_empty() && named.eq_ignore_ascii_case(host))
            }
        }
    }
}

/// A header that has a say only if it came once.
#[derive(Clone, Copy)]
enum Line<'a> {
    Absent,
    Once(&'a [u8]),
    Again,
}

impl<'a> Line<'a> {
    fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut lines = headers.get_all(name).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Self::Absent,
            (Some(line), None) => Self::Once(line.as_bytes()),
            (Some(_), Some(_)) => Self::Again,
        }
    }
}

/// What stands before the path.
fn origin_of(referer: &[u8]) -> &[u8] {
    let host = referer.windows(3).position(|three| three == b"://").map_or(0, |at| at + 3);
    let end = referer[host..].iter().position(|byte| b"/?#".contains(byte));
    &referer[..end.map_or(referer.len(), |end| host + end)]
}

/// An origin as browsers write it.
fn canonical(origin: String) -> Result<Box<str>, InvalidOrigin> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]_".contains(&byte);
    let own_port = (origin.starts_with("https:") && origin.ends_with(":443"))
        || (origin.starts_with("http:") && origin.ends_with(":80"));
    // Brackets and ports in their places.
    let uri = origin.parse::<Uri>().is_ok_and(|uri| uri.authority().is_some());
    let valid = host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain)) && !own_port;
    let valid = valid && uri;
    if valid { Ok(origin.into()) } else { Err(InvalidOrigin(origin.chars().take(80).collect())) }
}

/// The text is no origin as browsers write it.
#[derive(Clone, Debug)]
pub struct InvalidOrigin(String);

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no origin as browsers send it: it takes http:// or https://, a host in small \
             letters, and the port if it is not 80 or 443, as in https://shop.example",
            self.0
        )
    }
}

impl std::error::Error for InvalidOrigin {}

impl<S, B> Layer<S> for CrossSiteLayer<B> {
    type Service = CrossSiteService<S, B>;

    fn layer(&self, inner: S) -> Self::Service {
        CrossSiteService { inner, layer: self.clone() }
    }
}

/// What [`CrossSiteLayer`] makes of a service.
pub struct CrossSiteService<S, B> {
    inner: S,
    layer: CrossSiteLayer<B>,
}

impl<S, Body, B> Service<Request<Body>> for CrossSiteService<S, B>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if self.layer.lets_pass(request.method(), request.uri(), request.headers()) {
            return Box::pin(self.inner.call(request));
        }
        tracing::warn!(event = "cross_site", "a request that another site caused was refused");
        Box::pin(std::future::ready(Ok((self.layer.refusal)())))
    }
}

// Not derived, for that would ask the same of the body.
impl<B> Clone for CrossSiteLayer<B> {
    fn clone(&self) -> Self {
        let Self { ours, trusted, refusal } = self;
        Self { ours: ours.clone(), trusted: trusted.clone(), refusal: refusal.clone() }
    }
}

impl<S: Clone, B> Clone for CrossSiteService<S, B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<B> fmt::Debug for CrossSiteLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrossSiteLayer")
            .field("ours", &self.ours)
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, B> fmt::Debug for CrossSiteService<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrossSiteService")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}
