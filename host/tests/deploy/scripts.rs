//! apply.sh by itself: a honed and a systemctl of a few lines say what is rare on a board.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Output};

use super::board::is_root;

/// Says its arguments to the log; what `wait` does and whether there is a trial are a test's.
const HONED: &str = r#"#!/bin/sh
echo "$(id -u) $*" >>@DIR@/log
echo "groups $(id -Gn)" >>@DIR@/log
case "$1 $2" in
  --version*) echo "honed 1.0.0" ;;
  "config --check") cat "$3" >@DIR@/judged; echo "note: $3: no token" >&2 ;;
  "slots install") echo "slot b: street 2.0.0@TRIAL@" ;;
  "slots wait") @WAIT@ ;;
  status*) echo '{"slots":{"active":"@ACTIVE@","trial":null}}' ;;
esac
"#;

struct Stage(tempfile::TempDir);

impl Stage {
    fn new(trial: &str, wait: &str, active: &str) -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        let dir = stage.path("").display().to_string();
        let honed = [
            ("@DIR@", dir.as_str()),
            ("@TRIAL@", trial),
            ("@WAIT@", wait),
            ("@ACTIVE@", active),
        ];
        let honed = honed
            .iter()
            .fold(HONED.to_owned(), |text, (from, to)| text.replace(from, to));
        stage.program("root/usr/local/bin/honed", &honed);
        // What it shows is asked for by the name after -p.
        let systemctl = format!(
            "#!/bin/sh\necho \"systemctl $*\" >>{dir}/log\n\
             [ \"$1\" != show ] || exec cat \"{dir}/show/$4\"\n[ ! -f {dir}/down ] || exit 3\n"
        );
        stage.program("bin/systemctl", &systemctl);
        stage.write("root/etc/honed.toml", "before");
        stage.write("stage/files/etc/honed.toml", "after");
        // What the programs of others are to write to.
        let open = PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(stage.path(""), open).unwrap();
        stage
    }

    fn with_update(self) -> Self {
        self.write("stage/update/bundle.hone", "bundle");
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        let mode = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn apply(&self, umask: &str) -> Output {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/deploy/apply.sh");
        let path = std::env::var("PATH").unwrap();
        Command::new("sh")
            .args(["-c", &format!("umask {umask}; exec sh \"$@\""), "sh"])
            .args([script, self.path("stage").to_str().unwrap()])
            .args([self.path("root").to_str().unwrap(), "5"])
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .output()
            .unwrap()
    }
}

#[test]
fn a_lost_connection_is_no_update_given_up() {
    // What honed ends with that writes where nobody listens.
    let lost = Stage::new(", on trial", "exit 141", "b").with_update();
    assert!(!lost.apply("022").status.success());
    assert_eq!(lost.text("root/etc/honed.toml"), "after");
    let given_up = Stage::new(", on trial", "echo 'error: given up' >&2; exit 1", "a");
    let output = given_up.with_update();
    let said = output.apply("022");
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(
        error.contains("the configuration before is back too"),
        "{error}"
    );
    assert_eq!(output.text("root/etc/honed.toml"), "before");
}

#[test]
fn what_a_slot_says_reaches_the_workstation() {
    let stage = Stage::new(", on trial", "echo 'slot b: street 2.0.0'", "b").with_update();
    let output = stage.apply("022");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("note: no token\n"), "{said}");
    assert!(said.ends_with("slot b: street 2.0.0\n"), "{said}");
}

#[test]
fn without_a_trial_the_service_has_to_be_up() {
    let stage = Stage::new("", "exit 0", "b").with_update();
    stage.write("down", "");
    let output = stage.apply("022");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("honed does not start"), "{error}");
    assert_eq!(stage.text("root/etc/honed.toml"), "before");
    std::fs::remove_file(stage.path("down")).unwrap();
    let output = stage.apply("022");
    assert!(output.status.success(), "{output:?}");
    assert!(!stage.text("log").contains("slots wait"));
}

#[test]
fn what_the_service_goes_on_without_is_told() {
    let journal = "#!/bin/sh\n[ \"$4\" != _SYSTEMD_INVOCATION_ID=c0ffee ] || printf '%s\\n' \
        'warning: cannot listen on [::]:80; trying again' 'warning: it is hot' 'live'\n";
    for trial in ["", ", on trial"] {
        let stage = Stage::new(trial, "exit 0", "b").with_update();
        stage.write("show/InvocationID", "c0ffee\n");
        stage.program("bin/journalctl", journal);
        let output = stage.apply("022");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        let note = "note: cannot listen on [::]:80; trying again\n";
        assert!(said.contains(note) && !said.contains("hot"), "{said}");
    }
}

#[test]
fn settings_with_an_output_that_does_not_start_are_refused() {
    let journal =
        "#!/bin/sh\necho 'output lost, trying again: cannot write /clips: Read-only file system'\n";
    let stage = Stage::new("", "exit 0", "b").with_update();
    stage.write("show/InvocationID", "c0ffee\n");
    stage.program("bin/journalctl", journal);
    let output = stage.apply("022");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    assert!(
        error.contains("are back: cannot write /clips: Read-only"),
        "{error}"
    );
    assert_eq!(stage.text("root/etc/honed.toml"), "before");
}

#[test]
fn a_narrow_umask_keeps_nothing_from_the_service() {
    let stage = Stage::new(", on trial", "exit 0", "b").with_update();
    stage.write("stage/files/etc/honed/key.pub", "key");
    assert!(stage.apply("077").status.success());
    let mode = |name: &str| {
        let meta = std::fs::metadata(stage.path(name)).unwrap();
        meta.permissions().mode() & 0o777
    };
    assert_eq!(mode("root/etc/honed"), 0o755);
}

#[test]
fn root_neither_runs_nor_writes_what_the_services_user_laid_out() {
    if !is_root() {
        eprintln!("skipped: only root can be led astray");
        return;
    }
    let stage = Stage::new("", "exit 0", "a");
    let slot = stage.text("root/usr/local/bin/honed");
    stage.program("root/var/lib/honed/a/honed", &slot);
    // By a drop-in.
    stage.write("show/SupplementaryGroups", "daemon\n");
    let victim = stage.path("victim");
    stage.write("victim", "whole");
    let state = stage.path("root/var/lib/honed");
    std::os::unix::fs::symlink(&victim, state.join("deploy.lock")).unwrap();
    std::os::unix::fs::chown(&state, Some(65_534), Some(65_534)).unwrap();
    stage.write("log", "");
    let open = PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(stage.path("log"), open).unwrap();
    let output = stage.apply("022");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stage.text("victim"), "whole");
    let log = stage.text("log");
    assert!(log.contains("65534 config --check /dev/stdin"), "{log}");
    let mut groups = log.lines().filter(|line| line.starts_with("groups "));
    assert!(groups.any(|line| line.ends_with(" daemon")), "{log}");
    assert_eq!(stage.text("judged"), "after");
    let judged = std::fs::metadata(stage.path("judged")).unwrap();
    assert_eq!(judged.uid(), 65_534);
}
