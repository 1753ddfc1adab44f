//! `hone eval`, `restore`, `quantize`, `export`, `check` and `metrics` as a user runs them, on a
//! student trained for a few steps.

use super::{fails, said, told, toy, works};

const QUANTISE: &str = "[quantise]\npictures = 2\nqat = true\nqat_steps = 3\n";

#[test]
fn a_run_is_quantised_checked_evaluated_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("toy.toml"), toy::recipe("toy", 8, 4, QUANTISE)).unwrap();
    works(folder, "distill toy.toml --out run");
    works(folder, "export run --out f32.onnx --simplify");
    let table = works(folder, "quantize run --out int8.onnx --sensitivity --json");
    let rows: serde_json::Value = serde_json::from_str(&table).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 4);
    works(
        folder,
        "quantize run --out ptq.onnx --no-qat --calibration entropy --format qoperator",
    );
    works(folder, "check f32.onnx --run run --no-python");
    works(
        folder,
        "check int8.onnx --against f32.onnx --no-python --json",
    );
    let weights = std::fs::read(folder.join("run/best.safetensors")).unwrap();
    for command in ["export", "quantize"] {
        for file in ["best.safetensors", "run.json", "log.csv"] {
            let error = fails(folder, &format!("{command} run --out run/{file}"));
            assert!(error.contains("would overwrite"), "{error}");
        }
    }
    assert_eq!(
        std::fs::read(folder.join("run/best.safetensors")).unwrap(),
        weights
    );
    works(folder, "export run --out run/student.onnx");
    dry_runs(folder);

    std::fs::create_dir(folder.join("sharp")).unwrap();
    for i in 0..2u8 {
        let pixels = (0..64 * 48u32).flat_map(|k| {
            let stripe = if (k % 64 / 5 + k / 64 / 7) % 2 == 0 {
                40
            } else {
                200
            };
            [stripe, stripe + i * 20, 90]
        });
        let image = image::RgbImage::from_raw(64, 48, pixels.collect()).unwrap();
        image.save(folder.join(format!("sharp/{i}.png"))).unwrap();
    }
    // As a killed training leaves it.
    let log = folder.join("run/log.jsonl");
    let mut lines = std::fs::read_to_string(&log).unwrap();
    lines.push_str("{\"epoch\":");
    std::fs::write(&log, lines).unwrap();
    works(
        folder,
        "eval run ptq.onnx --data sharp --speed 64x48 --out report",
    );
    let report = std::fs::read_to_string(folder.join("report/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "input",
            "bicubic",
            "unsharp mask",
            "toy f32",
            "toy INT8",
            "ptq"
        ]
    );
    assert_eq!(report["pairs"].as_array().unwrap().len(), 2);
    assert_eq!(report["unsharp"]["on"], "recipe");
    // 4-8-8-4 channels with 3x3 kernels, and biases.
    assert_eq!(rows[3]["parameters"], 9 * (32 + 64 + 32) + 20);
    assert_eq!(rows[4]["parameters"], rows[3]["parameters"]);
    assert!(rows[5]["speed"][0]["fps"].as_f64().unwrap() > 0.0);
    let markdown = std::fs::read_to_string(folder.join("report/report.md")).unwrap();
    assert!(markdown.contains("| toy INT8 |") && markdown.contains("ssim_gopro_3d"));
    let side_by_side = works(
        folder,
        "eval --compare report report/report.json --markdown",
    );
    assert_eq!(side_by_side.matches("| toy INT8").count(), 2);
    let error = fails(folder, "eval ptq.onnx --data sharp");
    assert!(error.contains("--degrade"), "{error}");
    let error = fails(
        folder,
        "eval ptq.onnx --data sharp --degrade motion --limit 0",
    );
    assert!(error.contains("1 or more"), "{error}");
    let paired = "eval ptq.onnx --data pairs --degrade motion --no-speed";
    works(folder, "data pairs sharp --out pairs --degrade motion");
    let error = fails(folder, paired);
    assert!(error.contains("degraded pictures already"), "{error}");

    works(
        folder,
        "restore sharp --model int8.onnx --output restored --tile 64 --split 0.5",
    );
    let rgb =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/tests/data/rgb.onnx");
    std::fs::copy(rgb, folder.join("rgb.onnx")).unwrap();
    for (words, told) in [
        (
            "restore sharp --model int8.onnx --output no --device cpu",
            "--device is for teachers",
        ),
        (
            "restore sharp --model int8.onnx --output no --tile 1",
            "64 or more",
        ),
        (
            "eval ptq.onnx --data sharp --degrade motion --run run",
            "--out",
        ),
        (
            "eval ptq.onnx --data nothing --run typo --out o",
            "typo/log.jsonl",
        ),
        (
            "eval rgb.onnx --data nothing --colour luma --honed-frames sharp",
            "rgb restores RGB",
        ),
    ] {
        let error = fails(folder, words);
        assert!(error.contains(told), "{words}: {error}");
    }
    std::fs::create_dir(folder.join("some")).unwrap();
    std::fs::copy(folder.join("sharp/0.png"), folder.join("some/0.png")).unwrap();
    std::fs::write(folder.join("some/1.png"), "damaged").unwrap();
    let said = said(&told(folder, "harm ptq.onnx --sharp some"));
    assert!(
        said.contains("left out some/1.png") && said.contains("kept 1"),
        "{said}"
    );
    works(folder, "harm ptq.onnx --sharp some");
    let scores = works(folder, "metrics sharp restored --json --only psnr_rgb");
    let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
    assert_eq!(scores["summary"]["psnr_rgb"]["count"], 2);
    for picture in ["sharp/2.png", "restored/2.png"] {
        std::fs::write(folder.join(picture), b"\x89PNG\r\n\x1a\n").unwrap();
    }
    let again = works(folder, "metrics sharp restored --json --only psnr_rgb");
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again, scores);
    let error = fails(folder, "eval run --data sharp --device cpu");
    assert!(error.contains("--device is for teachers"), "{error}");
    let error = fails(
        folder,
        "metrics sharp/0.png restored/0.png --only lpips_alex",
    );
    assert!(error.contains("--lpips-backbone"), "{error}");
}

/// What a training could not start with is told by its dry run.
fn dry_runs(folder: &std::path::Path) {
    let dry = "distill toy.toml --dry-run --device cpu";
    works(folder, &format!("{dry} --from run"));
    for (words, told) in [
        (
            "--set data.layout=sharp --set data.root=/nonexistent",
            "/nonexistent",
        ),
        ("--set data.count=0", "count must be at least 1"),
        ("--from out/nope", "cannot start from out/nope"),
        ("--out run", "holds a run already"),
    ] {
        let error = fails(folder, &format!("{dry} {words}"));
        assert!(error.contains(told), "{words}: {error}");
    }
}

#[test]
fn a_student_that_is_no_chain_is_quantised_checked_and_restores() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let chain = "architecture = \"plain\"\nscale = 2\nchannels = 8\nconvs = 3";
    let unet = "architecture = \"dsunet\"\nwidth = 8\ndepth = 2";
    let recipe = toy::recipe("unet", 8, 4, "[quantise]\npictures = 2\n");
    std::fs::write(folder.join("unet.toml"), recipe.replace(chain, unet)).unwrap();
    works(folder, "distill unet.toml --out run");
    works(folder, "export run --out f32.onnx");
    let table = works(
        folder,
        "quantize run --out int8.onnx --sensitivity --keep-float 0",
    );
    assert!(
        table.contains("3x3 8 to 8, depthwise") && table.contains("but slower"),
        "{table}"
    );
    works(
        folder,
        "check int8.onnx --against f32.onnx --run run --no-python",
    );
    let scene = hone_host::data::synth::scene(5, 0, 40, 32);
    scene.save(&folder.join("soft.png")).unwrap();
    works(
        folder,
        "restore soft.png --model int8.onnx --output sharp.png",
    );
    works(
        folder,
        "bundle pack --name unet --model small=f32.onnx --model small=int8.onnx --out x.hone",
    );
    let error = fails(folder, "quantize run --out x.onnx --format qoperator");
    assert!(
        error.contains("dsunet") && error.contains("--format qdq"),
        "{error}"
    );
    let error = fails(folder, "quantize run --out x.onnx --qat");
    assert!(error.contains("fine-tunes chains"), "{error}");
    assert!(!folder.join("x.onnx").exists());
}

/// A video of scenes that glide to the left, without the frames `dropped`.
pub fn clip(path: &std::path::Path, dropped: &[usize]) {
    use hone_host::restore::video::{Format, Frame, Writer};
    let wide = hone_host::data::synth::scene(5, 0, 160, 64);
    let format = Format {
        width: 96,
        height: 64,
        rate: (25, 1),
        aspect: (1, 1),
    };
    let mut writer = Writer::create(path, format).unwrap();
    for i in (0..20).filter(|i| !dropped.contains(i)) {
        let frame = wide.crop(0, 3 * i, 64, 96);
        writer.push(&Frame::from_picture(&frame)).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn a_restored_video_has_every_frame_and_an_empty_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clip(&folder.join("sent.mp4"), &[]);
    let luma =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/tests/data/luma.onnx");
    std::fs::copy(luma, folder.join("student.onnx")).unwrap();
    works(
        folder,
        "restore sent.mp4 --model student.onnx --strength 0 --output same.mp4",
    );
    let found = works(folder, "metrics sent.mp4 same.mp4 --only psnr_y --json");
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["entries"].as_array().unwrap().len(), 20);
    // At strength 0 the frames differ by their second coding alone.
    assert!(
        found["summary"]["psnr_y"]["min"].as_f64().unwrap() > 35.0,
        "{found}"
    );
    std::fs::write(
        folder.join("empty.y4m"),
        "YUV4MPEG2 W96 H64 F25:1 Ip A1:1 C444\n",
    )
    .unwrap();
    fails(
        folder,
        "restore empty.y4m --model student.onnx --output none.mp4",
    );
    let whole = std::fs::read(folder.join("sent.mp4")).unwrap();
    std::fs::write(folder.join("cut.mp4"), &whole[..whole.len() / 4]).unwrap();
    let said = fails(
        folder,
        "restore cut.mp4 --model student.onnx --output none.mp4",
    );
    assert!(said.contains("cut.mp4"), "{said}");
    assert!(!folder.join("none.mp4").exists());
}

#[test]
fn dropped_frames_are_named_and_every_frame_has_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clip(&folder.join("sent.mp4"), &[]);
    clip(&folder.join("received.mp4"), &[4, 5, 11]);
    let found = works(
        folder,
        "metrics sent.mp4 received.mp4 --only psnr_y --csv frames.csv --json",
    );
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(
        found["alignment"]["dropped"],
        serde_json::json!([4, 5, 11]),
        "{found}"
    );
    assert_eq!(found["entries"].as_array().unwrap().len(), 17);
    assert_eq!(found["entries"][4]["name"], "frame 6");
    // Aligned frames differ by their coding alone.
    assert!(
        found["summary"]["psnr_y"]["min"].as_f64().unwrap() > 35.0,
        "{found}"
    );
    let table = std::fs::read_to_string(folder.join("frames.csv")).unwrap();
    assert_eq!(table.lines().next(), Some("name,psnr_y,flicker"));
    assert_eq!(table.lines().count(), 18);
    let told = works(folder, "metrics sent.mp4 received.mp4 --only psnr_y");
    assert!(
        told.contains("3 frames of the reference are missing (4 to 5, 11)"),
        "{told}"
    );
    works(
        folder,
        "eval --data sent.mp4 --degrade gaussian:sigma=1 --limit 4 --video 25 --no-speed --only l1 --out film",
    );
    assert!(folder.join("film/side_by_side.mp4").is_file());
    std::fs::write(folder.join("still.png"), "").unwrap();
    for pair in ["sent.mp4 still.png", "still.png sent.mp4"] {
        let said = fails(folder, &format!("metrics {pair}"));
        assert!(said.contains("both be videos"), "{said}");
    }
}
