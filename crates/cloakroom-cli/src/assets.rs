//! What pages refer to: style, picture, script. Each has its version in the address, so browsers
//! keep it for a year and still never show a page with the style of an older program.

use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("/style.css", "text/css; charset=utf-8", include_str!("../assets/style.css"))
});
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")));
pub(crate) static COUNTDOWN: LazyLock<Asset> = LazyLock::new(|| {
    let script = include_str!("../assets/countdown.js");
    Asset::new("/countdown.js", "text/javascript; charset=utf-8", script)
});

pub(crate) struct Asset {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
    /// The path with the version.
    link: String,
    etag: String,
}

impl Asset {
    fn new(path: &'static str, content_type: &'static str, content: &'static str) -> Self {
        // Tells versions apart and protects nothing.
        let mut hasher = DefaultHasher::new();
        hasher.write(content.as_bytes());
        let version = format!("{:016x}", hasher.finish());
        let (link, etag) = (format!("{path}?v={version}"), format!("\"{version}\""));
        Self { path, content_type, content, link, etag }
    }

    pub(crate) fn link(&self) -> &str {
        &self.link
    }

    fn answer(&self, uri: &Uri, headers: &HeaderMap) -> Response {
        let this_version = uri.path_and_query().is_some_and(|asked| asked.as_str() == self.link);
        let kept = if this_version { "public, max-age=31536000, immutable" } else { "no-cache" };
        let about = [(CACHE_CONTROL, kept), (ETAG, &self.etag)];
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
        let mut known = known.flat_map(|tags| tags.split(',')).map(str::trim);
        if known.any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == self.etag) {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        (about, [(CONTENT_TYPE, self.content_type)], self.content).into_response()
    }
}

pub(crate) fn routes() -> Router {
    [&STYLE, &ICON, &COUNTDOWN].into_iter().fold(Router::new(), |router, asset| {
        let answer =
            move |uri: Uri, headers: HeaderMap| async move { asset.answer(&uri, &headers) };
        router.route(asset.path, get(answer))
    })
}
