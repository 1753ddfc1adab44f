//! A real broker on a port of its own.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair};

pub struct Mosquitto {
    pub port: u16,
    folder: tempfile::TempDir,
    child: Child,
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::configured("", &[])
    }

    pub fn start_tls(made: &CertifiedKey<KeyPair>) -> Self {
        let files = [
            ("cert.pem", made.cert.pem()),
            ("key.pem", made.signing_key.serialize_pem()),
        ];
        Self::configured("certfile @DIR@/cert.pem\nkeyfile @DIR@/key.pem\n", &files)
    }

    fn configured(more: &str, files: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Started by root, it becomes another user.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let more = more.replace("@DIR@", folder.path().to_str().unwrap());
        let text =
            format!("listener {port} 127.0.0.1\n{more}allow_anonymous true\npersistence false\n");
        std::fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let child = spawn(&folder);
        let broker = Self {
            port,
            folder,
            child,
        };
        broker.wait();
        broker
    }

    /// The broker dies and comes back without a memory.
    pub fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.folder);
        self.wait();
    }

    fn wait(&self) {
        for _ in 0..400 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("mosquitto does not listen");
    }
}

fn spawn(folder: &tempfile::TempDir) -> Child {
    let path = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"];
    let path = path.iter().find(|path| std::path::Path::new(path).exists());
    Command::new(path.expect("mosquitto is not installed: run `make setup`"))
        .arg("-c")
        .arg(folder.path().join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may be dead already, which the test has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
