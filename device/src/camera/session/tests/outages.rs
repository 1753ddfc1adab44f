//! Cameras that are silent, lost, or never there.

use super::*;

#[test]
fn a_camera_that_comes_back_is_bridged_by_slates() {
    let scripts = vec![[frames(30), vec![Script::Fail]].concat(), frames(30)];
    let (report, events, collected) = play(plan(), scripts, None, 4);
    let report = report.unwrap();
    assert_eq!(report.frames, 60);
    assert!(report.slates > 3, "{report}");
    assert!(
        matches!(events[..3], [Event::Live, Event::Dark(_), Event::Live]),
        "{events:?}"
    );
    steady(&collected, Duration::from_millis(260));
}

#[test]
fn outages_in_turn_are_bridged_and_each_is_counted_and_told_once() {
    let scripts = vec![[frames(3), vec![Script::Fail]].concat(); 12];
    let (report, events, collected) = play(plan(), scripts, None, 110);
    let report = report.unwrap();
    assert_eq!(report.frames, 3 * 12);
    // After the last one no attempt succeeds, which is no further loss.
    assert_eq!(report.reconnects, 12, "{report}");
    assert_eq!(events.iter().filter(|e| **e == Event::Live).count(), 12);
    let dark = events.iter().filter(|e| matches!(e, Event::Dark(_)));
    assert_eq!(dark.count(), 12, "{events:?}");
    steady(&collected, Duration::from_millis(260));
}

#[test]
fn a_camera_that_fails_with_its_first_frames_is_opened_less_and_less_often() {
    let scripts = vec![[frames(1), vec![Script::Fail]].concat(); 300];
    let (report, _, _) = play(plan(), scripts, None, 60);
    let opened = report.unwrap().frames;
    assert!((8..20).contains(&opened), "{opened} times in a minute");
}

#[test]
fn a_slow_camera_that_is_lost_is_bridged_though_it_opens_again_and_again() {
    let stalls = Plan {
        stall: Duration::from_millis(1500),
        ..plan()
    };
    let slow = [vec![Script::Slow; 10], vec![Script::Silence]].concat();
    let silent = vec![vec![Script::Silence]; 9];
    let (report, _, collected) = play(stalls, [vec![slow], silent].concat(), None, 20);
    let report = report.unwrap();
    assert!(report.slates > 300, "{report}");
    // It is lost after the stall; its last frame was 0.4 s old when it came.
    steady(&collected, Duration::from_millis(2000));
}

#[test]
fn silence_counts_as_failure_and_is_never_dark() {
    let scripts = vec![[frames(10), vec![Script::Silence]].concat(), frames(10)];
    let (report, events, collected) = play(plan(), scripts, None, 8);
    let report = report.unwrap();
    assert_eq!(report.frames, 20);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::Dark(r) if r.contains("no frame for 2")))
    );
    steady(&collected, Duration::from_millis(260));
    assert!(report.slates > 50, "{report}");
}

#[test]
fn a_camera_that_was_never_there_is_an_error_unless_it_is_waited_for() {
    let (report, _, _) = play(plan(), vec![], None, 3);
    assert!(report.unwrap_err().to_string().contains("unplugged"));
    let patient = Plan {
        keep_trying: true,
        ..plan()
    };
    let (report, _, collected) = play(patient, vec![], None, 3);
    assert!(report.unwrap().slates > 60);
    steady(&collected, Duration::from_millis(260));
}
