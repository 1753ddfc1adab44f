use std::time::{Duration, Instant};

use hone_shared::telemetry::{BoardState, Message, Phase};

use super::*;

mod screen;

pub(super) fn message(board: &str, run: u64, sequence: u64) -> Message {
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
    let a = row(&fleet, "a");
    assert_eq!((a.missed, a.restarts, a.damaged), (2, 1, 1));

    // What was said while the broker was away, no connection could have brought.
    let mut hear = |address: &str, news| fleet.hear(event(address, news), now);
    let told = |sequence| News::Message(Box::new(message("n", 1, sequence)));
    hear("b:1883/hone/n", told(1));
    hear("b:1883/hone/n", told(3));
    hear("b:1883/hone", News::Lost("gone".into()));
    hear("b:1883/hone", News::Connected);
    hear("b:1883/hone/n", told(60));
    hear("b:1883/hone/n", told(u64::MAX));
    hear("b:1883/hone/n", told(0));
    hear("b:1883/hone/n", told(u64::MAX));
    assert_eq!(row(&fleet, "b:1883/hone/n").missed, u64::MAX);
    let head = &screen::picture(&mut View::default(), &fleet, 140, 8)[0].0;
    assert!(
        head.contains(&format!("{} messages missed", u64::MAX)),
        "{head}"
    );
}

#[test]
fn who_never_says_anything_is_in_trouble_and_noise_is_told() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    let after = |seconds| now + Duration::from_secs(seconds);
    let verdict = |fleet: &Fleet, at| {
        let (words, trouble) = row(fleet, "a").verdict(at);
        (words, trouble == Trouble::Much)
    };
    fleet.hear(event("a", News::Online(true)), now);
    assert_eq!(verdict(&fleet, now), ("waiting".into(), false));
    assert_eq!(verdict(&fleet, after(6)), ("silent".into(), true));
    // A new connection has time of its own.
    fleet.hear(event("a", News::Lost("gone".into())), after(7));
    fleet.hear(event("a", News::Connected), after(8));
    assert_eq!(verdict(&fleet, after(9)), ("waiting".into(), false));
    fleet.hear(event("a", News::Damaged("version 2".into())), after(9));
    assert_eq!(verdict(&fleet, after(9)), ("version 2".into(), false));
    assert_eq!(verdict(&fleet, after(14)), ("version 2".into(), true));
    fleet.hear(said("a", |_| {}), after(15));
    assert_eq!(verdict(&fleet, after(15)), ("live".into(), false));
    assert_eq!(verdict(&fleet, after(21)), ("silent".into(), true));
    // Noise beside messages is no trouble; in their place it is.
    fleet.hear(said("a", |_| {}), after(22));
    fleet.hear(event("a", News::Damaged("checksum".into())), after(23));
    assert_eq!(verdict(&fleet, after(23)), ("live".into(), false));
    assert_eq!(verdict(&fleet, after(29)), ("checksum".into(), true));
    // Bytes that come are a connection.
    fleet.hear(event("fresh", News::Damaged("version 2".into())), now);
    assert_eq!(row(&fleet, "fresh").verdict(now).0, "version 2");
}

#[test]
fn a_board_that_restarts_again_and_again_is_not_well() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    let after = |minutes: u64| now + Duration::from_secs(60 * minutes);
    for run in 0..3 {
        fleet.hear(said("a", |m| m.run = run), after(run));
        assert_eq!(row(&fleet, "a").verdict(after(run)).0, "live");
    }
    fleet.hear(said("a", |m| m.run = 3), after(3));
    let (words, trouble) = row(&fleet, "a").verdict(after(3));
    assert_eq!(
        (words.as_str(), trouble),
        ("live, restarted 3 times", Trouble::Some)
    );
    fleet.hear(said("a", |m| m.run = 3), after(12));
    assert_eq!(row(&fleet, "a").verdict(after(12)).0, "live");
}

#[test]
fn a_board_whose_status_was_taken_back_goes() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    for board in ["b:1/t/north", "b:1/t/south", "b:1/t/west"] {
        fleet.hear(event(board, News::Online(false)), now);
    }
    fleet.hear(event("b:1/t/north", News::Forgotten), now);
    fleet.hear(event("b:1/t/never", News::Forgotten), now);
    fleet.hear(event("b:1/t/west", News::Online(true)), now);
    let rows = fleet.sorted(Column::Address, false, now);
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.address.as_str(), row.verdict(now).0))
        .collect();
    let wanted = [("b:1/t/south", "offline"), ("b:1/t/west", "waiting")];
    assert_eq!(
        told,
        wanted.map(|(address, words)| (address, words.to_owned()))
    );
}

#[test]
fn as_many_files_may_be_open_as_the_system_lets() {
    let before = getrlimit(Resource::Nofile);
    let few = rustix::process::Rlimit {
        current: Some(256),
        ..before
    };
    setrlimit(Resource::Nofile, few).unwrap();
    open_more();
    assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
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
    let head = &screen::picture(&mut View::default(), &fleet, 140, 8)[0].0;
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
    fleet.hear(event("broker:1883/4999", News::Forgotten), now);
    assert!(fleet.turned_away, "it had no row");
    fleet.hear(event("broker:1883/0", News::Forgotten), now);
    fleet.hear(event("broker:1883/4999", News::Online(true)), now);
    assert!(!fleet.turned_away);
    fleet.hear(event("broker:1883/0", News::Online(true)), now);
    assert!(fleet.turned_away);
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
