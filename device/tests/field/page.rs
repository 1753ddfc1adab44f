//! The page in a real browser, and hostile clients while video goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::browser::{self, Browser};
use super::honed::{Honed, free_port, until};

const SCENE: &str = "gst:videotestsrc is-live=true pattern=zone-plate kx2=14 ky2=9 kt=2 \
                     ! video/x-raw,format=I420,width=320,height=240,framerate=15/1";

fn honed_token(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder)
        .args(["token", "--folder", "page"])
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

struct Served {
    honed: Honed,
    port: u16,
    token: String,
    folder: tempfile::TempDir,
}

fn served(flags: &[&str]) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let token = honed_token(folder.path(), &["create", "test"]);
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut arguments = vec!["--source", SCENE, "--sink", "null", "--page", &address];
    arguments.extend(["--page-folder", "page"]);
    arguments.extend(flags);
    let honed = Honed::start(folder.path(), &arguments);
    honed.wait_for(1, "page: ");
    honed.wait_for(1, "live");
    Served {
        honed,
        port,
        token,
        folder,
    }
}

impl Served {
    /// The body of an answer without TLS.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        body.to_owned()
    }

    fn state(&self) -> serde_json::Value {
        serde_json::from_str(&self.get("/api/v1/state")).unwrap()
    }
}

/// Sum of the differences of two pictures over part of the width, as an expression.
fn difference(one: &str, other: &str, from: f64, to: f64) -> String {
    format!(
        "(() => {{ const pixels = (p) => {{ const c = new OffscreenCanvas(p.width, p.height); \
         const pen = c.getContext('2d'); pen.drawImage(p, 0, 0); \
         const x = Math.round({from} * p.width), w = Math.round({to} * p.width) - x; \
         return pen.getImageData(x, 0, w, p.height).data; }}; \
         const [a, b] = [pixels({one}), pixels({other})]; \
         let sum = 0; for (let i = 0; i < a.length; i++) sum += Math.abs(a[i] - b[i]); return sum; }})()"
    )
}

#[test]
fn the_page_shows_and_steers_in_a_browser() {
    let Some(program) = browser::installed() else {
        eprintln!("no chromium in PATH: the page is not opened");
        return;
    };
    let served = served(&["--page-tls"]);
    let (folder, port) = (served.folder.path(), served.port);
    let told = served.honed.log().join("\n");
    assert!(
        told.contains(&format!("https://127.0.0.1:{port}/, certificate SHA-256 ")),
        "{told}"
    );
    let mut browser = Browser::start(&program, folder);
    browser.open(&format!("https://127.0.0.1:{port}/"));

    // A wrong token is refused, in words; then the right one lets in.
    for (token, then) in [
        (
            "hone_wrong_token",
            "document.querySelector('.wrong').textContent.includes('not known')",
        ),
        (
            served.token.as_str(),
            "!!document.getElementById('picture')",
        ),
    ] {
        browser.evaluate("document.getElementById('token').focus()");
        browser.type_text(token);
        browser.evaluate("document.querySelector('form').requestSubmit()");
        browser.wait_for(then);
    }
    // The refusal itself is an answer of status 401, which the browser reports.
    let refused = browser.errors();
    assert!(
        refused.iter().all(|error| error.contains("401")),
        "{refused:#?}"
    );

    // The preview moves, and both pictures are of one frame: they differ by what the student did.
    browser.wait_for("!!(pictures.before && pictures.after)");
    browser.evaluate(
        "window.first = new OffscreenCanvas(pictures.after.width, pictures.after.height); \
         first.getContext('2d').drawImage(pictures.after, 0, 0)",
    );
    browser.wait_for(&format!(
        "{} > 100000",
        difference("first", "pictures.after", 0.0, 1.0)
    ));
    browser.wait_for(&format!(
        "{} > 1000",
        difference("pictures.before", "pictures.after", 0.0, 1.0)
    ));

    // The wipe follows the mouse and shows both halves.
    let place = |browser: &mut Browser, part: f64| {
        let get = |browser: &mut Browser, what: &str| {
            let expression =
                format!("document.getElementById('stage').getBoundingClientRect().{what}");
            browser.evaluate(&expression).as_f64().unwrap()
        };
        let (left, top) = (get(browser, "left"), get(browser, "top"));
        (left + part * get(browser, "width"), top + 20.0)
    };
    let (from, to) = (place(&mut browser, 0.5), place(&mut browser, 0.75));
    browser.drag(from, to);
    browser.wait_for("Math.abs(wipe.at - 0.75) < 0.02");
    let canvas = "document.getElementById('picture')";
    let shows = |picture: &str, from, to| {
        let differ = difference(canvas, &format!("pictures.{picture}"), from, to);
        format!("(draw(), {differ}) === 0")
    };
    browser.wait_for(&shows("before", 0.0, 0.7));
    browser.wait_for(&shows("after", 0.8, 1.0));

    // The slider changes what the pipeline puts out: at 0, the camera's own bytes.
    browser.evaluate("document.getElementById('strength').focus()");
    browser.press("Home", 36);
    browser.wait_for("earlier.dials.strength === 0 && earlier.frames.untouched > 5");
    browser.wait_for(&format!(
        "{} === 0",
        difference("pictures.before", "pictures.after", 0.0, 1.0)
    ));
    browser.press("End", 35);
    browser.wait_for(&format!(
        "{} > 1000",
        difference("pictures.before", "pictures.after", 0.0, 1.0)
    ));
    browser.evaluate("document.getElementById('bypass').click()");
    browser.wait_for("earlier.dials.bypass && document.getElementById('status').textContent === 'not sharpening'");
    browser.evaluate("document.getElementById('bypass').click()");

    // A snapshot is two whole pictures.
    browser.evaluate("document.getElementById('snapshot').click()");
    browser.wait_for("!document.getElementById('taken').hidden");
    browser.wait_for(
        "Promise.all(['before', 'after'].map(async (view) => { const answer = \
         await fetch(document.getElementById(`taken-${view}`).href); \
         const image = await createImageBitmap(await answer.blob()); return image.width; })) \
         .then((widths) => widths.every((width) => width === 320))",
    );
    browser.evaluate("document.getElementById('examine').click()");
    browser.wait_for("document.getElementById('doctor').children.length > 2");
    browser.wait_for("document.getElementById('log').textContent.includes('live')");
    // A hidden page asks for nothing, not even when it is opened like that.
    let turn = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    browser.evaluate(&turn(true));
    browser.wait_for("!watching");
    browser.wait_for("watch(), listen(), !watching && !events");
    browser.evaluate(&turn(false));
    browser.wait_for("performance.now() - shown < 500 && charts.fps.length > 0");
    // On a phone nothing is wider than the screen.
    let phone =
        serde_json::json!({"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true});
    browser.call("Emulation.setDeviceMetricsOverride", phone);
    browser.wait_for("document.documentElement.scrollWidth <= 390");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn nothing_is_encoded_while_nobody_watches_and_a_stalled_viewer_is_dropped() {
    let served = served(&[]);
    let viewers = || {
        let metrics = served.get("/metrics");
        let line = metrics
            .lines()
            .find(|l| l.starts_with("hone_preview_viewers "));
        line.unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(viewers(), "0");
    let watch = || {
        let mut stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
        let request = format!(
            "GET /api/v1/preview?view=pair HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
            served.token
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let (stalled, mut gone) = (watch(), watch());
    let mut bytes = [0; 4096];
    gone.read_exact(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("X-Hone-View: before"));
    until("two viewers", || viewers() == "2");
    drop(gone);
    until("the stalled viewer to be dropped", || viewers() == "0");
    drop(stalled);
    assert_eq!(served.state()["source"]["state"], "live");
}

#[test]
fn video_goes_on_under_hostile_clients() {
    let served = served(&[]);
    let before = served.honed.resident();
    let delivered = || served.state()["frames"]["delivered"].as_u64().unwrap();
    let start = delivered();
    let connect = || TcpStream::connect(("127.0.0.1", served.port)).unwrap();
    // Ten thousand connections, some of them slow, some of them noisy.
    let mut slow = Vec::new();
    for n in 0..10_000_u32 {
        let mut stream = connect();
        match n % 3 {
            0 => drop(stream),
            1 => {
                // Refused connections are closed before this arrives.
                let _ = stream.write_all(&n.to_le_bytes().repeat(64));
            }
            _ => {
                let _ = stream.write_all(b"GET /api/v1/state HT");
                slow.push(stream);
                if slow.len() > 200 {
                    slow.remove(0);
                }
            }
        }
    }
    drop(slow);
    until("an answer", || {
        let mut stream = connect();
        let asked =
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains("ok")
    });
    let grown = served.honed.resident().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB more");
    assert!(delivered() > start);
    std::thread::sleep(Duration::from_millis(500));
    let state = served.state();
    assert_eq!(state["source"]["reconnects"], 0, "{state}");
    assert_eq!(state["not_ready"], "", "{state}");
    assert!(served.honed.stop()["frames"].as_u64().unwrap() > start);
}

#[test]
fn other_machines_are_refused_without_protection() {
    let folder = tempfile::tempdir().unwrap();
    let page = |flags: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_honed"))
            .current_dir(folder.path())
            .args(["run", "--source", SCENE, "--sink", "null", "--frames", "3"])
            .args(["--page", "0.0.0.0:0", "--page-folder", "page"])
            .args(flags)
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (done, error) = page(&[]);
    assert!(
        !done && error.contains("without TLS") && error.contains("--page-tls"),
        "{error}"
    );
    let (done, error) = page(&["--page-tls"]);
    assert!(!done && error.contains("honed token create"), "{error}");
    honed_token(folder.path(), &["create", "phone"]);
    let (done, error) = page(&["--page-tls"]);
    assert!(done && error.contains("certificate SHA-256 "), "{error}");
    assert!(honed_token(folder.path(), &["list"]).contains("phone"));
    honed_token(folder.path(), &["revoke", "phone"]);
    assert_eq!(honed_token(folder.path(), &["list", "--json"]), "[]");
    let (done, error) = page(&["--page-insecure-beyond-loopback"]);
    assert!(done && error.contains("nobody is let in"), "{error}");
}
