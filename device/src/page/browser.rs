//! The page for people, and their login.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

use super::access::{Refusal, SESSION};
use super::answer::failure;
use super::app::App;
use super::guard;

/// What the login form sends.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Login {
    token: String,
}

/// The page, or the form that asks for a token.
pub(super) async fn page(State(app): State<Arc<App>>, headers: HeaderMap) -> Html<String> {
    let inside = app
        .cookie(&headers)
        .is_some_and(|c| app.access.logged_in(c));
    Html(if inside {
        app.page.board.clone()
    } else {
        app.page.login("")
    })
}

/// Gives a cookie for a right token.
pub(super) async fn log_in(State(app): State<Arc<App>>, request: Request) -> Response {
    if !app.same_origin(request.headers()) {
        return guard::foreign();
    }
    let peer = guard::peer(&request);
    let form: Result<Form<Login>, FormRejection> = Form::from_request(request, &()).await;
    let Ok(Form(Login { token })) = form else {
        return failure(StatusCode::BAD_REQUEST, "the form has a token");
    };
    let again = |status, wrong: &str| (status, Html(app.page.login(wrong))).into_response();
    let token = token.trim();
    match app.check(token.to_owned(), peer).await {
        Ok(()) => match app.access.log_in(token) {
            Ok(cookie) => entered(&app, &cookie, SESSION.as_secs()),
            Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
        Err(Refusal::Wait(wait)) => {
            let seconds = wait.as_secs().max(1);
            let wrong = format!("There were too many wrong tokens. Wait {seconds} s.");
            again(StatusCode::TOO_MANY_REQUESTS, &wrong)
        }
        Err(_) => again(StatusCode::UNAUTHORIZED, "This token is not known here."),
    }
}

/// Takes the cookie back; open to all, for a login that is over already leads to the form too.
pub(super) async fn log_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if !app.same_origin(&headers) {
        return guard::foreign();
    }
    if let Some(cookie) = app.cookie(&headers) {
        app.access.log_out(cookie);
    }
    entered(&app, "", 0)
}

/// On to the page, with a cookie.
fn entered(app: &App, cookie: &str, seconds: u64) -> Response {
    let secure = if app.tls { "; Secure" } else { "" };
    let name = app.cookie_name();
    let cookie =
        format!("{name}={cookie}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let headers = [
        (header::SET_COOKIE, cookie),
        (header::LOCATION, "/".to_owned()),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}
