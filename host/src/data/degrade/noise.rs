//! What sensors add: shot noise, read noise, gain, quantisation.

use std::sync::LazyLock;

use rand::RngCore;

use crate::data::light;
use crate::data::random::{Stream, normal, stream};
use crate::picture::Picture;

/// 65,536 normal samples of exactly zero mean and unit variance; noise is drawn from these, five times
/// faster than by formula.
static NORMALS: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let mut rng = stream(&[0x6e6f_726d]);
    let half: Vec<f32> = (0..32_768).map(|_| normal(&mut rng)).collect();
    let variance = half.iter().map(|v| v * v).sum::<f32>() / half.len() as f32;
    let scale = 1.0 / variance.sqrt();
    half.iter().flat_map(|v| [v * scale, -v * scale]).collect()
});

/// Adds noise of variance `shot * light + read^2` in linear light.
pub(super) fn sensor(picture: &mut Picture, shot: f32, read: f32, rng: &mut Stream) {
    if shot <= 0.0 && read <= 0.0 {
        return;
    }
    light::decode(&mut picture.data);
    add(&mut picture.data, shot, read, rng);
    light::encode(&mut picture.data);
}

/// Adds noise of deviation `sigma` to display codes.
pub(super) fn grain(picture: &mut Picture, sigma: f32, rng: &mut Stream) {
    add(&mut picture.data, 0.0, sigma, rng);
}

fn add(samples: &mut [f32], shot: f32, read: f32, rng: &mut Stream) {
    let normals = &NORMALS[..];
    for four in samples.chunks_mut(4) {
        let mut bits = rng.next_u64();
        for v in four {
            let deviation = (shot * v.max(0.0) + read * read).sqrt();
            *v += deviation * normals[(bits & 0xffff) as usize];
            bits >>= 16;
        }
    }
}

/// A scene with the part `exposure` of the light, amplified back: photons counted, a 10-bit converter.
pub(super) fn low_light(picture: &mut Picture, exposure: f32, rng: &mut Stream) {
    // A small sensor pixel: some 4,000 electrons at full scale, read noise of 3.
    const FULL_WELL: f32 = 4000.0;
    light::decode(&mut picture.data);
    for v in &mut picture.data {
        *v *= exposure;
    }
    add(&mut picture.data, 1.0 / FULL_WELL, 3.0 / FULL_WELL, rng);
    for v in &mut picture.data {
        *v = (v.clamp(0.0, 1.0) * 1023.0).round() / 1023.0 / exposure;
    }
    light::encode(&mut picture.data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_variance_asked_for() {
        let mut samples = vec![0.25_f32; 200_000];
        add(&mut samples, 0.01, 0.02, &mut stream(&[1]));
        let mean = samples.iter().sum::<f32>() / samples.len() as f32;
        let variance =
            samples.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / samples.len() as f32;
        assert!((mean - 0.25).abs() < 5e-4, "{mean}");
        assert!(
            (variance / (0.01 * 0.25 + 0.0004) - 1.0).abs() < 0.02,
            "{variance}"
        );
    }
}
