//! A board on this machine: a real sshd of its own on a port of its own, a folder as its root, and a
//! stand-in for systemctl that runs what the installed unit says.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use hone_shared::bundle::{
    Bundle, Manifest, ModelEntry, Part, PartKind, Provenance, SecretKey, write,
};
use hone_shared::student::{Colour, Precision};

/// Restart=always, without root and without systemd. A file `no-start` makes the next start fail.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >>@DIR@/systemctl.log
stop() {
  [ -f @DIR@/pid ] || return 0
  group=-$(cat @DIR@/pid)
  kill -s TERM -- "$group"
  for _ in $(seq 100); do kill -s 0 -- "$group" 2>/dev/null || break; sleep 0.05; done
  kill -s KILL -- "$group" 2>/dev/null
  rm -f @DIR@/pid
}
case $1 in
  start|restart)
    [ ! -f @DIR@/no-start ] || { stop; rm @DIR@/no-start; echo 'Job for honed.service failed.' >&2; exit 1; }
    stop
    command=$(sed -n 's/^ExecStart=//p' @DIR@/root/etc/systemd/system/honed.service)
    setsid sh -c "while :; do $command; sleep 0.2; done" </dev/null >>@DIR@/honed.log 2>&1 &
    echo $! >@DIR@/pid ;;
  stop) stop ;;
  is-active)
    if [ -f @DIR@/pid ] && kill -0 "$(cat @DIR@/pid)" 2>/dev/null; then echo active; else echo inactive; exit 3; fi ;;
esac
exit 0
"#;

pub struct Board {
    folder: tempfile::TempDir,
    sshd: Child,
}

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

/// A signed bundle of one small student called `level`.
pub fn bundle(level: &str, release: &str, signer: u8) -> Vec<u8> {
    let student = ModelEntry {
        name: level.into(),
        precision: Precision::F32,
        colour: Colour::Luma,
        scale: 2,
        halo: None,
        macs_per_pixel: 1.0,
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
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/tests/data/luma.onnx");
    let part = Part {
        name: "small.f32.onnx".into(),
        kind: PartKind::Model,
        bytes: std::fs::read(onnx).unwrap(),
    };
    let bundle = Bundle::new(manifest, vec![part])
        .unwrap()
        .signed(&key(signer));
    let mut bytes = Vec::new();
    write(&bundle, &mut bytes).unwrap();
    bytes
}

fn keygen(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

impl Board {
    /// A fresh board, reached as `board` by [`Board::ssh`].
    pub fn start() -> Self {
        // sshd refuses to start as root without it.
        if is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["root/var/tmp", "bin"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        keygen(&at("host_key"));
        keygen(&at("user_key"));
        keygen(&at("other_key"));
        let public = std::fs::read_to_string(at("user_key.pub")).unwrap();
        std::fs::write(at("authorized_keys"), public).unwrap();
        let systemctl = SYSTEMCTL.replace("@DIR@", folder.path().to_str().unwrap());
        program(&at("bin/systemctl"), &systemctl);
        program(&at("bin/systemd-sysusers"), "#!/bin/sh\n");
        program(&at("bin/udevadm"), "#!/bin/sh\n");
        let port = free_port();
        let dir = folder.path().display();
        let path = std::env::var("PATH").unwrap();
        std::fs::write(
            at("sshd_config"),
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host_key\nPidFile none\n\
                 AuthorizedKeysFile {dir}/authorized_keys\nStrictModes no\nUsePAM no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 PermitRootLogin yes\nSetEnv PATH={dir}/bin:{path}\n"
            ),
        )
        .unwrap();
        let sshd = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stderr(std::fs::File::create(at("sshd.log")).unwrap())
            .spawn()
            .expect("openssh-server is not installed: run `make setup`");
        let host = std::fs::read_to_string(at("host_key.pub")).unwrap();
        std::fs::write(at("known_hosts"), format!("board {host}")).unwrap();
        let board = Self { folder, sshd };
        board.reach_by(port);
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return board;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("sshd does not listen: {}", board.text("sshd.log"));
    }

    /// Makes the name `board` mean this port from now on.
    pub fn reach_by(&self, port: u16) {
        let dir = self.folder.path().display();
        let config = format!(
            "Host board\n HostName 127.0.0.1\n HostKeyAlias board\n Port {port}\n IdentityFile {dir}/user_key\n\
             Host *\n IdentitiesOnly yes\n IdentityAgent none\n UserKnownHostsFile {dir}/known_hosts\n\
             StrictHostKeyChecking yes\n"
        );
        std::fs::write(self.path("ssh_config"), config).unwrap();
    }

    pub fn port(&self) -> u16 {
        let config = self.text("sshd_config");
        let port = config
            .lines()
            .next()
            .unwrap()
            .strip_prefix("Port ")
            .unwrap();
        port.parse().unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `hone COMMAND ...` on this board.
    pub fn hone(&self, arguments: &[&str]) -> Output {
        self.start_hone(arguments).wait_with_output().unwrap()
    }

    pub fn start_hone(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_hone"))
            .args(arguments)
            .args(["--root", self.path("root").to_str().unwrap()])
            .args([
                "--ssh",
                &format!("ssh -F {}", self.path("ssh_config").display()),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A board that has honed already.
    pub fn with_honed() -> Self {
        let board = Self::start();
        let place = board.path("root/usr/local/bin");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::copy(honed(), place.join("honed")).unwrap();
        board
    }

    /// The first deploy: program, key, a configuration with a drawn camera, and release 1.0.0.
    pub fn install(&self) {
        let bundle = self.write("one.hone", &bundle("small", "1.0.0", 1));
        let public = self.write("key.pub", key(1).public().to_text().as_bytes());
        let config = self.write("board.toml", self.config(10_000, 600).as_bytes());
        let honed = honed();
        let output = self.hone(&[
            "deploy",
            "board",
            &bundle,
            "--program",
            honed.to_str().unwrap(),
            "--trusted-key",
            &public,
            "--config",
            &config,
            "--wait",
            "300",
        ]);
        let said = done(&output);
        assert!(
            said.contains("proved itself"),
            "{said}\n{}",
            self.text("honed.log")
        );
    }

    /// A configuration whose camera is drawn; frames older than `age` milliseconds are late, and
    /// there are so many `seconds` for enough that are not.
    pub fn config(&self, age: u32, seconds: u32) -> String {
        let root = self.path("root");
        let root = root.display();
        format!(
            "[student]\nlevel = 'small'\nthreads = 1\ntrusted_keys = ['{root}/etc/honed/trusted-keys']\n\
             [slots]\nfolder = '{root}/var/lib/honed'\ntrial_frames = 5\ntrial_age_ms = {age}\ntrial_seconds = {seconds}\n\
             [source]\nname = 'gst:videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=30/1'\n\
             [output]\nsinks = ['null']\n"
        )
    }

    /// What `honed` on the board says of its slots.
    pub fn slots(&self) -> serde_json::Value {
        let output = self.hone(&["status", "board", "--json"]);
        let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        rows[0].clone()
    }

    /// The release that runs, with no trial left open.
    pub fn runs(&self) -> String {
        let row = self.slots();
        let slots = &row["slots"];
        assert!(slots["trial"].is_null(), "{row}");
        assert_eq!(row["service"], "active", "{row}");
        let active = slots["active"].as_str().unwrap();
        slots[active]["release"].as_str().unwrap().to_owned()
    }

    /// Nothing of a deploy is left lying about.
    pub fn assert_tidy(&self) {
        let staged = std::fs::read_dir(self.path("root/var/tmp"))
            .unwrap()
            .count();
        assert_eq!(staged, 0, "staged files were left");
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let stopped = Command::new(self.path("bin/systemctl"))
            .arg("stop")
            .status();
        let killed = self.sshd.kill().and_then(|()| self.sshd.wait());
        if let (Err(error), _) | (_, Err(error)) = (stopped, killed) {
            // A test that fails already must not abort here.
            let _ = writeln!(std::io::stderr(), "the board does not stop: {error}");
        }
    }
}

pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The honed that was built beside this hone, without what only a debugger reads: it is sent to many boards.
pub fn honed() -> PathBuf {
    static STRIPPED: OnceLock<PathBuf> = OnceLock::new();
    let strip = || {
        let path = Path::new(env!("CARGO_BIN_EXE_hone")).with_file_name("honed");
        assert!(
            path.exists(),
            "honed is not built: run `cargo build --workspace`, as `make test` does"
        );
        let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join("honed");
        let status = Command::new("strip")
            .arg("-o")
            .arg(&stripped)
            .arg(path)
            .status();
        assert!(status.expect("binutils are not installed").success());
        stripped
    };
    STRIPPED.get_or_init(strip).clone()
}

pub fn done(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{error}");
    text
}

/// One sentence on standard error with these words.
pub fn refused(output: &Output, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "no '{word}' in: {error}");
    }
}
