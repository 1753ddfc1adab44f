//! Board, kernel, temperature, space, clock, permissions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Check, Verdict};
use crate::governor::thermometer::{BoardThermometer, Thermometer};

/// Free space below which a recording is in danger, in MiB.
const LITTLE_SPACE: u64 = 512;

/// Looks at the machine whose file system starts at `root`.
pub fn examine(root: &Path) -> Vec<Check> {
    let model = model(root);
    let kernel = read(root, "proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    vec![
        Check::good(
            "board",
            format!("{model}, {}, {cores} cores", std::env::consts::ARCH),
        ),
        Check::good("kernel", kernel),
        temperature(&mut BoardThermometer::below(root)),
        cameras(root),
        gpio(root),
        space(),
        clock(root),
    ]
}

/// The name that a board's device tree or a computer's firmware gives.
pub fn model(root: &Path) -> String {
    read(root, "proc/device-tree/model")
        .or_else(|| read(root, "sys/class/dmi/id/product_name"))
        .unwrap_or_else(|| "unknown".into())
}

fn read(root: &Path, path: &str) -> Option<String> {
    fs::read_to_string(root.join(path))
        .ok()
        .map(|text| text.trim_matches(['\0', '\n', ' ']).to_owned())
        .filter(|text| !text.is_empty())
}

fn temperature(thermometer: &mut dyn Thermometer) -> Check {
    let reading = thermometer.read();
    match (reading.throttled, reading.celsius) {
        (true, _) => Check::new(
            "temperature",
            Verdict::Lacking,
            "the board throttles itself",
            "give it a heat sink, a fan or a better power supply",
        ),
        (_, Some(celsius)) if celsius > 75.0 => Check::new(
            "temperature",
            Verdict::Lacking,
            format!("{celsius:.0} degrees"),
            "give it a heat sink or a fan",
        ),
        (_, Some(celsius)) => Check::good("temperature", format!("{celsius:.0} degrees")),
        (_, None) => Check::good("temperature", "no thermal zone"),
    }
}

/// Whether video devices are there and may be opened.
fn cameras(root: &Path) -> Check {
    let devices = entries(&root.join("dev"), "video");
    let closed = devices.iter().find(|device| may_not_open(device));
    match (closed, devices.len()) {
        (Some(device), _) => Check::new(
            "video devices",
            Verdict::Bad,
            format!("{} may not be opened", device.display()),
            "add the user to the group video: sudo usermod -aG video $USER, then log in again",
        ),
        (None, 0) => Check::new(
            "video devices",
            Verdict::Lacking,
            "none",
            "plug in a camera, or use a network camera",
        ),
        (None, count) => Check::good("video devices", format!("{count}, all can be opened")),
    }
}

/// Whether the GPIO chips may be opened.
fn gpio(root: &Path) -> Check {
    let chips = entries(&root.join("dev"), "gpiochip");
    let closed = chips.iter().find(|chip| may_not_open(chip));
    match (closed, chips.len()) {
        (Some(chip), _) => Check::new(
            "GPIO",
            Verdict::Lacking,
            format!("{} may not be opened", chip.display()),
            "add the user to the group gpio: sudo usermod -aG gpio $USER, then log in again",
        ),
        (None, 0) => Check::good("GPIO", "none"),
        (None, count) => Check::good("GPIO", format!("{count} chips, all can be opened")),
    }
}

fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = found
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .collect();
    paths.sort();
    paths
}

fn may_not_open(device: &PathBuf) -> bool {
    let opened = fs::OpenOptions::new().read(true).write(true).open(device);
    opened.is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
}

/// Free space where recordings would go, by df(1).
fn space() -> Check {
    let output = Command::new("df").args(["-Pk", "."]).output();
    let free = output.ok().and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        let kilobytes: u64 = text
            .lines()
            .nth(1)?
            .split_whitespace()
            .nth(3)?
            .parse()
            .ok()?;
        Some(kilobytes / 1024)
    });
    match free {
        Some(mib) if mib < LITTLE_SPACE => Check::new(
            "free space",
            Verdict::Lacking,
            format!("{mib} MiB"),
            "free some, or recordings will end early",
        ),
        Some(mib) => Check::good("free space", format!("{mib} MiB")),
        None => Check::good("free space", "unknown"),
    }
}

fn clock(root: &Path) -> Check {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    // No hone was older than 2025: a clock before that was never set.
    if now.as_secs() < 1_735_689_600 {
        return Check::new(
            "clock",
            Verdict::Lacking,
            "before 2025",
            "set it, or let systemd-timesyncd do it: recordings are named by time",
        );
    }
    let synchronised = root.join("run/systemd/timesync/synchronized").exists();
    Check::good(
        "clock",
        if synchronised {
            "set by network"
        } else {
            "set"
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::thermometer::{Reading, SetThermometer};

    #[test]
    fn a_board_is_described_from_its_files() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/device-tree")).unwrap();
        fs::create_dir_all(root.path().join("dev")).unwrap();
        fs::write(
            root.path().join("proc/device-tree/model"),
            "Raspberry Pi 4 Model B Rev 1.4\0",
        )
        .unwrap();
        let checks = examine(root.path());
        assert!(
            checks[0]
                .found
                .starts_with("Raspberry Pi 4 Model B Rev 1.4, ")
        );
        let video = checks.iter().find(|c| c.what == "video devices").unwrap();
        assert_eq!(video.verdict, Verdict::Lacking);
        fs::write(root.path().join("dev/video0"), "").unwrap();
        let checks = examine(root.path());
        let video = checks.iter().find(|c| c.what == "video devices").unwrap();
        assert_eq!(video.verdict, Verdict::Good);
    }

    #[test]
    fn heat_is_worth_advice() {
        let at = |celsius, throttled| {
            let set = SetThermometer::default();
            *set.0.lock().unwrap() = Reading { celsius, throttled };
            temperature(&mut set.clone()).verdict
        };
        assert_eq!(at(Some(50.0), false), Verdict::Good);
        assert_eq!(at(Some(82.0), false), Verdict::Lacking);
        assert_eq!(at(Some(50.0), true), Verdict::Lacking);
        assert_eq!(at(None, false), Verdict::Good);
    }
}
