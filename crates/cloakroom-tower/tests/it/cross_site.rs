//! Requests that another site caused, each combination of what a browser and a program can say,
//! against a second statement of the rule: what is known of the sender, in plain sets.

use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use cloakroom_tower::CrossSiteLayer;
use http::{Method, Request};
use tower::{Layer, Service, ServiceExt};

const HOST: &str = "shop.example";
const OURS: &str = "https://shop.example";
const TRUSTED: &str = "https://login.example";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

const METHODS: [&str; 9] =
    ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE", "BREW"];
const SITES: [&[&str]; 8] = [
    &[],
    &["same-origin"],
    &["none"],
    &["same-site"],
    &["cross-site"],
    &["whatever"],
    &["Same-Origin"],
    &["same-origin", "cross-site"],
];
const ORIGINS: [&[&str]; 14] = [
    &[],
    &[OURS],
    &[TRUSTED],
    &["https://evil.example"],
    &["null"],
    &[""],
    &["http://shop.example"],
    &["https://shop.example:8443"],
    &["https://shop.example.evil.example"],
    &["https://evil.example/https://shop.example"],
    &["https://shop.example/"],
    &["shop.example"],
    &[OURS, OURS],
    &[OURS, "https://evil.example"],
];
const REFERERS: [&[&str]; 5] = [
    &[],
    &["https://shop.example/cart?x=https://evil.example"],
    &["https://evil.example/?https://shop.example/"],
    &["https://shop.example.evil.example/"],
    &["about:blank"],
];
const AGENTS: [&[&str]; 3] = [&[], &[FIREFOX], &["curl/8.5.0"]];

/// The rule, told from the side of who is let in.
fn belongs_here(
    method: &str,
    site: &[&str],
    origin: &[&str],
    referer: &[&str],
    agent: &[&str],
    http_too: bool,
) -> bool {
    let changes_nothing = METHODS[..4].contains(&method);
    let browser_vouches = site == ["same-origin"] || site == ["none"];
    let browser_warns = site == ["same-site"] || site == ["cross-site"];
    let from_trusted = origin == [TRUSTED];
    let from_ours = origin == [OURS] || (http_too && origin == ["http://shop.example"]);
    let nothing_but_referer = origin.is_empty() && referer == REFERERS[1];
    let a_program =
        site.is_empty() && origin.is_empty() && referer.is_empty() && agent != [FIREFOX];
    changes_nothing
        || browser_vouches
        || from_trusted
        || (!browser_warns && (from_ours || nothing_but_referer || a_program))
}

async fn status(app: &Router, method: &str, headers: &[(&str, &[&str])]) -> u16 {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = Request::builder().method(method).uri("/").header("host", HOST);
    for (name, values) in headers {
        request = values.iter().fold(request, |request, value| request.header(*name, *value));
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    response.status().as_u16()
}

// Proves R44, R45, R47, CVE-2025-24358.
#[tokio::test]
async fn of_every_combination_of_headers_only_what_belongs_here_passes() {
    let mut cases = 0;
    let of = CrossSiteLayer::of(OURS).unwrap().trusting(TRUSTED).unwrap();
    let by_host = CrossSiteLayer::by_host().trusting(TRUSTED).unwrap();
    for (layer, http_too) in [(of, false), (by_host, true)] {
        let app = Router::new().route("/", any(|| async {})).layer(layer);
        for method in METHODS {
            for (site, origin) in SITES.iter().flat_map(|s| ORIGINS.iter().map(move |o| (*s, *o))) {
                for (referer, agent) in
                    REFERERS.iter().flat_map(|r| AGENTS.iter().map(move |a| (*r, *a)))
                {
                    let headers = [
                        ("sec-fetch-site", site),
                        ("origin", origin),
                        ("referer", referer),
                        ("user-agent", agent),
                        // Nobody is asked about these.
                        ("x-forwarded-host", &["evil.example"][..]),
                        ("forwarded", &["host=evil.example;proto=http"]),
                    ];
                    let passes = belongs_here(method, site, origin, referer, agent, http_too);
                    let expected = if passes { 200 } else { 403 };
                    for cookie in [&[][..], &["__Host-session=x"]] {
                        let headers = [&headers[..], &[("cookie", cookie)]].concat();
                        let status = status(&app, method, &headers).await;
                        assert_eq!(status, expected, "{method} {headers:?}, by host: {http_too}");
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 2 * 9 * 8 * 14 * 5 * 3 * 2);
}

// Proves R45.
#[test]
fn what_no_browser_sends_is_no_origin_of_ours() {
    for good in
        [OURS, "http://127.0.0.1:5000", "https://[::1]:5000", "https://xn--bcher-kva.example"]
    {
        CrossSiteLayer::<String>::of(good).unwrap();
    }
    for bad in [
        "",
        "shop.example",
        "https://",
        "https://shop.example/",
        "https://Shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://bücher.example",
        "https://user@shop.example",
        "ftp://shop.example",
        "null",
    ] {
        let wrong = CrossSiteLayer::<String>::of(bad).unwrap_err().to_string();
        assert!(wrong.contains("https://shop.example"), "{wrong}");
        assert!(CrossSiteLayer::<String>::by_host().trusting(bad).is_err());
    }
}

/// As in HTTP/2, where a request needs no `Host`.
#[tokio::test]
async fn a_host_in_the_address_is_the_host() {
    let app: Router =
        Router::new().route("/", any(|| async { "done" })).layer(CrossSiteLayer::<Body>::by_host());
    for (origin, expected) in [(OURS, 200), ("https://evil.example", 403)] {
        let request = Request::post(format!("{OURS}/")).header("Origin", origin);
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), expected, "{origin}");
    }
}

#[tokio::test]
async fn of_a_referer_the_path_is_left_however_short_the_host() {
    let app: Router = Router::new()
        .route("/", any(|| async { "done" }))
        .layer(CrossSiteLayer::<Body>::of("https://a.b").unwrap());
    for (referer, expected) in [("https://a.b/c/d", 200), ("https://a.bc/d", 403)] {
        assert_eq!(status(&app, "POST", &[("Referer", &[referer])]).await, expected, "{referer}");
    }
}

#[tokio::test]
async fn an_application_may_answer_a_refused_request_itself() {
    let layer = CrossSiteLayer::by_host().on_refused(|| {
        let mut response = http::Response::new(Body::from("not from here"));
        *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
        response
    });
    let app: Router = Router::new().route("/", any(|| async { "done" })).layer(layer);
    assert_eq!(status(&app, "POST", &[("Sec-Fetch-Site", &["cross-site"])]).await, 418);
}

/// What a service that is busy never becomes.
#[derive(Clone)]
struct NeverReady;

impl Service<Request<Body>> for NeverReady {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        unreachable!("it was never ready")
    }
}

#[test]
fn a_busy_service_is_waited_for() {
    let mut service = CrossSiteLayer::<Body>::by_host().layer(NeverReady);
    assert!(service.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
}
