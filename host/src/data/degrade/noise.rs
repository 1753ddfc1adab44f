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

    #[test]
    fn little_light_has_the_noise_of_the_photons_that_are_left() {
        let (light, exposure) = (0.25_f32, 0.1_f32);
        let mut picture = Picture::new(1, 400, 500);
        picture.data.fill(light);
        light::encode(&mut picture.data);
        low_light(&mut picture, exposure, &mut stream(&[2]));
        light::decode(&mut picture.data);
        let count = picture.data.len() as f32;
        let mean = picture.data.iter().sum::<f32>() / count;
        let squares = picture.data.iter().map(|v| (v - mean).powi(2));
        let variance = squares.sum::<f32>() / count;
        // 4,000 electrons at full scale, 3 of read noise, steps of 1/1023, all behind the gain.
        let electrons = 4000.0 * light * exposure + 9.0;
        let steps = (1.0 / 1023.0_f32).powi(2) / 12.0;
        let expected = (electrons / 4000.0_f32.powi(2) + steps) / exposure.powi(2);
        assert!((mean / light - 1.0).abs() < 0.005, "{mean}");
        assert!((variance / expected - 1.0).abs() < 0.03, "{variance}");
    }
}
