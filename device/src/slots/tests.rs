use hone_shared::bundle::{Manifest, ModelEntry, Part, PartKind, Provenance, SecretKey, write};
use hone_shared::student::{Colour, Precision};

use super::twin::MemoryDisk;
use super::*;

/// A bundle of some release signed by a key, as bytes; each release has its own content.
pub(crate) fn bundle_signed(release: &str, key: u8) -> Vec<u8> {
    let student = ModelEntry {
        name: "small".into(),
        precision: Precision::Int8,
        colour: Colour::Luma,
        scale: 2,
        halo: Some(8),
        macs_per_pixel: 576.0,
        part: 0,
        metrics: Vec::new(),
    };
    let manifest = Manifest {
        name: "street".into(),
        release: release.parse().unwrap(),
        models: vec![student],
        parts: Vec::new(),
        provenance: Provenance::default(),
    };
    let part = Part {
        name: "small.onnx".into(),
        kind: PartKind::Model,
        bytes: release.repeat(300).into_bytes(),
    };
    let bundle = Bundle::new(manifest, vec![part]).unwrap();
    let mut bytes = Vec::new();
    write(&bundle.signed(&SecretKey::from_seed([key; 32])), &mut bytes).unwrap();
    bytes
}

fn bundle_of(release: &str) -> Vec<u8> {
    bundle_signed(release, 1)
}

/// Trusts these keys.
pub(crate) fn policy_of(keys: &[u8]) -> Policy {
    let public = |key: &u8| SecretKey::from_seed([*key; 32]).public();
    Policy {
        trusted: keys.iter().map(public).collect(),
        allow_unsigned: false,
    }
}

pub(super) fn policy() -> Policy {
    policy_of(&[1])
}

pub(super) fn install(slots: &Slots<MemoryDisk>, release: &str) -> Result<State, SlotsError> {
    let bundle = bundle_of(release);
    let program = format!("the program of {release}");
    let update = Update {
        bundle: &bundle,
        program: Some((program.as_bytes(), release)),
    };
    slots.install(update, &policy(), false)
}

/// A board on which these releases were installed and, but for the last one when `on_trial`, proven.
pub(super) fn board(releases: &[&str], on_trial: bool) -> Slots<MemoryDisk> {
    let slots = Slots::new(MemoryDisk::default());
    for release in releases {
        install(&slots, release).unwrap();
        if Some(release) != releases.last() || !on_trial {
            assert!(slots.confirm(&trying(&slots)).unwrap());
        }
    }
    slots
}

/// What a run of the active slot tries.
pub(super) fn trying(slots: &Slots<MemoryDisk>) -> Tried {
    let slot = slots.state().unwrap().active.unwrap();
    let begun = slots.resume(slot, &program_of(slots), &policy());
    begun.unwrap().tried()
}

/// SHA-256 of the active slot's program.
pub(super) fn program_of(slots: &Slots<MemoryDisk>) -> String {
    let state = slots.state().unwrap();
    state.running().unwrap().program.clone().unwrap().sha256
}

/// The release that a start runs, its bundle and program being whole and of one kind.
pub(super) fn runs(slots: &Slots<MemoryDisk>) -> Option<String> {
    let begun = slots.begin(&policy()).unwrap()?;
    let release = begun.bundle.manifest().release.to_string();
    let state = slots.state().unwrap();
    let (program, version) = slots.program(&state, begun.slot).unwrap().unwrap();
    assert_eq!(program, format!("the program of {release}").into_bytes());
    assert_eq!(version, release);
    Some(release)
}

#[test]
fn a_trial_that_never_proves_itself_ends_at_the_fourth_start() {
    let slots = board(&["1.0.0", "2.0.0"], true);
    for _ in 0..MOST_STARTS {
        let begun = slots.begin(&policy()).unwrap().unwrap();
        assert!(begun.on_trial);
        assert_eq!(begun.bundle.manifest().release.to_string(), "2.0.0");
    }
    let begun = slots.begin(&policy()).unwrap().unwrap();
    assert!(!begun.on_trial);
    assert_eq!(begun.bundle.manifest().release.to_string(), "1.0.0");
    assert!(begun.notice.unwrap().contains("slot b was given up"));
    assert!(matches!(
        slots.roll_back(&policy()),
        Err(SlotsError::NoSpare(_))
    ));
}

#[test]
fn the_only_slot_is_tried_for_ever() {
    let slots = board(&["1.0.0"], true);
    for _ in 0..10 {
        assert_eq!(runs(&slots).as_deref(), Some("1.0.0"));
    }
    slots.give_up(&trying(&slots), "late").unwrap();
    assert_eq!(runs(&slots).as_deref(), Some("1.0.0"));
}

#[test]
fn a_damaged_slot_gives_way_to_the_other() {
    for file in ["b/bundle.hone", "b/honed"] {
        let slots = board(&["1.0.0", "2.0.0"], false);
        slots.disk.damage(file);
        assert_eq!(runs(&slots).as_deref(), Some("1.0.0"), "{file}");
        slots.disk.damage("a/bundle.hone");
        assert!(slots.begin(&policy()).is_err());
    }
}

#[test]
fn a_lost_state_is_made_anew_from_the_slots() {
    let slots = board(&["1.0.0", "2.0.0"], false);
    slots.disk.create(STATE, false).unwrap();
    assert!(slots.begin(&policy()).unwrap().is_some());
    assert!(slots.state().unwrap().last.contains("made anew"));
}

#[test]
fn a_full_disk_refuses_the_update_and_is_left_as_it_was() {
    let slots = board(&["1.0.0"], false);
    slots.disk.room(500);
    let error = install(&slots, "2.0.0").unwrap_err();
    assert!(error.to_string().contains("write slot b"), "{error}");
    assert_eq!(runs(&slots).as_deref(), Some("1.0.0"));
    let names = slots.disk.names();
    assert!(
        !names.iter().any(|name| name.starts_with("b/")),
        "{names:?}"
    );
}

#[test]
fn only_newer_and_trusted_updates_are_taken() {
    let slots = board(&["2.0.0"], false);
    let error = install(&slots, "1.9.9").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("1.9.9 of 'street' is older than 2.0.0"),
        "{error}"
    );
    let older = bundle_of("1.9.9");
    let update = Update {
        bundle: &older,
        program: None,
    };
    let stranger = Policy::default();
    assert!(matches!(
        slots.install(update, &stranger, true),
        Err(SlotsError::Bundle(BundleError::UnknownKey(_)))
    ));
    let state = slots.install(update, &policy(), true).unwrap();
    assert_eq!(state.running().unwrap().release, "1.9.9");
    // The program of the slot before goes along.
    assert_eq!(
        state.running().unwrap().program.as_ref().unwrap().version,
        "2.0.0"
    );
}

#[test]
fn what_is_there_and_proven_is_left_alone() {
    let slots = board(&["1.0.0"], false);
    let before = slots.state().unwrap();
    slots.disk.cut_after(0);
    assert_eq!(install(&slots, "1.0.0").unwrap(), before);
}
