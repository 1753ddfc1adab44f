use std::time::{Duration, Instant};

use hone_shared::telemetry::{BoardState, Message, Phase};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::*;

fn message(board: &str, run: u64, sequence: u64) -> Message {
    let state = BoardState {
        model: "Raspberry Pi 4 Model B Rev 1.4".into(),
        version: "0.1.0".into(),
        bundle: "mixed 1.0.0".into(),
        level: "medium".into(),
        phase: Phase::Live,
        degraded: false,
        fps: 29.97,
        age_p50_ms: 20.0,
        age_p99_ms: 31.0,
        engine_ms: 9.0,
        celsius: Some(61.0),
        throttled: false,
        frames: 100,
        dropped: 3,
        slates: 0,
        failed: 0,
        reconnects: 0,
        uptime_s: 4,
        unsent: 0,
        notice: "live".into(),
    };
    Message {
        board: board.into(),
        run,
        sequence,
        state,
    }
}

type Change = fn(&mut Message);

fn event(address: &str, news: News) -> Event {
    let address = address.to_owned();
    Event { address, news }
}

fn said(address: &str, change: impl FnOnce(&mut Message)) -> Event {
    let mut message = message(address, 1, 0);
    change(&mut message);
    event(address, News::Message(Box::new(message)))
}

fn row<'a>(fleet: &'a Fleet, address: &str) -> &'a Row {
    let rows = fleet.sorted(Column::Address, false, Instant::now());
    rows.into_iter().find(|row| row.address == address).unwrap()
}

#[test]
fn gaps_count_only_while_the_connection_holds() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    let mut hear = |news| fleet.hear(event("a", news), now);
    let told = |run, sequence| News::Message(Box::new(message("a", run, sequence)));
    hear(News::Connected);
    // What was before we came is not ours to miss.
    hear(told(1, 50));
    hear(told(1, 51));
    hear(told(1, 54));
    hear(News::Lost("gone".into()));
    hear(News::Connected);
    hear(told(1, 90));
    hear(told(1, 90));
    hear(told(2, 0));
    hear(News::Damaged("x".into()));
    let row = row(&fleet, "a");
    assert_eq!((row.missed, row.restarts, row.damaged), (2, 1, 1));
}

#[test]
fn every_kind_of_trouble_has_its_words() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    let cases: [(Change, &str, Trouble); 7] = [
        (|_| {}, "live", Trouble::None),
        (|m| m.state.degraded = true, "live, degraded", Trouble::Some),
        (|m| m.state.celsius = Some(79.0), "live, hot", Trouble::Some),
        (
            |m| m.state.throttled = true,
            "live, throttled",
            Trouble::Some,
        ),
        (|m| m.state.age_p99_ms = 500.0, "live, late", Trouble::Some),
        (
            |m| m.state.phase = Phase::Untouched,
            "untouched",
            Trouble::Some,
        ),
        (
            |m| {
                m.state.phase = Phase::Dark;
                m.state.notice = "no frame for 5.0 s".into();
            },
            "dark: no frame for 5.0 s",
            Trouble::Much,
        ),
    ];
    for (change, words, trouble) in cases {
        fleet.hear(said("a", change), now);
        assert_eq!(row(&fleet, "a").verdict(now), (words.to_owned(), trouble));
    }
    let later = now + Duration::from_secs(6);
    assert_eq!(row(&fleet, "a").verdict(later).0, "silent");
    fleet.hear(event("a", News::Online(false)), now);
    assert_eq!(
        row(&fleet, "a").verdict(now),
        ("offline".into(), Trouble::Much)
    );
    fleet.hear(event("a", News::Online(true)), now);
    fleet.hear(said("a", |_| {}), now);
    assert_eq!(row(&fleet, "a").verdict(now).1, Trouble::None);
}

#[test]
fn a_broker_is_a_row_only_while_it_is_away_and_boards_have_an_end() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    fleet.expect("broker:1883", true);
    fleet.hear(event("broker:1883", News::Lost("no answer".into())), now);
    assert_eq!(fleet.sorted(Column::Trouble, false, now).len(), 1);
    let head = &picture(&mut View::default(), &fleet, 8)[0].0;
    assert!(
        head.contains("0 boards, 0 well, 0 to look at, 0 in trouble")
            && head.contains("1 broker away"),
        "{head}"
    );
    fleet.hear(event("broker:1883", News::Connected), now);
    for n in 0..5000 {
        fleet.hear(event(&format!("broker:1883/{n}"), News::Online(true)), now);
    }
    assert_eq!(fleet.sorted(Column::Trouble, false, now).len(), 4095);
    assert!(fleet.turned_away);
}

/// The lines of a picture of `fleet`, and the colours of their first letters.
fn picture(view: &mut View, fleet: &Fleet, height: u16) -> Vec<(String, Color)> {
    let mut terminal = Terminal::new(TestBackend::new(140, height)).unwrap();
    terminal
        .draw(|frame| view.draw(frame, fleet, Instant::now()))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| {
        (0..140)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..height)
        .map(|y| (line(y).trim_end().to_owned(), buffer[(0, y)].fg))
        .collect()
}

#[test]
fn the_table_shows_trouble_first_and_in_colour() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    fleet.expect("10.0.0.9:8080", false);
    fleet.hear(said("10.0.0.1:8080", |m| m.board = "north".into()), now);
    fleet.hear(said("10.0.0.2:8080", |m| m.state.celsius = Some(78.0)), now);
    let lines = picture(&mut View::default(), &fleet, 8);
    let text: Vec<&str> = lines.iter().map(|(text, _)| text.as_str()).collect();
    assert!(
        text[0].contains("3 boards, 1 well, 1 to look at, 1 in trouble"),
        "{text:#?}"
    );
    assert!(!text[0].contains("broker"), "{text:#?}");
    let columns: Vec<&str> = text[1].split_whitespace().collect();
    assert_eq!(
        columns.join(" "),
        "address board model bundle level fps age p99 C drops seen state"
    );
    assert!(
        text[2].starts_with("10.0.0.9:8080") && text[2].ends_with("connecting"),
        "{text:#?}"
    );
    assert!(text[3].contains("live, hot"), "{text:#?}");
    let well: Vec<&str> = text[4].split_whitespace().collect();
    assert_eq!(
        well.join(" "),
        "10.0.0.1:8080 north Raspberry Pi 4 Mod mixed 1.0.0 medium 30.0 31 ms 61 3 0 s live"
    );
    let colours: Vec<Color> = lines[2..5].iter().map(|(_, colour)| *colour).collect();
    assert_eq!(colours, [Color::Red, Color::Yellow, Color::Reset]);
    assert!(
        text[7].contains("sorted by trouble") && text[7].contains("q quit"),
        "{text:#?}"
    );
}

#[test]
fn keys_sort_reverse_scroll_and_quit() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    for n in 0..200_u8 {
        fleet.hear(
            said(&format!("board-{n:03}"), |m| m.state.fps = f32::from(n)),
            now,
        );
    }
    let mut view = View::default();
    let press = |view: &mut View, code| view.key(KeyEvent::new(code, KeyModifiers::NONE));
    let first = |view: &mut View| picture(view, &fleet, 13)[2].0[..9].to_owned();
    assert_eq!(first(&mut view), "board-000");
    press(&mut view, KeyCode::Char('r'));
    assert_eq!(first(&mut view), "board-000", "equals stay in order");
    for _ in 0..4 {
        press(&mut view, KeyCode::Char('s'));
    }
    assert_eq!(first(&mut view), "board-199", "by fps, reversed");
    press(&mut view, KeyCode::Char('r'));
    press(&mut view, KeyCode::Down);
    assert_eq!(first(&mut view), "board-001");
    press(&mut view, KeyCode::PageDown);
    assert_eq!(first(&mut view), "board-011");
    for _ in 0..50 {
        press(&mut view, KeyCode::PageDown);
    }
    assert_eq!(first(&mut view), "board-190");
    press(&mut view, KeyCode::Home);
    press(&mut view, KeyCode::Left);
    assert_eq!(first(&mut view), "board-000");
    assert!(!press(&mut view, KeyCode::Char('q')));
    assert!(!view.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
}

#[test]
fn places_are_read_as_honed_listens() {
    let page = |text: &str| text.parse::<Page>();
    for (text, address) in [
        ("north.local", "north.local:8443"),
        ("10.0.0.7:99", "10.0.0.7:99"),
        ("https://[::1]/", "[::1]:8443"),
        ("http://north:80", "north:80"),
    ] {
        assert_eq!(page(text).unwrap().address(), address);
    }
    assert_eq!(page("localhost"), page("http://localhost:8080"));
    assert_eq!(page("127.0.0.9"), page("http://127.0.0.9"));
    assert_eq!(page("north"), page("https://north"));
    assert_eq!(page("localhost:8443"), page("https://localhost"));
    for wrong in ["", "ftp://x", "x:0", "x:y", "http://"] {
        assert!(page(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn events_are_lines_of_json_until_nobody_reads() {
    let (send, receive) = channel(8);
    for news in [
        News::Connected,
        News::Message(Box::new(message("north", 1, 7))),
        News::Lost("no answer".into()),
    ] {
        send.try_send(event("a:1", news)).unwrap();
    }
    drop(send);
    let mut out = Vec::new();
    stream(receive, &mut out).unwrap();
    let lines: Vec<serde_json::Value> = out
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        serde_json::json!({"address": "a:1", "event": "connected"})
    );
    assert_eq!(
        (&lines[1]["event"], &lines[1]["sequence"]),
        (&"state".into(), &7.into())
    );
    assert_eq!(lines[1]["state"]["phase"], "live");
    assert_eq!(lines[2]["reason"], "no answer");
}
