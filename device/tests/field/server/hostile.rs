//! Clients that mean harm, or are broken.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hone_device::page::ROUTES;

use super::{ask, filled, served};

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
