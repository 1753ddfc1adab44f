//! `hone restore` and `hone eval` give what the board's engine gives.

use std::io::Write;
use std::path::{Path, PathBuf};

use hone_device::engine::{self, Engine, EngineOptions, FrameView, FrameViewMut, PixelFormat};
use hone_host::data::synth::scene;
use hone_host::onnx::{Metadata, write_chain_f32};
use hone_host::picture::Picture;
use hone_host::restore::video::{Frame, Reader};
use hone_shared::student::{Colour, ConvChain, ConvLayer};

use super::{eval::clip, works};

fn engine(model: &Path) -> Box<dyn Engine> {
    engine::load(&std::fs::read(model).unwrap(), EngineOptions::default()).unwrap()
}

/// A plane through the engine.
fn run(engine: &mut dyn Engine, width: usize, height: usize, luma: &[u8]) -> Vec<u8> {
    let mut out = vec![0; luma.len()];
    let frame = FrameView::packed(PixelFormat::Gray8, width, height, luma).unwrap();
    let mut to = FrameViewMut::packed(PixelFormat::Gray8, width, height, &mut out).unwrap();
    engine.run(&frame, &mut to, 1.0).unwrap();
    out
}

fn frames(path: &Path) -> Vec<Frame> {
    let mut reader = Reader::open(path).unwrap();
    std::iter::from_fn(|| reader.next_frame().unwrap()).collect()
}

/// Mean distance of bytes.
fn apart(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

fn student(folder: &Path, name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../device/tests/data")
        .join(name);
    let copy = folder.join(name);
    std::fs::copy(file, &copy).unwrap();
    copy
}

#[test]
fn every_frame_of_a_restored_video_is_the_engines() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clip(&folder.join("sent.mp4"), &[]);
    let model = student(folder, "luma.onnx");
    works(
        folder,
        "restore sent.mp4 --model luma.onnx --output sharp.mp4",
    );
    let (sent, restored) = (
        frames(&folder.join("sent.mp4")),
        frames(&folder.join("sharp.mp4")),
    );
    assert_eq!((sent.len(), restored.len()), (20, 20));
    let mut engine = engine(&model);
    for (i, (before, after)) in sent.iter().zip(&restored).enumerate() {
        let expected = run(engine.as_mut(), 96, 64, &before.y);
        let (coding, change) = (apart(&after.y, &expected), apart(&before.y, &expected));
        assert!(change > 8.0, "frame {i} changes by {change} only");
        assert!(coding < 2.0, "frame {i} is {coding} from the engine's");
        // Chroma is the camera's, but for its second coding.
        let chroma = apart(&after.u, &before.u).max(apart(&after.v, &before.v));
        assert!(chroma < 2.0, "frame {i}: {chroma}");
    }
}

#[test]
fn tiles_do_not_show_and_left_of_the_split_is_the_input() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let picture = scene(5, 0, 150, 100);
    picture.save(&folder.join("soft.png")).unwrap();
    student(folder, "luma.int8.onnx");
    let restore = "restore soft.png --model luma.int8.onnx";
    works(folder, &format!("{restore} --output whole.png"));
    works(
        folder,
        &format!("{restore} --tile 64 --split 0.5 --output half.png"),
    );
    let open = |name: &str| Picture::load(&folder.join(name)).unwrap();
    let (before, whole, half) = (open("soft.png"), open("whole.png"), open("half.png"));
    let columns = |p: &Picture, left, count| p.crop(0, left, 100, count).to_bytes();
    // The line takes columns 74 and 75.
    assert_eq!(columns(&half, 0, 74), columns(&before, 0, 74));
    assert_eq!(columns(&half, 74, 2), vec![255; 2 * 100 * 3]);
    assert_eq!(columns(&half, 76, 74), columns(&whole, 76, 74));
    for left in [0, 76] {
        let change = apart(&columns(&whole, left, 74), &columns(&before, left, 74));
        assert!(change > 2.0, "{change}");
    }
}

/// A student that gives the mean of the frame and of what it gave for the one before.
fn averaging() -> Vec<u8> {
    let chain = ConvChain {
        colour: Colour::Luma,
        scale: 1,
        layers: vec![ConvLayer {
            inputs: 2,
            outputs: 1,
            kernel: 1,
            weights: vec![-0.5, 0.5],
            bias: vec![0.0],
            relu: false,
        }],
        limited: false,
    };
    let metadata = Metadata {
        name: "mean".into(),
        scale: 1,
        halo: Some(0),
        ..Metadata::default()
    };
    write_chain_f32(&chain, &metadata)
}

/// PSNR in dB.
fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let square = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b)).powi(2);
    let sum: f64 = a.iter().zip(b).map(square).sum();
    10.0 * (255.0_f64.powi(2) * a.len() as f64 / sum).log10()
}

#[test]
fn a_temporal_student_sees_what_it_gave_for_the_frame_before() {
    const SIZE: (usize, usize) = (72, 64);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let model = folder.join("mean.onnx");
    std::fs::write(&model, averaging()).unwrap();
    // Frames that have little in common, as a film without losses and as pairs.
    let scenes: Vec<Picture> = (0..4).map(|i| scene(3, i, SIZE.0, SIZE.1)).collect();
    let truth = scene(4, 0, SIZE.0, SIZE.1);
    for kind in ["sharp", "blur"] {
        std::fs::create_dir_all(folder.join("clip").join(kind)).unwrap();
    }
    let mut film = std::fs::File::create(folder.join("film.y4m")).unwrap();
    writeln!(film, "YUV4MPEG2 W72 H64 F5:1 Ip A1:1 C444").unwrap();
    for (i, scene) in scenes.iter().enumerate() {
        truth
            .save(&folder.join(format!("clip/sharp/{i}.png")))
            .unwrap();
        scene
            .save(&folder.join(format!("clip/blur/{i}.png")))
            .unwrap();
        let frame = Frame::from_picture(scene);
        film.write_all(b"FRAME\n").unwrap();
        for plane in [&frame.y, &frame.u, &frame.v] {
            film.write_all(plane).unwrap();
        }
    }
    drop(film);
    // What a sequence of planes becomes in turn, and each alone.
    let expected = |planes: &[Vec<u8>]| {
        let (mut turn, mut alone) = (engine(&model), engine(&model));
        let both = planes.iter().map(|plane| {
            alone.reset();
            let one = |engine: &mut dyn Engine| run(engine, SIZE.0, SIZE.1, plane);
            (one(turn.as_mut()), one(alone.as_mut()))
        });
        both.collect::<Vec<_>>()
    };

    works(
        folder,
        "restore film.y4m --model mean.onnx --output mean.mp4",
    );
    let luma: Vec<Vec<u8>> = scenes.iter().map(|s| Frame::from_picture(s).y).collect();
    let restored = frames(&folder.join("mean.mp4"));
    assert_eq!(restored.len(), 4);
    for (i, (got, (turn, alone))) in restored.iter().zip(expected(&luma)).enumerate() {
        let coding = apart(&got.y, &turn);
        assert!(coding < 2.0, "frame {i} is {coding} from the engine's");
        let memory = apart(&alone, &turn);
        assert_eq!(memory > 8.0, i > 0, "frame {i}: {memory}");
    }

    // A folder is a sequence when it is said to be one.
    for (out, flag) in [("alone", ""), ("turn", " --sequence")] {
        let words = format!("restore clip/blur --model mean.onnx --output {out}{flag}");
        works(folder, &words);
    }
    for i in 0..4 {
        let picture = |out: &str| std::fs::read(folder.join(format!("{out}/{i}.png"))).unwrap();
        assert_eq!(picture("alone") != picture("turn"), i > 0, "picture {i}");
    }

    let words = "eval mean.onnx --data clip --video 5 --no-speed --out report --json";
    let report: serde_json::Value = serde_json::from_str(&works(folder, words)).unwrap();
    let bytes: Vec<Vec<u8>> = scenes.iter().map(|s| s.luma().to_bytes()).collect();
    let truth = truth.luma().to_bytes();
    let gains = report["ranking"].as_array().unwrap();
    assert_eq!(gains.len(), 4, "{report}");
    for (i, (turn, alone)) in expected(&bytes).iter().enumerate() {
        let gain = |of: &[u8]| psnr(of, &truth) - psnr(&bytes[i], &truth);
        let found = gains.iter().find(|gain| gain["pair"] == i).unwrap();
        let found = found["gain_db"].as_f64().unwrap();
        assert!((found - gain(turn)).abs() < 0.01, "frame {i}: {found}");
        let memory = (gain(alone) - gain(turn)).abs();
        assert_eq!(memory > 0.1, i > 0, "frame {i}: {memory}");
    }
}
