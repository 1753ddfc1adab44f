//! What the terminal shows.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::*;

/// The lines of a picture of `fleet`, and the colours of their first letters.
pub(super) fn picture(
    view: &mut View,
    fleet: &Fleet,
    width: u16,
    height: u16,
) -> Vec<(String, Color)> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| view.draw(frame, fleet, Instant::now()))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| {
        (0..width)
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
    let lines = picture(&mut View::default(), &fleet, 140, 8);
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
    // The first row shown, and the one of which all is told.
    let seen = |view: &mut View| {
        let lines = picture(view, &fleet, 140, 15);
        [lines[2].0[6..9].to_owned(), lines[11].0[7..10].to_owned()]
    };
    assert_eq!(seen(&mut view), ["000", "000"]);
    press(&mut view, KeyCode::Char('r'));
    assert_eq!(seen(&mut view), ["000", "000"], "equals stay in order");
    for _ in 0..4 {
        press(&mut view, KeyCode::Char('s'));
    }
    assert_eq!(seen(&mut view), ["199", "199"], "by fps, reversed");
    press(&mut view, KeyCode::Char('r'));
    press(&mut view, KeyCode::Down);
    assert_eq!(seen(&mut view), ["000", "001"]);
    press(&mut view, KeyCode::PageDown);
    assert_eq!(seen(&mut view), ["002", "010"]);
    press(&mut view, KeyCode::Up);
    assert_eq!(seen(&mut view), ["002", "009"]);
    for _ in 0..50 {
        press(&mut view, KeyCode::PageDown);
    }
    assert_eq!(seen(&mut view), ["191", "199"]);
    press(&mut view, KeyCode::Home);
    press(&mut view, KeyCode::Left);
    assert_eq!(seen(&mut view), ["000", "000"]);
    assert!(!press(&mut view, KeyCode::Char('q')));
    assert!(!view.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
}

#[test]
fn a_chosen_board_stays_chosen_when_rows_change_places() {
    // Nobody falls silent meanwhile, however slow the machine is.
    let (mut fleet, now) = (Fleet::default(), Instant::now() + Duration::from_secs(3600));
    for address in ["b:1/t/a", "b:1/t/b", "b:1/t/c"] {
        fleet.hear(said(address, |_| {}), now);
    }
    let mut view = View::default();
    let press = |view: &mut View, code| view.key(KeyEvent::new(code, KeyModifiers::NONE));
    let told = |view: &mut View, fleet: &Fleet| {
        let detail = picture(view, fleet, 140, 8)[6].0.clone();
        detail[..8].trim().to_owned()
    };
    assert_eq!(told(&mut view, &fleet), "b:1/t/a");
    // Nobody chose a board: what is worst is told.
    fleet.hear(event("b:1/t/c", News::Online(false)), now);
    assert_eq!(told(&mut view, &fleet), "b:1/t/c");
    press(&mut view, KeyCode::Down);
    assert_eq!(told(&mut view, &fleet), "b:1/t/a");
    fleet.hear(event("b:1/t/b", News::Online(false)), now);
    assert_eq!(told(&mut view, &fleet), "b:1/t/a");
    fleet.hear(event("b:1/t/a", News::Online(false)), now);
    assert_eq!(told(&mut view, &fleet), "b:1/t/a");
    fleet.hear(event("b:1/t/a", News::Forgotten), now);
    assert_eq!(told(&mut view, &fleet), "b:1/t/b");
    fleet.hear(said("b:1/t/b", |_| {}), now);
    assert_eq!(told(&mut view, &fleet), "b:1/t/b");
    press(&mut view, KeyCode::Home);
    assert_eq!(told(&mut view, &fleet), "b:1/t/c");
    fleet.hear(event("b:1/t/b", News::Online(false)), now);
    fleet.hear(said("b:1/t/c", |_| {}), now);
    assert_eq!(told(&mut view, &fleet), "b:1/t/b");
}

#[test]
fn a_terminal_of_any_width_tells_boards_apart_and_what_is_wrong() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    let broker = "mqtt.factory.example:8883/site/hall";
    fleet.expect(broker, true);
    fleet.hear(event(broker, News::Connected), now);
    for n in 1..=9 {
        let mut message = message(&format!("north-{n}"), 1, 0);
        if n == 4 {
            message.state.phase = Phase::Dark;
            message.state.notice =
                "/dev/video0 is gone: is its cable loose, or its supply too weak for the camera?"
                    .into();
        }
        let address = format!("{broker}/north-{n}");
        fleet.hear(event(&address, News::Message(Box::new(message))), now);
    }
    for (width, columns) in [
        (80, "address level fps age p99 C drops seen state"),
        (100, "address bundle level fps age p99 C drops seen state"),
        (
            140,
            "address model bundle level fps age p99 C drops seen state",
        ),
    ] {
        let lines = picture(&mut View::default(), &fleet, width, 24);
        let text: Vec<&str> = lines.iter().map(|(text, _)| text.as_str()).collect();
        let head: Vec<&str> = text[1].split_whitespace().collect();
        assert_eq!(head.join(" "), columns, "{text:#?}");
        assert!(
            text[2].starts_with("north-4 ") && text[2].contains("dark: /dev/video0 is"),
            "{text:#?}"
        );
        assert!(
            text[3].starts_with("north-1 ") && text[10].starts_with("north-9 "),
            "{text:#?}"
        );
        let told: Vec<&str> = text[20..23]
            .iter()
            .flat_map(|line| line.split_whitespace())
            .collect();
        assert_eq!(
            told.join(" "),
            format!(
                "{broker}/north-4: dark: /dev/video0 is gone: is its cable loose, or its supply too weak for the camera?"
            )
        );
    }
    // Another broker may have boards of the same names.
    fleet.hear(event("b:1883/site/north-1", News::Online(true)), now);
    let lines = picture(&mut View::default(), &fleet, 80, 24);
    assert!(
        lines[2].0.starts_with(&format!("{broker}/north-4 ")),
        "{lines:#?}"
    );
}

#[test]
fn pages_show_the_boards_name_beside_their_address() {
    let (mut fleet, now) = (Fleet::default(), Instant::now());
    let named = |name: &'static str| move |m: &mut Message| m.board = name.into();
    fleet.hear(
        said("10.0.0.1:8443", named("camera-of-the-north-gate")),
        now,
    );
    fleet.hear(
        said(&format!("{}:8443", "long".repeat(16)), named("x")),
        now,
    );
    for width in [20, 80, 100, 140] {
        let lines = picture(&mut View::default(), &fleet, width, 24);
        // The longest address loses its middle, and only as much as the state needs.
        let ends = |line: &str| {
            line.starts_with("long")
                && line.contains(":8443")
                && line.contains('…') == (width < 100)
        };
        assert!(ends(&lines[3].0), "{lines:#?}");
        assert!(
            width < 140 || lines[2].0.contains(" camera-of-the-north-gate "),
            "{lines:#?}"
        );
        assert!(width < 80 || lines[2].0.ends_with("live"), "{lines:#?}");
    }
}
