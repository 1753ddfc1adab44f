//! What every request passes before it is answered: who asks, how much it brings, and what the
//! answer tells a browser.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::access::{Pass, Refusal};
use super::answer::{Failure, failure};
use super::app::App;
use super::connection::Peer;

/// Largest body of a request.
const BODY: usize = 8 * 1024;
/// Time for it.
const BODY_TIME: Duration = Duration::from_secs(5);

/// Lets in who shows a token, or the cookie of a login; a cookie alone changes nothing for another
/// site's page. The request takes the [`Pass`] along, for answers that last.
pub(super) async fn token(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if let Some(token) = bearer(headers) {
        let pass = Pass::token(token);
        if !app.access.stands(pass) {
            let (token, peer) = (token.to_owned(), peer(&request));
            if let Err(refusal) = app.check(token, peer).await {
                return refused(refusal);
            }
        }
        request.extensions_mut().insert(pass);
        return next.run(request).await;
    }
    let pass = app.cookie(headers).map(Pass::login);
    let Some(pass) = pass.filter(|pass| app.access.stands(*pass)) else {
        return refused(Refusal::Missing);
    };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !app.same_origin(headers) {
        return foreign();
    }
    request.extensions_mut().insert(pass);
    next.run(request).await
}

/// Reads the whole body, which is small and quick, or refuses it.
pub(super) async fn body(request: Request, next: Next) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|l| l.to_str().ok()?.parse::<usize>().ok());
    let too_large = || Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "a body is at most 8 KiB");
    if length.is_some_and(|length| length > BODY) {
        return Err(too_large());
    }
    let bytes = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, BODY)).await;
    let bytes = bytes
        .map_err(|_| Failure::new(StatusCode::REQUEST_TIMEOUT, "the body took too long"))?
        .map_err(|_| too_large())?;
    Ok(next
        .run(Request::from_parts(parts, Body::from(bytes)))
        .await)
}

/// Tells browsers to keep, embed, fetch and guess nothing.
pub(super) async fn headers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        // A form's Origin is null without a referrer, so the own site gets one.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (header::CONTENT_SECURITY_POLICY, app.page.policy.clone()),
    ] {
        headers.insert(name, value);
    }
    response
}

/// Who sent the request.
pub(super) fn peer(request: &Request) -> std::net::IpAddr {
    let peer = request.extensions().get::<Peer>();
    // Every connection brings one.
    peer.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The answer to what a browser sends for another site.
pub(super) fn foreign() -> Response {
    failure(
        StatusCode::FORBIDDEN,
        "this request comes from another site's page",
    )
}

/// The answer to someone who is not let in.
pub(super) fn refused(refusal: Refusal) -> Response {
    let mut response = match refusal {
        Refusal::Missing => failure(
            StatusCode::UNAUTHORIZED,
            // Where its folder is concerns only who may look at the board.
            "a token is needed: `honed token create NAME` makes one (with --folder, where page.folder is another), send it as \
             Authorization: Bearer TOKEN",
        ),
        Refusal::Wrong => failure(StatusCode::UNAUTHORIZED, "this token is not known here"),
        Refusal::Wait(wait) => {
            let text = "there were too many wrong tokens: wait before the next";
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            let mut response = failure(StatusCode::TOO_MANY_REQUESTS, text);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            return response;
        }
    };
    let scheme = HeaderValue::from_static("Bearer realm=\"honed\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    response.into_response()
}
