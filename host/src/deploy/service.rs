//! A board's service, beside what a deploy does with it: started again, and put back.

use std::time::Duration;

use anyhow::{Result, bail};

use super::ssh::Ssh;

/// `root COMMAND...`, for the scripts below.
const AS_ROOT: &str = r#"root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }"#;

/// Longest that either may take: systemd gives a service 90 s to stop, and as much to start.
const PATIENCE: Duration = Duration::from_secs(300);

/// Starts a service that does not run.
///
/// # Errors
/// No connection, or what the service is instead of active.
pub fn start(ssh: &Ssh, board: &str) -> Result<()> {
    const SCRIPT: &str = "root systemctl start honed\nsystemctl is-active honed\nexit 0\n";
    let script = format!("{AS_ROOT}\n{SCRIPT}");
    let answer = ssh.within(PATIENCE).run(board, &script, &[], |_| Ok(()))?;
    match answer.text.lines().next_back().unwrap_or_default() {
        "active" => Ok(()),
        other => bail!(
            "the board has it all, but its service does not start, it is {other}: journalctl -u honed there tells why"
        ),
    }
}

/// Brings the slot before back on a board, and starts the service again.
///
/// # Errors
/// No connection, no honed, or nothing to go back to.
pub fn roll_back(ssh: &Ssh, board: &str, root: &str) -> Result<String> {
    const SCRIPT: &str = r#"
set -eu
[ -x "$1/usr/local/bin/honed" ] || { echo "error: the board has no honed" >&2; exit 1; }
r=$1; shift
[ -z "$r" ] || set -- --config "$r/etc/honed.toml"
root "$r/usr/local/bin/honed" rollback --folder "$r/var/lib/honed" "$@"
root systemctl restart honed || {
  echo "error: the slot before is back, but honed does not start: journalctl -u honed there tells why" >&2
  exit 1
}
"#;
    let script = format!("{AS_ROOT}\n{SCRIPT}");
    let ssh = ssh.within(PATIENCE);
    let answer = ssh.run(board, &script, &[root.to_owned()], |_| Ok(()))?;
    let line = answer.text.lines().find(|line| line.starts_with("slot "));
    match line {
        Some(line) => Ok(line.to_owned()),
        None => bail!("its answer makes no sense"),
    }
}
