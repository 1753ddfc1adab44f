//! Who is let in.

use hone_device::page::ROUTES;

use super::{filled, served};

#[test]
fn everything_but_health_and_login_needs_a_token() {
    let served = served();
    let open: Vec<&str> = ROUTES.iter().filter(|r| r.open).map(|r| r.path).collect();
    assert_eq!(open, ["/healthz", "/readyz", "/", "/login", "/logout"]);
    for route in ROUTES.iter().filter(|route| !route.open) {
        let path = filled(route.path);
        for lines in ["", "Authorization: Basic eDp5\r\n", "Cookie: hone=0123\r\n"] {
            let (status, head, body) = served.ask(route.method, &path, lines, "");
            assert_eq!(status, 401, "{} {path}: {body}", route.method);
            assert!(head.contains("www-authenticate: bearer"), "{head}");
        }
    }
    // The form is what / shows to strangers, and nothing of the board.
    let (status, _, page) = served.ask("GET", "/", "", "");
    assert!(status == 200 && page.contains("name=\"token\"") && !page.contains("<canvas"));
}

#[test]
fn a_cookie_changes_nothing_for_another_site() {
    let served = served();
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let own = format!("{form}Origin: http://board\r\n");
    let token = format!("token={}", served.token);
    for elsewhere in [
        form.to_owned(),
        format!("{form}Origin: http://evil\r\n"),
        format!("{form}Origin: null\r\n"),
    ] {
        assert_eq!(served.ask("POST", "/login", &elsewhere, &token).0, 403);
    }
    let (status, head, _) = served.ask("POST", "/login", &own, &token);
    assert_eq!(status, 303, "{head}");
    let cookie = head.split("set-cookie: ").nth(1).unwrap();
    for words in ["httponly", "samesite=strict", "path=/", "max-age=43200"] {
        assert!(cookie.contains(words), "{head}");
    }
    let cookie = format!("Cookie: a=b; {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(served.ask("GET", "/api/v1/state", &cookie, "").0, 200);
    let (_, head, page) = served.ask("GET", "/", &cookie, "");
    assert!(
        page.contains("<canvas") && head.contains("content-security-policy: default-src 'none'")
    );
    let json = "Content-Type: application/json\r\n";
    for (origin, status) in [
        ("", 403),
        ("Origin: http://evil\r\n", 403),
        ("Origin: http://board\r\n", 200),
    ] {
        let lines = format!("{cookie}{json}{origin}");
        let answer = served.ask("PATCH", "/api/v1/dials", &lines, "{\"strength\":0.5}");
        assert_eq!(answer.0, status, "{origin}");
    }
    for origin in ["", "Origin: http://evil\r\n"] {
        let lines = format!("{cookie}{origin}");
        assert_eq!(served.ask("POST", "/logout", &lines, "").0, 403);
    }
    assert_eq!(served.ask("GET", "/api/v1/state", &cookie, "").0, 200);
    let leave = format!("{cookie}Origin: http://board\r\n");
    // The second time the login is over already.
    for _ in 0..2 {
        assert_eq!(served.ask("POST", "/logout", &leave, "").0, 303);
    }
    assert_eq!(served.ask("GET", "/api/v1/state", &cookie, "").0, 401);
}

#[test]
fn guessing_tokens_is_stopped() {
    let served = served();
    let (_, id_and_secret) = served.token.split_once('_').unwrap();
    let (id, _) = id_and_secret.split_once('_').unwrap();
    let guess = |secret: &str| {
        let lines = format!("Authorization: Bearer hone_{id}_{secret}\r\n");
        served.ask("GET", "/api/v1/state", &lines, "").0
    };
    for n in 0..5 {
        assert_eq!(guess(&n.to_string()), 401);
    }
    assert_eq!(guess("5"), 429);
    // The right one too has to wait, or waiting would tell right from wrong.
    assert_eq!(
        served.ask("GET", "/api/v1/state", &served.bearer(), "").0,
        429
    );
}
