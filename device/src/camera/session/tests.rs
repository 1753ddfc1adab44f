//! Sessions over in-memory cameras and outputs, on a clock that tests turn.

mod outages;

use std::sync::Mutex;

use hone_shared::student::Colour;

use super::*;
use crate::camera::sharpener::{Level, lock};
use crate::camera::twin::{
    Collected, CollectingOutput, InvertingEngine, ManualClock, Script, ScriptedCamera,
};
use crate::governor::thermometer::{Reading, SetThermometer};
use crate::gpio::{Lamp, LampState};

fn caps() -> gst::Caps {
    gst::init().unwrap();
    "video/x-raw,format=GRAY8,width=96,height=64,framerate=30/1"
        .parse()
        .unwrap()
}

fn plan() -> Plan {
    Plan {
        source: "twin".into(),
        frames: None,
        comes_back: true,
        service: false,
        keep_trying: false,
        looping: false,
        stall: Duration::from_secs(2),
        fallback: caps(),
        governed_fps: None,
        tally: None,
        board: None,
        status_every: None,
    }
}

/// Plays one script after another, each when the camera is opened once more; so do the frames that the output fails at.
fn play(
    plan: Plan,
    scripts: Vec<Vec<Script>>,
    output_fails_at: impl IntoIterator<Item = u64>,
    seconds: u64,
) -> (Result<RunReport, CameraError>, Vec<Event>, Collected) {
    let sharpener = Sharpener::new(Vec::new(), Arc::default()).unwrap();
    play_on(
        sharpener,
        Reading::default(),
        plan,
        scripts,
        output_fails_at,
        seconds,
    )
}

/// The same with these students on a board in this state.
fn play_on(
    sharpener: Sharpener,
    board: Reading,
    plan: Plan,
    scripts: Vec<Vec<Script>>,
    output_fails_at: impl IntoIterator<Item = u64>,
    seconds: u64,
) -> (Result<RunReport, CameraError>, Vec<Event>, Collected) {
    let caps = plan.fallback.clone();
    let clock = ManualClock::default();
    let scripts = Mutex::new(scripts.into_iter());
    let open: Arc<OpenCamera> = {
        let (clock, caps) = (clock.clone(), caps.clone());
        Arc::new(move |_| match lock(&scripts).next() {
            Some(script) => Ok(Box::new(ScriptedCamera::new(
                script,
                clock.clone(),
                caps.clone(),
            ))),
            None => Err(CameraError::Source {
                source_name: "twin".into(),
                reason: "unplugged".into(),
            }),
        })
    };
    let collected = Collected::default();
    let failures = Mutex::new(Vec::from_iter(output_fails_at).into_iter());
    let open_output: Arc<OpenOutput> = {
        let collected = collected.clone();
        Arc::new(move |_| {
            let fails_at = lock(&failures).next();
            Ok(Box::new(CollectingOutput::new(collected.clone(), fails_at)))
        })
    };
    let outputs = vec![Slot::up(open_output(0).unwrap())];
    let camera = open(None).ok();
    let mut events = Vec::new();
    let mut notify = |event: &Event| events.push(event.clone());
    let mut thermometer = SetThermometer(Arc::new(Mutex::new(board)));
    let sharpener = Arc::new(sharpener);
    let world = World {
        camera,
        open_camera: open,
        outputs,
        open_output,
        sharpener,
        clock: &clock,
        thermometer: &mut thermometer,
        notify: &mut notify,
    };
    let session = Session::new(plan, world);
    let report = session.run(&|| clock.now().seconds() >= seconds, &|| {});
    (report, events, collected)
}

fn frames(count: usize) -> Vec<Script> {
    vec![Script::Frame; count]
}

/// Timestamps only go forward, and no gap is longer than `longest`.
fn steady(collected: &Collected, longest: Duration) {
    let times = lock(&collected.times);
    for pair in times.windows(2) {
        assert!(pair[0] < pair[1], "{pair:?}");
        let gap = Duration::from(pair[1] - pair[0]);
        assert!(gap <= longest, "a gap of {gap:?}");
    }
}

#[test]
fn a_board_that_is_too_slow_still_shows_every_frame() {
    let (report, events, collected) = play(
        plan(),
        vec![[frames(1), vec![Script::Slow; 20]].concat()],
        None,
        9,
    );
    let report = report.unwrap();
    assert_eq!(report.frames, 21, "{report}");
    // Until it is known how slow it is, frames stand in at the declared rate.
    assert!((1..40).contains(&report.slates), "{report}");
    assert!(matches!(events[..], [Event::Live, ..]), "{events:?}");
    let dark = events.iter().position(|e| matches!(e, Event::Dark(_)));
    assert!(dark.is_none_or(|at| at == 1), "{events:?}");
    steady(&collected, Duration::from_millis(450));
}

#[test]
fn a_slow_camera_that_declares_no_rate_is_not_taken_for_a_dead_one() {
    let mut free = plan();
    free.fallback
        .make_mut()
        .set("framerate", gst::Fraction::new(0, 1));
    let script = [frames(1), vec![Script::Slow; 20]].concat();
    let (report, _, collected) = play(free, vec![script], None, 12);
    let report = report.unwrap();
    assert_eq!(report.frames, 21, "{report}");
    // After the last frame, five intervals of 0.4 s pass; then one slate goes out in each.
    assert!((4..=6).contains(&report.slates), "{report}");
    // Its frames are 0.4 s old when they come.
    steady(&collected, Duration::from_millis(2450));
}

#[test]
fn frames_that_are_on_their_way_at_the_end_are_not_lost() {
    for (held, dropped) in [(0, 0), (2, 0), (5, 2)] {
        let few = Plan {
            frames: Some(3),
            ..plan()
        };
        let script = [vec![Script::Held; held], frames(3)].concat();
        let report = play(few, vec![script], None, 9).0.unwrap();
        assert_eq!((report.frames, report.dropped), (3, dropped), "{report}");
    }
}

#[test]
fn an_output_that_fails_is_started_again() {
    // Time enough for the threads that stop and start it, whatever else the machine does.
    let (report, events, collected) = play(plan(), vec![frames(2000)], Some(20), 66);
    let report = report.unwrap();
    assert_eq!(report.outputs[0].restarts, 1);
    assert!(
        events.iter().any(|e| matches!(e, Event::OutputBack(_))),
        "{events:?}"
    );
    assert!(lock(&collected.times).len() > 70);
}

#[test]
fn an_output_that_fails_again_and_again_is_lost_once() {
    let (report, events, _) = play(plan(), vec![frames(8000)], [20, 1, 1], 100);
    assert_eq!(report.unwrap().outputs[0].restarts, 3);
    let lamp = Lamp::default();
    let lost = |e: &&Event| e.to_string().starts_with("output lost, trying again");
    assert_eq!(events.iter().filter(lost).count(), 3, "{events:?}");
    for event in &events {
        lamp.hear(event);
    }
    assert_eq!(lamp.state(), LampState::Live, "{events:?}");
}

#[test]
fn a_file_that_fails_is_an_error_and_nothing_is_completed() {
    let file = Plan {
        comes_back: false,
        ..plan()
    };
    let script = [frames(5), vec![Script::Fail]].concat();
    let (report, _, collected) = play(file, vec![script], None, 60);
    assert!(report.is_err());
    assert!(!*lock(&collected.finished));
}

#[test]
fn what_stands_in_comes_after_frames_of_a_camera_whose_clock_is_ahead() {
    let script = [vec![Script::Ahead; 10], vec![Script::Silence]].concat();
    let (report, _, collected) = play(plan(), vec![script], None, 2);
    let report = report.unwrap();
    assert!(report.slates > 20, "{report}");
    steady(&collected, Duration::from_millis(260));
}

#[test]
fn a_camera_that_declares_more_than_it_gives_gets_few_stand_ins() {
    let mut boasts = plan();
    boasts
        .fallback
        .make_mut()
        .set("framerate", gst::Fraction::new(1000, 1));
    let script = [frames(1), vec![Script::Slow; 10]].concat();
    let (report, _, _) = play(boasts, vec![script], None, 5);
    // One each millisecond between the first four frames, and none after.
    assert!(report.unwrap().slates < 1200);
}

#[test]
fn the_governor_hears_the_thermometer_unless_a_person_switched_sharpening_off() {
    let hot = Reading {
        celsius: Some(90.0),
        throttled: false,
    };
    for bypass in [false, true] {
        let levels = ["large", "small"].map(|name| Level {
            name: name.into(),
            engine: Box::new(InvertingEngine::new(Colour::Luma)),
        });
        let governed = Plan {
            governed_fps: Some(30.0),
            ..plan()
        };
        let sharpener = Sharpener::new(levels.into(), Arc::default()).unwrap();
        sharpener.dials().set_bypass(bypass);
        let (_, events, _) = play_on(sharpener, hot, governed, vec![frames(75)], None, 2);
        let step = events.iter().find_map(|event| match event {
            Event::Governed { reason, degraded } => Some((reason.as_str(), *degraded)),
            _ => None,
        });
        let down = ("large -> small: the board is at 90 degrees", true);
        assert_eq!(step, (!bypass).then_some(down), "{events:?}");
    }
}

#[test]
fn a_trial_hears_of_frames_that_go_nowhere() {
    let tally = Arc::new(crate::slots::Tally::new(Duration::from_secs(1)));
    let on_trial = Plan {
        tally: Some(tally.clone()),
        ..plan()
    };
    assert!(tally.is_empty());
    // Nothing was delivered in the end, which is an error of its own.
    let _ = play(on_trial, vec![vec![Script::Held]], None, 1);
    assert!(!tally.is_empty());
}

#[test]
fn a_rung_turns_the_dials() {
    let dials = Dials::default();
    apply(Rung::EverySecond, &dials, 3);
    assert_eq!((dials.level(), dials.every_second()), (2, true));
    apply(Rung::Bypass, &dials, 3);
    assert!(dials.untouched());
    apply(Rung::Level(0), &dials, 3);
    assert_eq!((dials.level(), dials.every_second()), (0, false));
    assert!(!dials.untouched());
}
