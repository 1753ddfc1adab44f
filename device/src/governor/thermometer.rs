//! How warm the board is, and whether it already slows itself down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time between two looks of [`Watched`].
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One look at the board.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// The warmest thermal zone that measures, in degrees Celsius; `None` where there is none.
    pub celsius: Option<f32>,
    /// Whether a Raspberry Pi's firmware throttles now (heat or too little voltage).
    pub throttled: bool,
}

/// Reads temperatures.
pub trait Thermometer: Send {
    /// Looks at the board.
    fn read(&mut self) -> Reading;
}

/// The thermal zones of the kernel and the throttle flags of a Raspberry Pi.
#[derive(Debug)]
pub struct BoardThermometer {
    zones: Vec<PathBuf>,
    flags: Flags,
}

/// Where a Raspberry Pi's firmware says that it throttles.
#[derive(Debug)]
enum Flags {
    /// A file of the kernel's.
    File(PathBuf),
    /// The program `vcgencmd`, where the kernel has no such file.
    Program(PathBuf),
    /// This is no Raspberry Pi.
    None,
}

impl BoardThermometer {
    /// The zones of this machine.
    pub fn new() -> Self {
        Self::below(Path::new("/"))
    }

    /// The zones of the machine whose file system starts at `root`.
    pub fn below(root: &Path) -> Self {
        let mut zones: Vec<PathBuf> = entries(&root.join("sys/class/thermal"))
            .filter(|zone| measures(zone))
            .map(|zone| zone.join("temp"))
            .filter(|path| path.exists())
            .collect();
        zones.sort();
        // soc/soc:firmware up to the Pi 4, with the bus address in the names since.
        let file = entries(&root.join("sys/devices/platform"))
            .filter(|bus| name(bus).starts_with("soc"))
            .flat_map(|bus| entries(&bus).collect::<Vec<_>>())
            .map(|device| device.join("get_throttled"))
            .find(|path| path.exists());
        let program = ["usr/bin/vcgencmd", "opt/vc/bin/vcgencmd"]
            .map(|path| root.join(path))
            .into_iter()
            .find(|path| path.exists());
        let flags = match (file, program) {
            (Some(path), _) => Flags::File(path),
            (None, Some(path)) => Flags::Program(path),
            (None, None) => Flags::None,
        };
        Self { zones, flags }
    }
}

/// Whether a zone has a sensor: that of a Jetson's power supply always says 100 degrees.
fn measures(zone: &Path) -> bool {
    !fs::read_to_string(zone.join("type")).is_ok_and(|kind| kind.trim() == "PMIC-Die")
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let found = fs::read_dir(folder).into_iter().flatten();
    found.filter_map(|entry| entry.ok().map(|e| e.path()))
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

impl Default for BoardThermometer {
    fn default() -> Self {
        Self::new()
    }
}

impl Thermometer for BoardThermometer {
    fn read(&mut self) -> Reading {
        let zone = |path: &PathBuf| {
            let millis: f32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
            Some(millis / 1000.0)
        };
        let text = match &self.flags {
            Flags::File(path) => fs::read_to_string(path).ok(),
            Flags::Program(path) => Command::new(path)
                .arg("get_throttled")
                .output()
                .ok()
                .map(|output| String::from_utf8_lossy(&output.stdout).into_owned()),
            Flags::None => None,
        };
        let flags = text.and_then(|text| {
            let digits = text.trim().trim_start_matches("throttled=");
            u32::from_str_radix(digits.trim_start_matches("0x"), 16).ok()
        });
        Reading {
            celsius: self.zones.iter().filter_map(zone).reduce(f32::max),
            // Bit 0: too little voltage, bit 2: throttled, bit 3: soft temperature limit.
            throttled: flags.is_some_and(|flags| flags & 0b1101 != 0),
        }
    }
}

/// The newest reading of a thermometer that a thread of its own looks at: some sensors take longer
/// than a frame.
#[derive(Debug, Clone)]
pub struct Watched {
    newest: Arc<Mutex<Reading>>,
}

impl Watched {
    /// Looks at `thermometer` once now and then every second, until nobody asks any more.
    ///
    /// # Errors
    /// The system's, when no thread can be started.
    pub fn start(mut thermometer: impl Thermometer + 'static) -> std::io::Result<Self> {
        let newest = Arc::new(Mutex::new(thermometer.read()));
        let asked = Arc::downgrade(&newest);
        std::thread::Builder::new()
            .name("thermometer".into())
            .spawn(move || {
                loop {
                    std::thread::sleep(LOOK_EVERY);
                    let reading = thermometer.read();
                    let Some(newest) = asked.upgrade() else {
                        return;
                    };
                    *newest.lock().unwrap_or_else(PoisonError::into_inner) = reading;
                }
            })?;
        Ok(Self { newest })
    }
}

impl Thermometer for Watched {
    fn read(&mut self) -> Reading {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thermometer that tests set.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub struct SetThermometer(pub Arc<Mutex<Reading>>);

#[cfg(test)]
impl Thermometer for SetThermometer {
    fn read(&mut self) -> Reading {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warmest_zone_and_the_flags_of_now_count() {
        let root = tempfile::tempdir().unwrap();
        let sys = root.path().join("sys");
        let mut none = BoardThermometer::below(root.path());
        assert_eq!(none.read(), Reading::default());
        for (zone, temp) in [("thermal_zone0", "48312\n"), ("thermal_zone1", "61000\n")] {
            let folder = sys.join("class/thermal").join(zone);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("temp"), temp).unwrap();
        }
        let firmware = sys.join("devices/platform/soc@107c000000/soc@107c000000:firmware");
        fs::create_dir_all(&firmware).unwrap();
        fs::write(firmware.join("get_throttled"), "50000\n").unwrap();
        let mut board = BoardThermometer::below(root.path());
        let reading = board.read();
        assert_eq!(reading.celsius, Some(61.0));
        assert!(!reading.throttled, "0x50000 tells of the past");
        fs::write(firmware.join("get_throttled"), "50005\n").unwrap();
        assert!(board.read().throttled);
    }

    #[test]
    fn the_fixed_zone_of_a_jetson_is_no_temperature() {
        let root = tempfile::tempdir().unwrap();
        for (number, (kind, temp)) in [("CPU-therm\n", "41500\n"), ("PMIC-Die\n", "100000\n")]
            .into_iter()
            .enumerate()
        {
            let zones = root.path().join("sys/class/thermal");
            let zone = zones.join(format!("thermal_zone{number}"));
            fs::create_dir_all(&zone).unwrap();
            fs::write(zone.join("type"), kind).unwrap();
            fs::write(zone.join("temp"), temp).unwrap();
        }
        let reading = BoardThermometer::below(root.path()).read();
        assert_eq!(reading.celsius, Some(41.5));
    }

    #[test]
    fn vcgencmd_is_asked_where_the_kernel_has_no_file() {
        use std::os::unix::fs::PermissionsExt;

        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("usr/bin/vcgencmd");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        let says = |flags: &str| {
            // A program that is being run cannot be written; another one can take its name.
            let new = program.with_extension("new");
            let script = format!("#!/bin/sh\n[ $1 = get_throttled ] && echo throttled={flags}\n");
            fs::write(&new, script).unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(&new, &program).unwrap();
        };
        says("0x50004");
        let mut board = BoardThermometer::below(root.path());
        assert!(board.read().throttled);
        says("0x0");
        assert!(!board.read().throttled);
    }

    #[test]
    fn a_watched_thermometer_is_read_at_once() {
        let set = SetThermometer::default();
        set.0.lock().unwrap().celsius = Some(50.0);
        assert_eq!(Watched::start(set).unwrap().read().celsius, Some(50.0));
    }
}
