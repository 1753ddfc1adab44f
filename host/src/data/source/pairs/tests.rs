use rand::Rng;

use super::*;
use crate::data::config::Layout;
use crate::data::index;
use crate::picture::Picture;

fn flat(path: &Path, value: u8, side: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut picture = Picture::new(3, side, side);
    picture.data.fill(f32::from(value) / 255.0);
    // Noise, so that lengths tell the files apart as they do those of photographs.
    let mut rng = stream(&[u64::from(value)]);
    for v in &mut picture.data[..5 * usize::from(value)] {
        *v = f32::from(rng.random_range(0..value)) / 255.0;
    }
    picture.save(path).unwrap();
}

#[test]
fn consecutive_pairs_make_sequences_and_single_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    // The last one is a still: it comes in no sequence, although it is a copy of another's first frame.
    for (clip, frames) in [("one", 4), ("two", 3), ("three", 1)] {
        for i in 0..frames {
            let value = match clip {
                "one" => 20 + i,
                "two" => 120 + i,
                _ => 20,
            };
            for (role, more) in [("blur", 0), ("sharp", 40)] {
                let path = folder
                    .path()
                    .join(format!("train/{clip}/{role}/{i:06}.png"));
                flat(&path, value + more, 40);
            }
        }
    }
    let config = DataConfig {
        root: Some(folder.path().to_owned()),
        layout: Layout::Pairs,
        validation: 0.0,
        flips: false,
        ..DataConfig::default()
    };
    let source = super::super::open(&config, Path::new("")).unwrap();
    let value = |p: &Picture| (p.data.iter().fold(0.0_f32, |a, &v| a.max(v)) * 255.0).round();
    for index in 0..20 {
        let frames = source.sequence(3, index, 16, 3).unwrap();
        let inputs: Vec<f32> = frames.iter().map(|f| value(&f.input)).collect();
        assert_eq!(
            [inputs[0] + 1.0, inputs[0] + 2.0],
            inputs[1..],
            "patch {index}"
        );
        assert!(
            frames
                .iter()
                .all(|f| value(&f.truth) == value(&f.input) + 40.0)
        );
    }
    let error = source.sequence(3, 0, 16, 5).unwrap_err().to_string();
    assert!(error.contains("consecutive frames"), "{error}");
}

#[test]
fn sides_that_do_not_halve_evenly_remain_pairs() {
    let folder = tempfile::tempdir().unwrap();
    // As of DIV2K's pictures and their quarters.
    for (role, width, height) in [("lr", 51, 35), ("hr", 204, 140)] {
        let path = folder.path().join(role).join("0001.png");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::data::synth::scene(1, 0, width, height)
            .save(&path)
            .unwrap();
    }
    let config = DataConfig {
        root: Some(folder.path().to_owned()),
        layout: Layout::Pairs,
        validation: 0.0,
        reduce: 2,
        ..DataConfig::default()
    };
    let source = super::super::open(&config, Path::new("")).unwrap();
    let pair = source.patch(1, 0, 32).unwrap();
    assert_eq!((pair.input.width, pair.truth.width), (32, 32));
}

#[test]
fn bad_files_are_skipped_and_pairs_are_never_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |role: &str, i: u8| folder.path().join(format!("train/{role}/{i}.png"));
    for i in 0..8 {
        flat(&at("blur", i), 10 * i + 20, 40);
        flat(&at("sharp", i), 10 * i + 25, 40);
    }
    let config = DataConfig {
        root: Some(folder.path().to_owned()),
        layout: Layout::Pairs,
        crop: 16,
        jitter: 0.0,
        ..DataConfig::default()
    };
    let index = index::scan(folder.path(), Layout::Auto, 0, 0.0, true).unwrap();
    index.save(&folder.path().join(index::FILE_NAME)).unwrap();
    // What may happen between indexing and three in the morning.
    let whole = std::fs::read(at("blur", 1)).unwrap();
    std::fs::write(at("blur", 1), &whole[..whole.len() - 20]).unwrap();
    std::fs::write(at("sharp", 2), b"").unwrap();
    std::fs::remove_file(at("blur", 3)).unwrap();
    std::fs::copy(at("blur", 7), at("blur", 4)).unwrap();
    flat(&at("sharp", 5), 75, 20);

    let source = super::super::open(&config, Path::new("")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..60 {
        let pair = source.patch(1, i, 16).unwrap();
        let value =
            |p: &Picture| (p.data.iter().fold(0.0_f32, |a, &v| a.max(v)) * 255.0).round() as u8;
        let (input, truth) = (value(&pair.input), value(&pair.truth));
        assert_eq!(input + 5, truth, "patch {i}");
        seen.insert(input);
    }
    assert_eq!(seen, [20, 80, 90].into());
}
