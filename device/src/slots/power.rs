//! Whatever call a power cut follows, a board starts a slot that is whole.

use super::tests::{board, install, policy, runs, trying};
use super::twin::{MemoryDisk, Unsynced};
use super::*;

type Operation = fn(&Slots<MemoryDisk>) -> Result<(), SlotsError>;
/// A name, a board, what is done to it, and the releases that may run when it is cut off; the last
/// one is that of the finished operation.
type Case = (
    &'static str,
    Slots<MemoryDisk>,
    Operation,
    &'static [Option<&'static str>],
);

#[test]
fn a_power_cut_after_any_call_leaves_a_working_slot() {
    let update: Operation = |slots| install(slots, "3.0.0").map(drop);
    let begin: Operation = |slots| slots.begin(&policy()).map(drop);
    let confirm: Operation = |slots| slots.confirm(&trying(slots)).map(drop);
    let fail: Operation = |slots| slots.fail(&trying(slots), "late").map(drop);
    let give_up: Operation = |slots| {
        let tried = trying(slots);
        slots.give_up(&tried, "it does not start").map(drop)
    };
    let roll_back: Operation = |slots| slots.roll_back(&policy()).map(drop);
    let tired = board(&["1.0.0", "2.0.0"], true);
    for _ in 0..MOST_STARTS {
        tired.begin(&policy()).unwrap();
    }
    let cases: [Case; 10] = [
        (
            "first install",
            board(&[], false),
            update,
            &[None, Some("3.0.0")],
        ),
        (
            "second install",
            board(&["1.0.0"], false),
            update,
            &[Some("1.0.0"), Some("3.0.0")],
        ),
        (
            "third install",
            board(&["1.0.0", "2.0.0"], false),
            update,
            &[Some("2.0.0"), Some("3.0.0")],
        ),
        (
            "install during a trial",
            board(&["1.0.0", "2.0.0"], true),
            update,
            &[Some("2.0.0"), Some("1.0.0"), Some("3.0.0")],
        ),
        (
            "start on trial",
            board(&["1.0.0", "2.0.0"], true),
            begin,
            &[Some("2.0.0")],
        ),
        ("one start too many", tired, begin, &[Some("1.0.0")]),
        (
            "proof",
            board(&["1.0.0", "2.0.0"], true),
            confirm,
            &[Some("2.0.0")],
        ),
        (
            "failing",
            board(&["1.0.0", "2.0.0"], true),
            fail,
            &[Some("2.0.0"), Some("1.0.0")],
        ),
        (
            "giving up",
            board(&["1.0.0", "2.0.0"], true),
            give_up,
            &[Some("2.0.0"), Some("1.0.0")],
        ),
        (
            "going back",
            board(&["1.0.0", "2.0.0"], false),
            roll_back,
            &[Some("2.0.0"), Some("1.0.0")],
        ),
    ];
    let mut cuts = 0;
    for (name, before, operation, allowed) in cases {
        for calls in 0.. {
            let slots = Slots::new(before.disk.fork());
            slots.disk.cut_after(calls);
            let complete = operation(&slots).is_ok();
            for unsynced in Unsynced::ALL {
                let again = Slots::new(slots.disk.after_cut(unsynced));
                let found = runs(&again);
                let place = format!("{name}, cut after {calls} calls, unsynced {unsynced:?}");
                assert!(
                    allowed.contains(&found.as_deref()),
                    "{place}: {found:?} runs"
                );
                // What was on its way can be sent again, and works.
                install(&again, "4.0.0").unwrap_or_else(|error| panic!("{place}: {error}"));
                assert_eq!(runs(&again).as_deref(), Some("4.0.0"), "{place}");
                again.give_up(&trying(&again), "test").unwrap();
                if found.is_some() {
                    assert!(runs(&again).is_some_and(|r| r != "4.0.0"), "{place}");
                }
                cuts += 1;
            }
            if complete {
                // Acknowledged means lasting: even what was never synced is no longer needed.
                let last = runs(&Slots::new(slots.disk.after_cut(Unsynced::Lost)));
                assert_eq!(last.as_deref(), *allowed.last().unwrap(), "{name}");
                break;
            }
        }
    }
    assert!(cuts > 200, "only {cuts} power cuts were simulated");
}
