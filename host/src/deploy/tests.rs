//! Boards in turn, names, and what a deploy says.

use super::*;

#[test]
fn work_keeps_its_order() {
    let seen = Mutex::new(Vec::new());
    let rows = on_each(0..20, &|index| {
        seen.lock().unwrap().push(index);
        index * 2
    });
    assert_eq!(rows, (0..20).map(|i| i * 2).collect::<Vec<_>>());
    assert_eq!(seen.into_inner().unwrap().len(), 20);
}

/// Deploys to boards behind a stand-in for ssh, as far as a dry run goes: `slow` takes a moment to answer, `bad` has no
/// room. Gives the rows, and the boards in the order in which they answered.
fn dry_run(boards: &[&str], canary: usize) -> (Vec<Row>, Vec<String>) {
    let told = Mutex::new(Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let slots = serde_json::to_string(&hone_device::slots::State::default()).unwrap();
    let facts = format!(
        "machine=aarch64\nbits=64\nlibc=glibc 2.36\nsystem=Debian\nroot=yes\n\
         status={{\"version\":\"0.1.0\",\"bundle_format\":{},\"slots\":{slots}}}\nservice=active\nend\n",
        hone_shared::bundle::FORMAT_VERSION
    );
    std::fs::write(at("facts"), facts).unwrap();
    let script = "cd \"${0%/*}\"; while [ \"$1\" != -- ]; do shift; done\n\
        [ \"$2\" != slow ] || sleep 0.2\n\
        echo \"$2\" >>log\n\
        [ \"$2\" != bad ] || { echo no room >&2; exit 1; }\n\
        cat facts\n";
    std::fs::write(at("ssh"), script).unwrap();
    let options = Options {
        ssh: Ssh::new(&format!("sh {}", at("ssh").display()), true).unwrap(),
        root: String::new(),
        force: false,
        dry_run: true,
        wait: 0,
    };
    let boards: Vec<String> = boards.iter().map(|board| (*board).to_owned()).collect();
    let goods = plan::tests::goods("1.0.0", None);
    let rows = deploy(&boards, &goods, &options, canary, &|at, step| {
        if let Step::Done(row) = step {
            told.lock().unwrap().push((at, row.outcome.clone()));
        }
    });
    // Each was told when it was done, and once.
    let mut told = told.into_inner().unwrap();
    told.sort();
    let outcomes = rows.iter().map(|row| row.outcome.clone());
    assert_eq!(told, outcomes.enumerate().collect::<Vec<_>>());
    let named: Vec<_> = rows.iter().map(|row| row.board.clone()).collect();
    assert_eq!(named, boards);
    let log = std::fs::read_to_string(at("log")).unwrap();
    (rows, log.lines().map(str::to_owned).collect())
}

#[test]
fn canaries_come_first() {
    let (rows, answered) = dry_run(&["slow", "one", "two"], 1);
    assert!(rows.iter().all(|row| row.good), "{rows:?}");
    assert_eq!((answered[0].as_str(), answered.len()), ("slow", 3));
}

#[test]
fn nothing_reaches_the_others_when_a_canary_fails() {
    let (rows, mut answered) = dry_run(&["slow", "bad", "one", "two"], 2);
    answered.sort();
    assert_eq!(answered, ["bad", "slow"]);
    let good: Vec<bool> = rows.iter().map(|row| row.good).collect();
    assert_eq!(good, [true, false, false, false]);
    assert_eq!(rows[1].outcome, "no room");
    for row in &rows[2..] {
        assert_eq!(row.outcome, "left as it is: bad did not take the update");
    }
}

#[test]
fn a_board_has_time_for_what_is_sent_and_no_more() {
    assert_eq!(patience(0, 90), APPLY + Duration::from_secs(90));
    assert_eq!(patience(8_000_000, 0), APPLY + Duration::from_secs(1000));
}

#[test]
fn a_name_is_no_option_of_ssh() {
    let check = |name: &str| check_boards(&[name.to_owned()]);
    assert!(check("pi@camera-1.local").is_ok());
    for bad in ["-oProxyCommand=x", "", "pi@a b"] {
        assert!(check(bad).is_err(), "{bad}");
    }
    let boards = |names: [&str; 3]| check_boards(&names.map(str::to_owned));
    boards(["a", "pi@a", "b"]).unwrap();
    let error = boards(["a", "b", "a"]).unwrap_err().to_string();
    assert_eq!(error, "'a' is named twice");
    assert_eq!(root_of("/").unwrap(), "");
    assert_eq!(root_of("/srv/image/").unwrap(), "/srv/image");
    assert!(root_of("image").is_err());
}

#[test]
fn only_a_slot_that_is_on_trial_no_more_proved_itself() {
    let trial = "wrote /etc/honed.toml\nslot b: street 2.0.0, on trial\n";
    assert_eq!(slot_line(trial, false), None);
    assert_eq!(
        slot_line(trial, true),
        Some("slot b: street 2.0.0, on trial")
    );
    let proven = format!("{trial}slot b: street 2.0.0\n");
    assert_eq!(slot_line(&proven, false), Some("slot b: street 2.0.0"));
    assert_eq!(slot_line("wrote /usr/local/bin/honed\n", true), None);
    assert_eq!(
        notes(&format!("note: no token\n{proven}")),
        "\nnote: no token"
    );
    assert_eq!(notes(&proven), "");
}
