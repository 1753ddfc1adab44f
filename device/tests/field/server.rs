//! The server over real sockets, with a board that no camera is at.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hone_device::camera::session::Event;
use hone_device::camera::sharpener::Sharpener;
use hone_device::governor::thermometer::Reading;
use hone_device::page::{ROUTES, Running, Settings, Tokens, start};
use hone_device::state::{BoardState, Measured, MeasuredSink};

const OPENAPI: &str = include_str!("../../src/page/openapi.json");

struct Served {
    running: Running,
    board: Arc<BoardState>,
    token: String,
    folder: tempfile::TempDir,
}

fn served() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let mut tokens = Tokens::default();
    let token = tokens.create(folder.path(), "test").unwrap();
    tokens.write(folder.path()).unwrap();
    let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap());
    settings.folder = folder.path().to_owned();
    settings.slots = folder.path().join("slots");
    let sharpener = Arc::new(Sharpener::new(Vec::new(), Arc::default()).unwrap());
    let board = Arc::new(BoardState::new("twin", Some(30.0), sharpener));
    Served {
        running: start(settings, board.clone()).unwrap(),
        board,
        token,
        folder,
    }
}

/// Status, head and body of the answer to a request as it stands.
fn ask(address: SocketAddr, request: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // The server may refuse before it has read everything.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, head.to_ascii_lowercase(), body.to_owned())
}

impl Served {
    /// Status, head and body of an answer; `lines` are further lines of the request.
    fn ask(&self, method: &str, path: &str, lines: &str, body: &str) -> (u16, String, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: board\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
        );
        ask(self.running.address(), request.as_bytes())
    }

    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }
}

/// A path of the table with its gaps filled.
fn filled(path: &str) -> String {
    path.replace("{number}", "1")
        .replace("{view}", "before.png")
}

#[test]
fn everything_but_health_and_login_needs_a_token() {
    let served = served();
    let open: Vec<&str> = ROUTES.iter().filter(|r| r.open).map(|r| r.path).collect();
    assert_eq!(open, ["/healthz", "/readyz", "/", "/login"]);
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
fn the_document_describes_every_route_and_no_other() {
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let open = operation["security"] == serde_json::json!([]);
            described.insert((path.clone(), method.to_uppercase(), open));
        }
    }
    let routes = ROUTES
        .iter()
        .map(|r| (r.path.to_owned(), r.method.to_owned(), r.open));
    assert_eq!(described, routes.collect());
    // Every reference leads somewhere.
    let text = document.to_string();
    for rest in text.split("\"$ref\":\"#").skip(1) {
        let pointer = rest.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

/// Whether `value` has the shape that `schema` describes: type and required fields, all the way down.
fn fits(document: &serde_json::Value, schema: &serde_json::Value, value: &serde_json::Value) {
    let schema = match schema["$ref"].as_str() {
        Some(pointer) => document.pointer(&pointer[1..]).unwrap(),
        None => schema,
    };
    let kind = match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(n) if n.is_u64() => "integer",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    };
    let allowed = schema["type"].to_string();
    assert!(
        allowed.contains(kind) || (kind == "integer" && allowed.contains("number")),
        "{value} for {schema}"
    );
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item);
    }
    if let Some(fields) = value.as_object() {
        let described = schema["properties"].as_object().unwrap();
        let names: BTreeSet<_> = described.keys().collect();
        assert_eq!(fields.keys().collect::<BTreeSet<_>>(), names);
        for (name, field) in fields {
            fits(document, &described[name], field);
        }
    }
}

#[test]
fn answers_are_as_the_document_says() {
    let served = served();
    served.board.publish(measured());
    served.board.hear(&Event::Live);
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
    for path in ["state", "dials", "log", "bundles", "doctor"] {
        let path = format!("/api/v1/{path}");
        let (status, _, body) = served.ask("GET", &path, &served.bearer(), "");
        assert_eq!(status, 200, "{path}: {body}");
        let answer = &document["paths"][&path]["get"]["responses"]["200"];
        let schema = &answer["content"]["application/json"]["schema"];
        fits(&document, schema, &serde_json::from_str(&body).unwrap());
    }
    let (status, _, text) = served.ask("GET", "/api/v1/openapi.json", &served.bearer(), "");
    assert!(status == 200 && text == OPENAPI);
}

fn measured() -> Measured {
    let mut measured = Measured {
        frames: 90,
        captured: 100,
        last_frame: Some(std::time::Instant::now()),
        board: Reading {
            celsius: Some(61.5),
            throttled: true,
        },
        sinks: vec![MeasuredSink {
            name: "record:\"clips\"\\".into(),
            up: true,
            given: 90,
            taken: 80,
            restarts: 2,
        }],
        ..Measured::default()
    };
    for ms in [1, 3, 40] {
        measured.age.add(Duration::from_millis(ms));
    }
    measured
}

#[test]
fn metrics_are_in_prometheus_text() {
    let served = served();
    served.board.publish(measured());
    let (status, head, text) = served.ask("GET", "/metrics", &served.bearer(), "");
    assert!(status == 200 && head.contains("text/plain; version=0.0.4"));
    for line in [
        // Three of a hundred captured and ninety delivered may be on their way.
        "hone_frames_total{result=\"dropped\"} 7",
        "# TYPE hone_frame_age_seconds histogram",
        "hone_frame_age_seconds_bucket{le=\"0.001024\"} 1",
        "hone_frame_age_seconds_bucket{le=\"0.032768\"} 2",
        "hone_frame_age_seconds_bucket{le=\"+Inf\"} 3",
        "hone_frame_age_seconds_count 3",
        "hone_frame_age_seconds_sum 0.044",
        "hone_temperature_celsius 61.5",
        "hone_throttled 1",
        "hone_sink_dropped_total{sink=\"record:\\\"clips\\\"\\\\\"} 10",
    ] {
        assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
    }
    // A counter never falls, whatever is on its way.
    served.board.publish(Measured {
        frames: 99,
        ..measured()
    });
    assert_eq!(served.board.snapshot().frames.dropped, 7);
    // Each metric has its HELP and TYPE once, before its values.
    let mut known = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap();
            assert!(
                lines
                    .next()
                    .unwrap()
                    .starts_with(&format!("# TYPE {name} "))
            );
            assert!(known.insert(name), "{name} twice");
        } else {
            let name = line.split([' ', '{']).next().unwrap();
            let of = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            assert!(
                known.contains(name) || of.is_some_and(|of| known.contains(of)),
                "{line}"
            );
        }
    }
}

#[test]
fn dials_turn_all_or_none() {
    let served = served();
    let json = format!("{}Content-Type: application/json\r\n", served.bearer());
    let turn = |body: &str| served.ask("PATCH", "/api/v1/dials", &json, body);
    let (status, _, body) = turn("{\"strength\": 0.25, \"bypass\": true}");
    assert_eq!(
        (status, body.as_str()),
        (200, "{\"strength\":0.25,\"split\":0.0,\"bypass\":true}")
    );
    let dials = served.board.dials();
    assert!(dials.strength() == 0.25 && dials.bypass());
    for (wrong, status) in [
        ("{\"split\": 0.5, \"strength\": 1.5}", 422),
        ("{\"strenght\": 0.5}", 422),
        ("{\"strength\": 1e99}", 422),
        ("{\"strength\"", 400),
        ("", 400),
    ] {
        let (got, _, body) = turn(wrong);
        assert_eq!(got, status, "{wrong}: {body}");
        assert!(body.starts_with("{\"error\":"), "{body}");
    }
    assert_eq!((dials.strength(), dials.split()), (0.25, 0.0));
    let (status, ..) = served.ask("PATCH", "/api/v1/dials", &served.bearer(), "{}");
    assert_eq!(status, 415);
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
    let leave = format!("{cookie}Origin: http://board\r\n");
    assert_eq!(served.ask("POST", "/logout", &leave, "").0, 303);
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

#[test]
fn hostile_requests_are_refused_and_leave_the_server_well() {
    let served = served();
    let address = served.running.address();
    let (status, _, body) = served.ask("POST", "/login", "", &"x".repeat(9000));
    assert_eq!(status, 413, "{body}");
    let chunked =
        "POST /login HTTP/1.1\r\nHost: board\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n";
    let chunked = [chunked.as_bytes(), &[b'x'; 20_000]].concat();
    assert_eq!(ask(address, &chunked).0, 413);
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: board\r\n\r\n",
        "a".repeat(100_000)
    );
    assert!(matches!(ask(address, long.as_bytes()).0, 414 | 431));
    let many = "X: y\r\n".repeat(100);
    assert_eq!(served.ask("GET", "/healthz", &many, "").0, 431);
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/api/v1/snapshots/1/..%2f..%2fx",
    ] {
        let (status, _, body) = served.ask("GET", path, &served.bearer(), "");
        assert!(
            status == 404 && !body.contains("root"),
            "{path}: {status} {body}"
        );
    }
    // Random bytes, and on every address random bodies, with and without a token.
    let mut seed = 1_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let bytes = std::iter::repeat_with(|| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        });
        bytes.take(length).collect()
    };
    for length in [1, 10, 100, 1000, 20_000] {
        let stream = TcpStream::connect(address).unwrap();
        let _ = (&stream).write_all(&noise(length));
    }
    let endless = [
        "/api/v1/events",
        "/api/v1/telemetry",
        "/api/v1/preview",
        "/api/v1/doctor",
        "/api/v1/snapshots",
    ];
    for route in ROUTES.iter().filter(|route| !endless.contains(&route.path)) {
        for lines in [
            String::new(),
            served.bearer(),
            format!("{}Content-Type: application/json\r\n", served.bearer()),
        ] {
            let head = format!(
                "{} {} HTTP/1.1\r\nHost: board\r\nConnection: close\r\nContent-Length: 500\r\n{lines}\r\n",
                route.method,
                filled(route.path)
            );
            let (status, ..) = ask(address, &[head.as_bytes(), &noise(500)].concat());
            assert!(
                (200..500).contains(&status) || status == 503,
                "{head}: {status}"
            );
        }
    }
    assert_eq!(served.ask("GET", "/healthz", "", "").0, 200);
}

#[test]
fn slow_and_many_connections_are_ended() {
    let served = served();
    let address = served.running.address();
    // More than one address may have: those too many are closed at once, the others after their time.
    let slow: Vec<TcpStream> = (0..40)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(address).ok()?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: b").ok()?;
            Some(stream)
        })
        .collect();
    for mut stream in slow {
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
        }
    }
    assert_eq!(served.ask("GET", "/healthz", "", "").0, 200);
}

#[test]
fn a_taken_address_is_named() {
    let served = served();
    let mut settings = Settings::plain(served.running.address());
    settings.folder = served.folder.path().to_owned();
    let error = start(settings, served.board.clone())
        .err()
        .unwrap()
        .to_string();
    let address = served.running.address().to_string();
    assert!(
        error.contains(&address) && error.contains("in use"),
        "{error}"
    );
}

#[test]
fn dashboards_and_alerts_ask_for_metrics_that_exist() {
    let served = served();
    served.board.publish(measured());
    let (_, _, text) = served.ask("GET", "/metrics", &served.bearer(), "");
    let values = text.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeSet<&str> = values.filter_map(|l| l.split([' ', '{']).next()).collect();
    for (file, asked) in [
        (
            "grafana.json",
            include_str!("../../../cross/monitoring/grafana.json"),
        ),
        (
            "alerts.yml",
            include_str!("../../../cross/monitoring/alerts.yml"),
        ),
    ] {
        let names: BTreeSet<&str> = asked
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("hone_"))
            .collect();
        assert!(names.len() > 7, "{file}: {names:?}");
        let unknown: Vec<_> = names.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
    }
}
