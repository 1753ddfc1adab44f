//! Linear light: optics and motion average photons, not display codes. Gamma 2.2 as in the GoPro
//! blur data set (Nah et al. 2017), by tables.

use std::sync::LazyLock;

const STEPS: usize = 4096;

static DECODE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    (0..=STEPS + 1)
        .map(|i| (i as f32 / STEPS as f32).powf(2.2))
        .collect()
});
// Indexed by the square root, where the curve is smooth down to black.
static ENCODE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    (0..=STEPS + 1)
        .map(|i| (i as f32 / STEPS as f32).powf(2.0 / 2.2))
        .collect()
});

fn look_up(table: &[f32], position: f32) -> f32 {
    let scaled = position * STEPS as f32;
    let index = (scaled as usize).min(STEPS);
    let low = table[index];
    low + (table[index + 1] - low) * (scaled - index as f32)
}

/// Display codes 0..1 to linear light 0..1, in place.
pub fn decode(samples: &mut [f32]) {
    let table = &DECODE[..];
    for v in samples {
        *v = look_up(table, v.clamp(0.0, 1.0));
    }
}

/// Linear light 0..1 to display codes 0..1, in place.
pub fn encode(samples: &mut [f32]) {
    let table = &ENCODE[..];
    for v in samples {
        *v = look_up(table, v.clamp(0.0, 1.0).sqrt());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_follow_gamma_and_undo_each_other() {
        let codes: Vec<f32> = (0..=255).map(|i| i as f32 / 255.0).collect();
        let mut light = codes.clone();
        decode(&mut light);
        for (l, c) in light.iter().zip(&codes) {
            assert!((l - c.powf(2.2)).abs() < 1e-6);
        }
        encode(&mut light);
        for (l, c) in light.iter().zip(&codes) {
            assert!((l - c).abs() < 1e-3, "{l} {c}");
        }
    }
}
