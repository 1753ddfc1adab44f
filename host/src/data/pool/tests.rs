//! Pools of drawn scenes, with answers that a test can compute.

use std::path::Path;
use std::sync::Arc;

use hone_shared::student::Colour;

use super::*;
use crate::data;
use crate::data::config::{DataConfig, Layout};

const COUNT: usize = CHUNK + 5;

fn config() -> DataConfig {
    DataConfig {
        layout: Layout::Scenes,
        count: 4,
        size: [96, 80],
        pool: COUNT,
        degradation: "gaussian:sigma=1".parse().unwrap(),
        ..DataConfig::default()
    }
}

fn source(config: &DataConfig) -> Arc<dyn PairSource> {
    data::open(config, Path::new(".")).unwrap()
}

fn manifest(config: &DataConfig) -> Manifest {
    let source = source(config);
    let mut manifest = Manifest::new(config, source.as_ref(), Colour::Luma, &[16]).unwrap();
    manifest.teacher = Some(PoolTeacher {
        architecture: "half".into(),
        options_sha256: String::new(),
        weights_sha256: String::new(),
    });
    let (name, channels, side) = ("map".to_owned(), 2, 8);
    manifest.crops[0].maps = vec![MapShape {
        name,
        channels,
        side,
    }];
    manifest
}

/// Half of every sample is the answer; the map's first plane counts up.
fn fill(folder: &Path, config: &DataConfig, chunks: &[usize]) {
    let (manifest, source) = (manifest(config), source(config));
    manifest.claim(folder, || false).unwrap();
    let maps = &manifest.crops[0];
    for &number in chunks {
        let record = |i: usize| {
            let index = (number * CHUNK + i) as u64;
            let pair = source.patch(manifest.patch_seed(16), index, 16).unwrap();
            let input = samples(&pair.input, Colour::Luma);
            let answer: Vec<f32> = input.iter().map(|v| f32::from(*v) / 510.0).collect();
            let truth = samples(&pair.truth, Colour::Luma);
            let map = (0..128).collect();
            let record = Record::new(input, truth, Some(&answer), vec![map]);
            let layout = manifest.layout(maps);
            let bytes = layout.encode(&record).unwrap();
            assert_eq!(layout.decode(&bytes).unwrap(), record);
            bytes
        };
        let records: Vec<_> = (0..manifest.patches_in(number)).map(record).collect();
        let key = manifest.key().unwrap();
        write_chunk(&chunk_path(folder, 16, number), &key, &records).unwrap();
    }
}

fn walk(flips: bool) -> Walk {
    Walk {
        seed: 3,
        crop: 16,
        batch: 4,
        flips,
        guided: true,
    }
}

#[test]
fn batches_hold_what_was_stored_flipped_alike() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &config(), &[0, 1]);
    let pool = Pool::open(folder.path(), 64).unwrap();
    pool.check_against(source(&config()).as_ref()).unwrap();
    let (mut turned, mut plain) = (0, 0);
    for step in 0..6 {
        let batch = pool.batch(walk(true), step).unwrap();
        let answer = batch.teacher.unwrap();
        let error = (&batch.input * 0.5 - &answer).abs().max();
        assert!(error.double_value(&[]) < 0.6 / 4096.0);
        assert_eq!(batch.features[0].1.size(), [4, 2, 8, 8]);
        let upright = pool.batch(walk(false), step).unwrap();
        for i in 0..4 {
            let (a, b) = (batch.input.get(i), upright.input.get(i));
            // A map that stays upright lies over a picture that does; a flat picture cannot tell.
            let (m, n) = (batch.features[0].1.get(i), upright.features[0].1.get(i));
            assert!(m != n || a == b);
            turned += usize::from(a != b);
            plain += usize::from(m == n);
            let light = |t: &Tensor| t.sum(Kind::Double).double_value(&[]);
            assert!((light(&a) - light(&b)).abs() < 1e-4);
        }
    }
    assert!(turned > 0 && plain > 0, "{turned} {plain}");
    let again = Pool::open(folder.path(), 0).unwrap();
    let (one, two) = (pool.batch(walk(true), 5), again.batch(walk(true), 5));
    assert_eq!(one.unwrap().truth, two.unwrap().truth);
}

#[test]
fn a_record_that_two_workers_decode_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &config(), &[0, 1]);
    let pool = Pool::open(folder.path(), 64).unwrap();
    let record = pool.record(16, 3).unwrap();
    let kept = || pool.kept.load(Ordering::Relaxed);
    assert_eq!(kept(), record.bytes());
    pool.keep(pool.crop(16).unwrap(), 3, &record);
    assert_eq!(kept(), record.bytes());
}

#[test]
fn stale_and_damaged_pools_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let error = |at: &Path| format!("{:#}", Pool::open(at, 8).unwrap_err());
    assert!(error(at).contains("hone teacher cache"));
    fill(at, &config(), &[0]);
    assert!(error(at).contains("not complete"));
    fill(at, &config(), &[1]);

    let other = DataConfig {
        degradation: "gaussian:sigma=2".parse().unwrap(),
        ..config()
    };
    let refused = manifest(&other)
        .claim(at, || false)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("degradation"), "{refused}");
    let pool = Pool::open(at, 8).unwrap();
    let stale = pool.check_against(source(&other).as_ref()).unwrap_err();
    assert!(stale.to_string().contains("stale"), "{stale}");

    let strange = tempfile::tempdir().unwrap();
    fill(strange.path(), &other, &[0, 1]);
    let path = chunk_path(at, 16, 1);
    let sound = std::fs::read(&path).unwrap();
    std::fs::copy(chunk_path(strange.path(), 16, 1), &path).unwrap();
    assert!(error(at).contains("stale"));
    std::fs::write(&path, &sound[..sound.len() - 1]).unwrap();
    assert!(error(at).contains("damaged"));
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    let pool = Pool::open(at, 8).unwrap();
    let read = format!("{:#}", pool.record(16, COUNT - 1).unwrap_err());
    assert!(read.contains("damaged"), "{read}");
}

#[test]
fn patches_that_fill_the_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut huge = manifest(&config());
    (huge.crops[0].maps[0].channels, huge.crops[0].maps[0].side) = (4096, 4096);
    huge.claim(folder.path(), || false).unwrap();
    let error = Manifest::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("a size is out of bounds"), "{error}");
}

#[test]
fn shards_merge_into_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fill(&at("a"), &config(), &[0]);
    fill(&at("b"), &config(), &[1]);
    fill(&at("whole"), &config(), &[0, 1]);
    let missing = merge(&[at("a")], &at("half")).unwrap_err().to_string();
    assert!(missing.contains("chunk 1"), "{missing}");
    assert_eq!(merge(&[at("a"), at("b")], &at("joined")).unwrap(), 2);
    for number in [0, 1] {
        let bytes = |name: &str| std::fs::read(chunk_path(&at(name), 16, number)).unwrap();
        assert_eq!(bytes("joined"), bytes("whole"));
    }
    let other = DataConfig {
        seed: 9,
        ..config()
    };
    fill(&at("c"), &other, &[1]);
    let mixed = merge(&[at("a"), at("c")], &at("no"))
        .unwrap_err()
        .to_string();
    assert!(mixed.contains("do not belong together"), "{mixed}");
}
