//! Cameras by name.

use super::{Choice, Degradation, Light, Range, Step};

/// The names that [`preset`] knows.
pub const PRESETS: [&str; 7] = [
    "none",
    "light",
    "conference",
    "motion",
    "defocus",
    "lowlight",
    "mixed",
];

fn either(choices: Vec<(f32, Vec<Step>)>) -> Step {
    let choice = |(weight, steps)| Choice { weight, steps };
    Step::OneOf {
        choices: choices.into_iter().map(choice).collect(),
    }
}

fn disc(low: f32, high: f32) -> Step {
    Step::Disc {
        radius: Range::new(low, high),
        light: Light::Linear,
    }
}

fn gaussian(low: f32, high: f32) -> Step {
    Step::Gaussian {
        sigma: Range::new(low, high),
        light: Light::Linear,
    }
}

fn shake(low: f32, high: f32) -> Step {
    Step::Shake {
        length: Range::new(low, high),
        light: Light::Linear,
    }
}

fn noise(most: f32) -> Step {
    Step::Noise {
        shot: Range::new(0.0, most),
        read: Range::new(0.0, most),
    }
}

fn motion(low: f32, high: f32) -> Step {
    Step::Motion {
        length: Range::new(low, high),
        angle: Range::new(0.0, 180.0),
        light: Light::Linear,
    }
}

/// A camera by name:
///
/// - `none`: the sharp picture as bytes
/// - `light`: a slightly soft lens
/// - `conference`: a webcam behind a video call: soft lens, reduced size, noise, H.264
/// - `motion`: motion and camera shake
/// - `defocus`: out of focus
/// - `lowlight`: noise, shake, gain
/// - `mixed`: all of these
pub fn preset(name: &str) -> Option<Degradation> {
    let h264 = |low, high| Step::H264 {
        kbps: Range::new(low, high),
        frames: Range::new(4.0, 4.0),
    };
    let steps = match name {
        "none" => vec![],
        "light" => vec![either(vec![
            (1.0, vec![gaussian(0.6, 1.2)]),
            (1.0, vec![disc(0.8, 1.8)]),
        ])],
        "conference" => vec![
            disc(0.5, 1.5),
            either(vec![
                (1.0, vec![]),
                (
                    1.0,
                    vec![Step::Resize {
                        factor: Range::new(1.5, 2.0),
                    }],
                ),
            ]),
            noise(0.001),
            h264(400.0, 2500.0),
        ],
        "motion" => vec![
            either(vec![
                (1.0, vec![motion(3.0, 15.0)]),
                (2.0, vec![shake(4.0, 18.0)]),
            ]),
            noise(0.0005),
        ],
        "defocus" => vec![
            either(vec![
                (2.0, vec![disc(1.0, 4.0)]),
                (1.0, vec![gaussian(0.6, 2.5)]),
            ]),
            noise(0.0005),
        ],
        "lowlight" => vec![
            either(vec![
                (1.0, vec![disc(0.5, 1.5)]),
                (1.0, vec![shake(3.0, 9.0)]),
            ]),
            Step::LowLight {
                exposure: Range::new(0.05, 0.3),
            },
        ],
        "mixed" => vec![
            either(vec![
                (3.0, vec![disc(0.6, 3.0)]),
                (2.0, vec![gaussian(0.5, 1.8)]),
                (1.0, vec![motion(3.0, 11.0)]),
                (2.0, vec![shake(3.0, 11.0)]),
                (
                    1.0,
                    vec![Step::Resize {
                        factor: Range::new(1.5, 2.5),
                    }],
                ),
            ]),
            either(vec![
                (4.0, vec![noise(0.001)]),
                (
                    1.0,
                    vec![Step::LowLight {
                        exposure: Range::new(0.1, 0.5),
                    }],
                ),
            ]),
            either(vec![
                (2.0, vec![]),
                (1.0, vec![Step::Chroma {}]),
                (
                    2.0,
                    vec![Step::Jpeg {
                        quality: Range::new(50.0, 95.0),
                    }],
                ),
                (2.0, vec![h264(600.0, 4000.0)]),
            ]),
        ],
        _ => return None,
    };
    Some(Degradation { steps })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_in_bounds() {
        for name in PRESETS {
            let degradation = preset(name).unwrap();
            Degradation::new(degradation.steps).unwrap();
        }
        assert!(preset("nonesuch").is_none());
    }
}
