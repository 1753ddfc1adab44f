//! The slots as a board drives them: the real honed, updates that work, and ones that do not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hone_shared::bundle::{Bundle, Part, PartKind};

use super::bundles::{key, street};
use super::honed;
use super::pack::save;

/// A board's folder with a configuration, the trusted key, and `RELEASE.hone` for each release.
fn board(releases: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.pub"), key(1).public().to_text()).unwrap();
    for release in releases {
        let name = format!("{release}.hone");
        save(folder.path(), &name, &street(release).signed(&key(1)));
    }
    let config = "[student]\ntrusted_keys = ['key.pub']\n\
         [slots]\nfolder = 'slots'\ntrial_frames = 5\ntrial_age_ms = 10000\n\
         [source]\nname = 'gst:videotestsrc num-buffers=10 ! video/x-raw,width=64,height=48'\nkeep_trying = false\n\
         [output]\nsinks = ['null']\n";
    std::fs::write(folder.path().join("honed.toml"), config).unwrap();
    folder
}

const FLAGS: [&str; 4] = ["--folder", "slots", "--config", "honed.toml"];

fn install(folder: &Path, release: &str, more: &[&str]) -> Output {
    let bundle = format!("{release}.hone");
    let flags = ["--folder", "slots", "--config", "honed.toml"];
    honed(
        folder,
        &[&["slots", "install", &bundle], &flags[..], more].concat(),
    )
}

fn run(folder: &Path) -> Output {
    honed(folder, &["run", "--config", "honed.toml"])
}

fn done(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    format!("{}{error}", String::from_utf8_lossy(&output.stdout))
}

/// The slot's name, its release, and whether it is on trial.
fn active(folder: &Path) -> (String, String, bool) {
    let said = done(&honed(folder, &["status", "--folder", "slots", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&said).unwrap();
    let slots = &status["slots"];
    let slot = slots["active"].as_str().unwrap();
    let release = slots[slot]["release"].as_str().unwrap();
    (slot.into(), release.into(), !slots["trial"].is_null())
}

fn is(slot: &str, release: &str, on_trial: bool) -> (String, String, bool) {
    (slot.into(), release.into(), on_trial)
}

#[test]
fn a_service_starts_with_the_configuration_of_a_later_version() {
    let folder = board(&["1.0.0"]);
    let folder = folder.path();
    let path = folder.join("honed.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[slots]\n", "[slots]\nlater = 3\n")).unwrap();
    let said = done(&install(folder, "1.0.0", &[]));
    assert!(said.contains("does not know slots.later"), "{said}");
    let service = Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder)
        .env("NOTIFY_SOCKET", folder.join("nobody"))
        .args(["run", "--config", "honed.toml"])
        .output()
        .unwrap();
    let said = done(&service);
    assert!(said.contains("does not know slots.later"), "{said}");
    // At a terminal it is a mistake.
    let terminal = run(folder);
    let error = String::from_utf8_lossy(&terminal.stderr);
    assert!(
        !terminal.status.success() && error.contains("later"),
        "{error}"
    );
}

#[test]
fn frames_prove_an_update_and_a_person_can_go_back() {
    let board = board(&["1.0.0", "2.0.0"]);
    let at = board.path();
    let nothing = run(at);
    let error = String::from_utf8_lossy(&nothing.stderr);
    assert!(
        nothing.status.success() && error.contains("the one that comes with honed"),
        "{error}"
    );
    done(&install(at, "1.0.0", &[]));
    assert_eq!(active(at), is("a", "1.0.0", true));
    assert!(done(&run(at)).contains("slot a proved itself"));
    assert_eq!(active(at), is("a", "1.0.0", false));
    done(&install(at, "2.0.0", &[]));
    done(&run(at));
    assert_eq!(active(at), is("b", "2.0.0", false));
    done(&honed(
        at,
        &["slots", "wait", "--folder", "slots", "--seconds", "1"],
    ));
    let older = install(at, "1.0.0", &[]);
    assert!(String::from_utf8_lossy(&older.stderr).contains("--force"));
    done(&honed(at, &["rollback", "--folder", "slots"]));
    assert_eq!(active(at), is("a", "1.0.0", false));
    let shown = done(&honed(at, &["status", "--folder", "slots"]));
    assert!(
        shown.contains("ready to go back to") && shown.contains("street 2.0.0"),
        "{shown}"
    );
}

#[test]
fn a_first_update_that_is_judged_bad_is_told_at_once() {
    let board = board(&[]);
    let at = board.path();
    let part = Part {
        name: "small.f32.onnx".into(),
        kind: PartKind::Model,
        bytes: b"no student".to_vec(),
    };
    let broken = Bundle::new(street("1.0.0").manifest().clone(), vec![part]).unwrap();
    save(at, "1.0.0.hone", &broken.signed(&key(1)));
    done(&install(at, "1.0.0", &[]));
    assert!(!run(at).status.success());
    let begin = Instant::now();
    let waited = honed(
        at,
        &["slots", "wait", "--folder", "slots", "--seconds", "60"],
    );
    let error = String::from_utf8_lossy(&waited.stderr);
    assert!(!waited.status.success(), "{error}");
    assert!(error.contains("slot a is the only one, but "), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(30), "{error}");
}

#[test]
fn nobody_goes_back_to_a_slot_that_is_not_trusted() {
    let board = board(&["1.0.0", "2.0.0"]);
    let at = board.path();
    for release in ["1.0.0", "2.0.0"] {
        done(&install(at, release, &[]));
        done(&run(at));
    }
    let back = || honed(at, &[&["rollback"], &FLAGS[..]].concat());
    std::fs::write(at.join("key.pub"), key(2).public().to_text()).unwrap();
    let refused = back();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{error}");
    assert!(
        error.contains("slot a cannot be gone back to") && error.contains("not trusted"),
        "{error}"
    );
    assert_eq!(active(at), is("b", "2.0.0", false));
    std::fs::write(at.join("key.pub"), key(1).public().to_text()).unwrap();
    done(&back());
    assert_eq!(active(at), is("a", "1.0.0", false));
}

#[test]
fn a_program_that_crashes_gives_way_after_three_starts() {
    let board = board(&["1.0.0", "2.0.0"]);
    let at = board.path();
    let script = |name: &str, text: &str| {
        let path = at.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    script(
        "crash",
        "#!/bin/sh\n[ \"$1\" = --version ] && echo honed 9.9.9 && exit\necho crash; exit 134\n",
    );
    script(
        "broken",
        "#!/bin/sh\necho 'libc.so.6: version GLIBC_9.99 not found' >&2; exit 1\n",
    );
    script("other", "#!/bin/sh\necho something 1.0\n");
    done(&install(at, "1.0.0", &[]));
    done(&run(at));
    for (program, words) in [("broken", "GLIBC_9.99"), ("other", "is no honed")] {
        let refused = install(at, "2.0.0", &["--program", program]);
        assert!(!refused.status.success());
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(error.contains(words), "{error}");
        assert_eq!(active(at), is("a", "1.0.0", false));
    }
    done(&install(at, "2.0.0", &["--program", "crash"]));
    for _ in 0..3 {
        let crashed = run(at);
        assert_eq!(crashed.status.code(), Some(134));
        assert_eq!(active(at), is("b", "2.0.0", true));
    }
    assert!(done(&run(at)).contains("slot b was given up"));
    assert_eq!(active(at), is("a", "1.0.0", false));
}

#[test]
fn a_slots_own_program_runs_and_is_judged() {
    let board = board(&["1.0.0", "2.0.0"]);
    let at = board.path();
    done(&install(at, "1.0.0", &[]));
    done(&run(at));
    // The same honed as another file: one byte more behind its end.
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_honed")).unwrap();
    program.push(0);
    std::fs::write(at.join("honed-new"), program).unwrap();
    std::fs::set_permissions(at.join("honed-new"), PermissionsExt::from_mode(0o755)).unwrap();
    done(&install(at, "2.0.0", &["--program", "honed-new"]));
    // As when the update came after another program had been started from the slot.
    let mut old = Command::new(env!("CARGO_BIN_EXE_honed"));
    old.current_dir(at).env("HONED_SLOT", "b");
    let said = done(
        &old.args(["run", "--config", "honed.toml"])
            .output()
            .unwrap(),
    );
    assert!(!said.contains("proved itself"), "{said}");
    assert_eq!(active(at), is("b", "2.0.0", true));
    assert!(done(&run(at)).contains("slot b proved itself"));
    assert_eq!(active(at), is("b", "2.0.0", false));
}

#[test]
fn a_damaged_only_slot_leaves_the_camera_its_own_picture() {
    let board = board(&["1.0.0"]);
    let at = board.path();
    done(&install(at, "1.0.0", &[]));
    done(&run(at));
    std::fs::write(at.join("slots/a/bundle.hone"), b"half a file").unwrap();
    // At a terminal it is an error; a service goes on.
    assert_eq!(run(at).status.code(), Some(1));
    let config = std::fs::read_to_string(at.join("honed.toml")).unwrap();
    let service = config.replace("keep_trying = false", "keep_trying = true");
    std::fs::write(at.join("honed.toml"), service).unwrap();
    let said = done(&run(at));
    assert!(
        said.contains("no installed bundle can be used")
            && said.contains("frames pass as they come"),
        "{said}"
    );
    assert!(said.contains("0 sharpened, 10 untouched"), "{said}");
}

#[test]
fn a_broken_bundle_gives_way_to_the_last_good_one_and_then_to_the_camera() {
    let board = board(&["1.0.0"]);
    let at = board.path();
    std::fs::create_dir_all(at.join("slots")).unwrap();
    let config = std::fs::read_to_string(at.join("honed.toml")).unwrap();
    let service = config
        .replace("keep_trying = false", "keep_trying = true")
        .replace("[student]\n", "[student]\nbundle = 'x.hone'\n");
    std::fs::write(at.join("honed.toml"), service).unwrap();
    let (bundle, kept) = (at.join("x.hone"), at.join("slots/last-good.hone"));
    std::fs::copy(at.join("1.0.0.hone"), &bundle).unwrap();
    let said = done(&run(at));
    assert!(said.contains("10 sharpened"), "{said}");
    assert_eq!(
        std::fs::read(&kept).unwrap(),
        std::fs::read(&bundle).unwrap()
    );
    let good = std::fs::read(&bundle).unwrap();
    std::fs::write(&bundle, &good[..good.len() / 2]).unwrap();
    let said = done(&run(at));
    assert!(
        said.contains("x.hone") && said.contains("the last good one, street 1.0.0, runs"),
        "{said}"
    );
    assert!(said.contains("10 sharpened, 0 untouched"), "{said}");
    assert_eq!(std::fs::read(&kept).unwrap(), good);
    std::fs::write(&kept, b"half a file").unwrap();
    let said = done(&run(at));
    assert!(said.contains("frames pass as they come"), "{said}");
    assert!(said.contains("0 sharpened, 10 untouched"), "{said}");
    // Whoever is not trusted is not believed there either.
    std::fs::write(&kept, &good).unwrap();
    std::fs::write(at.join("key.pub"), key(2).public().to_text()).unwrap();
    let said = done(&run(at));
    assert!(said.contains("0 sharpened, 10 untouched"), "{said}");
}
