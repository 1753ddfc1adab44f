use super::*;
use crate::camera::dials::Dials;
use crate::camera::sharpener::Sharpener;
use crate::journal::Journal;

fn board() -> BoardState {
    let sharpener = Sharpener::new(Vec::new(), Arc::<Dials>::default()).unwrap();
    BoardState::new("test", None, Arc::new(sharpener), Journal::default())
}

#[test]
fn frames_are_counted_over_the_time_in_which_they_came() {
    let begin = Instant::now();
    let at = |ms: u64, frames: u64| {
        let measured = Measured {
            frames,
            ..Measured::default()
        };
        (begin + Duration::from_millis(ms), Arc::new(measured))
    };
    let (oldest, newest) = (at(0, 10), at(5000, 160));
    let found = |ms| fps(&newest, &oldest, begin + Duration::from_millis(ms));
    assert_eq!([found(5000), found(5270)], [30.0, 30.0]);
    // A session that is stuck publishes no more.
    assert_eq!(found(10_000), 15.0);
    assert_eq!(fps(&newest, &newest, newest.0), 0.0);
}

#[test]
fn frames_that_are_left_out_or_on_their_way_are_not_lost() {
    let board = board();
    let told = |given: u64, taken: u64| {
        let mut measured = Measured {
            captured: given + 53,
            frames: given,
            sinks: vec![MeasuredSink {
                given,
                taken,
                ..MeasuredSink::default()
            }],
            ..Measured::default()
        };
        measured.sharpen.skipped = 50;
        board.publish(measured);
        let now = board.snapshot();
        assert_eq!((now.frames.skipped, now.frames.dropped), (50, 0));
        now.sinks[0].dropped
    };
    let given = [(40, 38), (50, 46), (60, 50), (70, 68), (80, 70)];
    let dropped = given.map(|(given, taken)| told(given, taken));
    assert_eq!(dropped, [0, 0, 6, 6, 6]);
}

#[test]
fn seconds_without_a_frame_have_no_age() {
    let board = board();
    let mut measured = Measured {
        frames: 1,
        ..Measured::default()
    };
    measured.age.add(Duration::from_millis(40));
    measured.sharpen.time.add(Duration::from_millis(20));
    board.publish(measured.clone());
    let first = board.snapshot();
    assert!(first.age_ms.p50 > 30.0 && first.engine_ms.p50 > 15.0);
    board.publish(measured);
    let then = board.snapshot();
    assert_eq!((then.age_ms.p50, then.engine_ms.p50), (0.0, 0.0));
}
