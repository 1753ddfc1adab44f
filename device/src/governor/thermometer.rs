//! How warm the board is, and whether it already slows itself down.

use std::fs;
use std::path::{Path, PathBuf};

/// One look at the board.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// The warmest thermal zone in degrees Celsius; `None` where there is none.
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
    throttle: PathBuf,
}

impl BoardThermometer {
    /// The zones of this machine.
    pub fn new() -> Self {
        Self::below(Path::new("/sys"))
    }

    /// The zones below `sys`, where the kernel has `/sys`.
    pub fn below(sys: &Path) -> Self {
        let mut zones: Vec<PathBuf> = fs::read_dir(sys.join("class/thermal"))
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok().map(|e| e.path().join("temp")))
            .filter(|path| path.exists())
            .collect();
        zones.sort();
        Self {
            zones,
            throttle: sys.join("devices/platform/soc/soc:firmware/get_throttled"),
        }
    }
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
        let flags = fs::read_to_string(&self.throttle)
            .ok()
            .and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok());
        Reading {
            celsius: self.zones.iter().filter_map(zone).reduce(f32::max),
            // Bit 0: too little voltage, bit 2: throttled, bit 3: soft temperature limit.
            throttled: flags.is_some_and(|flags| flags & 0b1101 != 0),
        }
    }
}

/// A thermometer that tests set.
#[derive(Debug, Clone, Default)]
pub struct SetThermometer(pub std::sync::Arc<std::sync::Mutex<Reading>>);

impl Thermometer for SetThermometer {
    fn read(&mut self) -> Reading {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warmest_zone_and_the_flags_of_now_count() {
        let sys = tempfile::tempdir().unwrap();
        let mut none = BoardThermometer::below(sys.path());
        assert_eq!(none.read(), Reading::default());
        for (zone, temp) in [("thermal_zone0", "48312\n"), ("thermal_zone1", "61000\n")] {
            let folder = sys.path().join("class/thermal").join(zone);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("temp"), temp).unwrap();
        }
        let firmware = sys.path().join("devices/platform/soc/soc:firmware");
        fs::create_dir_all(&firmware).unwrap();
        fs::write(firmware.join("get_throttled"), "50000\n").unwrap();
        let mut board = BoardThermometer::below(sys.path());
        let reading = board.read();
        assert_eq!(reading.celsius, Some(61.0));
        assert!(!reading.throttled, "0x50000 tells of the past");
        fs::write(firmware.join("get_throttled"), "50005\n").unwrap();
        assert!(board.read().throttled);
    }
}
