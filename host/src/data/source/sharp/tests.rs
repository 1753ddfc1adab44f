use super::*;
use crate::data::config::Layout;

/// Two clips of five frames, a ramp each, the second of which ends in the first one's first frame.
fn grey(clip: usize, frame: usize) -> u8 {
    let (clip, frame) = if (clip, frame) == (1, 4) {
        (0, 0)
    } else {
        (clip, frame)
    };
    (clip * 100 + frame * 20 + 10) as u8
}

fn clips(folder: &Path) -> Arc<dyn PairSource> {
    for clip in 0..2 {
        let place = folder.join(format!("clip{clip}"));
        std::fs::create_dir(&place).unwrap();
        for frame in 0..5 {
            let mut picture = Picture::new(3, 24, 24);
            picture.data.fill(f32::from(grey(clip, frame)) / 255.0);
            picture
                .save(&place.join(format!("{frame:04}.png")))
                .unwrap();
        }
    }
    let config = DataConfig {
        root: Some(folder.to_owned()),
        layout: Layout::Sharp,
        degradation: "frames:count=3".parse().unwrap(),
        validation: 0.0,
        ..DataConfig::default()
    };
    super::super::open(&config, Path::new("")).unwrap()
}

#[test]
fn frames_are_averaged_only_where_they_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    clips(folder.path());
    let opened = |root: &str, layout, goes_on| {
        let config = DataConfig {
            root: (layout != Layout::Scenes).then(|| folder.path().join(root)),
            layout,
            degradation: "frames:count=3".parse().unwrap(),
            validation: 0.0,
            ..DataConfig::default()
        };
        super::super::open_new(&config, Path::new(""), goes_on).map(|source| source.pictures())
    };
    assert_eq!(opened("", Layout::Sharp, false).unwrap(), 10);
    // A clip's own folder is one of stills.
    for (root, layout) in [("clip0", Layout::Sharp), ("", Layout::Scenes)] {
        let error = opened(root, layout, false).unwrap_err().to_string();
        assert!(error.contains("'frames' averages neighbours"), "{error}");
        opened(root, layout, true).unwrap();
    }
}

fn level(picture: &Picture) -> u8 {
    (picture.data[0] * 255.0).round() as u8
}

#[test]
fn neighbouring_frames_are_averaged_in_linear_light() {
    let folder = tempfile::tempdir().unwrap();
    let source = clips(folder.path());
    assert_eq!(source.pictures(), 10);
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..20 {
        let pair = source.patch(3, i, 16).unwrap();
        let truth = level(&pair.truth);
        let (clip, frame) = if truth < 110 {
            (0, (usize::from(truth) - 10) / 20)
        } else {
            (1, (usize::from(truth) - 110) / 20)
        };
        // Never across the clip's ends, and as many on either side.
        let frames = match frame {
            0 | 4 => frame..=frame,
            _ => frame - 1..=frame + 1,
        };
        let light: Vec<f32> = frames
            .map(|f| (f32::from(grey(clip, f)) / 255.0).powf(2.2))
            .collect();
        let mean = light.iter().sum::<f32>() / light.len() as f32;
        let expected = mean.powf(1.0 / 2.2) * 255.0;
        let found = pair.input.data[0] * 255.0;
        assert!(
            (found - expected).abs() < 1.0,
            "{truth}: {found} {expected}"
        );
        seen.insert(truth);
    }
    assert_eq!(seen.len(), 9);
}

#[test]
fn clips_that_share_a_picture_remain_two_sequences() {
    let folder = tempfile::tempdir().unwrap();
    let source = clips(folder.path());
    for i in 0..20 {
        let frames = source.sequence(3, i, 16, 3).unwrap();
        let levels: Vec<u8> = frames.iter().map(|f| level(&f.truth)).collect();
        let cut = levels.windows(2).any(|two| two[0] == 90 && two[1] == 110);
        assert!(!cut, "{levels:?}");
    }
}

#[test]
fn a_patch_does_not_depend_on_what_was_asked_for_before() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("clip");
    std::fs::create_dir(&place).unwrap();
    for frame in 0..12 {
        let picture = crate::data::synth::scene(frame, 0, 24, 24);
        picture
            .save(&place.join(format!("{frame:04}.png")))
            .unwrap();
    }
    let damaged = place.join("0006.png");
    let bytes = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let config = DataConfig {
        root: Some(folder.path().to_owned()),
        layout: Layout::Sharp,
        degradation: "frames:count=3..7".parse().unwrap(),
        validation: 0.0,
        ..DataConfig::default()
    };
    let open = || super::super::open(&config, Path::new("")).unwrap();
    let patch = |source: &Arc<dyn PairSource>, i| source.patch(3, i, 16).unwrap();
    let (up, down) = (open(), open());
    let forwards: Vec<Pair> = (0..40).map(|i| patch(&up, i)).collect();
    let mut backwards: Vec<Pair> = (0..40).rev().map(|i| patch(&down, i)).collect();
    backwards.reverse();
    assert!(forwards == backwards);
}
