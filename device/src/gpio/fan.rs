//! How fast the fan turns at which temperature.

/// Share of full speed below which most fans stand still.
const SLOWEST: f32 = 0.3;
/// A fan that runs stops this many degrees below where it starts, so that it does not flutter.
const HYSTERESIS: f32 = 5.0;

/// A line from a slow start to full speed.
#[derive(Debug, Clone)]
pub struct FanCurve {
    on: f32,
    full: f32,
    running: bool,
}

impl FanCurve {
    /// A fan that starts at `on` degrees Celsius and is at full speed from `full` on.
    pub fn new(on: f32, full: f32) -> Self {
        Self {
            on,
            full: full.max(on + 1.0),
            running: false,
        }
    }

    /// Speed (0..=1) at a temperature; full speed when nobody knows how hot it is.
    pub fn speed(&mut self, celsius: Option<f32>) -> f32 {
        let Some(celsius) = celsius.filter(|c| c.is_finite()) else {
            self.running = true;
            return 1.0;
        };
        let start = if self.running {
            self.on - HYSTERESIS
        } else {
            self.on
        };
        self.running = celsius >= start;
        if !self.running {
            return 0.0;
        }
        let share = (celsius - self.on) / (self.full - self.on);
        SLOWEST + (1.0 - SLOWEST) * share.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hotter_is_faster_and_it_does_not_flutter() {
        let mut fan = FanCurve::new(55.0, 75.0);
        assert_eq!(fan.speed(Some(54.0)), 0.0);
        assert_eq!(fan.speed(Some(55.0)), SLOWEST);
        assert!((fan.speed(Some(65.0)) - 0.65).abs() < 1e-6);
        assert_eq!(fan.speed(Some(90.0)), 1.0);
        assert_eq!(fan.speed(Some(52.0)), SLOWEST);
        assert_eq!(fan.speed(Some(49.0)), 0.0);
        assert_eq!(fan.speed(Some(52.0)), 0.0);
        assert_eq!(fan.speed(None), 1.0);
    }
}
