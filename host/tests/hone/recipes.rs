//! The recipes of the five reports at toy length: the exact layouts of GoPro and DIV2K, drawn, and
//! teachers of the published formats with random weights.

use std::path::{Path, PathBuf};

use hone_host::data::degrade::Degradation;
use hone_host::data::degrade::resize::bicubic;
use hone_host::data::photo::Photo;
use hone_host::data::random::stream;
use hone_host::data::synth::scene;
use hone_host::picture::Picture;
use hone_host::recipe::{Outline, RecipeText};

use super::{done, fails, works};

fn hone(arguments: &[&str]) -> String {
    done(&super::hone(Path::new("."), arguments))
}

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/recipes")
}

fn fixture(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path);
    assert!(file.exists(), "{}", file.display());
    file.display().to_string()
}

fn save(picture: &Picture, path: PathBuf) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save(&path).unwrap();
}

/// `{train,test}/GOPRnnnn_11_nn/{blur,blur_gamma,sharp}/nnnnnn.png`.
fn gopro(root: &Path) {
    let blur: Degradation = "motion:length=5".parse().unwrap();
    for (s, sequence) in [
        "train/GOPR0372_07_00",
        "train/GOPR0374_11_01",
        "test/GOPR0384_11_00",
    ]
    .iter()
    .enumerate()
    {
        for frame in 0..2_u64 {
            let sharp = scene(s as u64, frame, 72, 64);
            let blurred = blur.apply(&sharp, &mut stream(&[frame])).unwrap();
            let name = format!("{:06}.png", frame + 47);
            let folder = root.join(sequence);
            save(&sharp, folder.join("sharp").join(&name));
            save(&blurred, folder.join("blur").join(&name));
            // Must never be taken for an input.
            save(
                &Picture::new(3, 64, 72),
                folder.join("blur_gamma").join(&name),
            );
        }
    }
}

/// `DIV2K_{train,valid}_HR/nnnn.png`, `DIV2K_{train,valid}_LR_bicubic/X2/nnnnx2.png`.
fn div2k(root: &Path) {
    for (split, first, count) in [("train", 1_u64, 3_u64), ("valid", 801, 2)] {
        for number in first..first + count {
            let sharp = scene(7, number, 144, 120);
            let small = bicubic(&Photo::from_picture(&sharp), 72, 60).picture();
            save(
                &sharp,
                root.join(format!("DIV2K_{split}_HR/{number:04}.png")),
            );
            let low = root.join(format!("DIV2K_{split}_LR_bicubic/X2"));
            save(&small, low.join(format!("{number:04}x2.png")));
        }
    }
}

/// Runs `command` of a recipe with `set` and a stage or more of two small steps.
fn toy(command: &[&str], recipe: &str, stages: usize, set: &[String], more: &[&str]) -> String {
    let recipe = recipes().join(recipe).display().to_string();
    let mut arguments: Vec<String> = command.iter().map(|s| (*s).to_owned()).collect();
    arguments.push(recipe);
    let mut pairs = set.to_vec();
    for stage in 0..stages {
        for pair in ["epochs=1", "steps=2", "batch=2", "crop=32"] {
            pairs.push(format!("stage.{stage}.{pair}"));
        }
    }
    pairs.extend(
        [
            "training.workers=1",
            "data.validation=0.5",
            "data.validation_images=1",
        ]
        .map(String::from),
    );
    for pair in pairs {
        arguments.extend(["--set".to_owned(), pair]);
    }
    arguments.extend(more.iter().map(|s| (*s).to_owned()));
    arguments.extend(["--device".to_owned(), "cpu".to_owned()]);
    hone(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn restormer() -> Vec<String> {
    let weights = fixture("teachers/restormer_tiny/weights.pth");
    vec![
        format!("teacher.from={weights}"),
        "teacher.network={ architecture = \"restormer\", dim = 8, num_blocks = [1, 1, 1, 2], num_refinement_blocks = 1 }".to_owned(),
    ]
}

/// VGG weights as torchvision writes them, cut off after relu2_2.
fn vgg(loss: usize, kind: &str) -> Vec<String> {
    let weights = fixture(&format!("vgg/{kind}_features_relu2_2.pth"));
    vec![
        format!("loss.{loss}.weights={weights}"),
        format!("loss.{loss}.layers=[\"relu2_2\"]"),
    ]
}

fn trained(run: &Path, terms: &[&str]) {
    assert!(run.join("best.safetensors").exists());
    let log = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
    for term in terms {
        assert!(log.contains(term), "{term} is not in {log}");
    }
    assert!(run.join("curves.svg").exists() && run.join("log.csv").exists());
}

#[test]
fn reports_on_gopro_run_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    gopro(&at("GoPro"));
    let data = format!("data.root={}", at("GoPro").display());
    let out = |name: &str| at(name).display().to_string();
    let set = |more: &[Vec<String>]| [&[vec![data.clone()]], more].concat().concat();

    let a = set(&[restormer(), vgg(1, "vgg16")]);
    toy(
        &["distill"],
        "report-a-nafnet-lite.toml",
        1,
        &a,
        &["--out", &out("a")],
    );
    trained(
        &at("a"),
        &["charbonnier", "perceptual", "ssim", "teacher-charbonnier"],
    );

    toy(
        &["teacher", "train"],
        "report-b-unet.toml",
        1,
        &set(&[]),
        &["--out", &out("bt")],
    );
    let b = set(&[vgg(1, "vgg19")]);
    let more = ["--teacher", &out("bt"), "--out", &out("b")];
    toy(&["distill"], "report-b-cnn4.toml", 2, &b, &more);
    trained(&at("b"), &["l1", "perceptual", "feature"]);

    let mut c = set(&[restormer(), vgg(1, "vgg16")]);
    c.extend(["training.checkpoint_every=1", "training.samples_every=3"].map(String::from));
    toy(
        &["distill"],
        "report-c-dsunet.toml",
        3,
        &c,
        &["--out", &out("c")],
    );
    trained(
        &at("c"),
        &["l1", "perceptual", "ssim", "edge", "lab", "feature"],
    );
    let kept = ["epoch-0003.safetensors", "samples/epoch-0003.png"];
    assert!(kept.iter().all(|file| at("c").join(file).exists()));

    let e = set(&[restormer()]);
    toy(
        &["distill"],
        "report-e-studentnet.toml",
        1,
        &e,
        &["--out", &out("e")],
    );
    trained(&at("e"), &["mse", "teacher-mse"]);
}

#[test]
fn the_report_on_div2k_runs_end_to_end_with_its_cache() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    div2k(&at("DIV2K"));
    let weights = fixture("teachers/swinir_tiny_x2/weights.pth");
    let set = [
        format!("data.root={}", at("DIV2K").display()),
        format!("teacher.from={weights}"),
        "teacher.network={ architecture = \"swinir\", upscale = 2, img_size = 16, depths = [2, 2], embed_dim = 12, num_heads = [2, 2], mlp_ratio = 2, upsampler = \"pixelshuffle\" }".to_owned(),
        "data.pool=4".to_owned(),
    ];
    let (cache, out) = (
        at("cache").display().to_string(),
        at("d").display().to_string(),
    );
    let recipe = "report-d-studentcnn.toml";
    toy(&["teacher", "cache"], recipe, 1, &set, &["--out", &cache]);
    toy(
        &["distill"],
        recipe,
        1,
        &set,
        &["--cache", &cache, "--out", &out],
    );
    trained(&at("d"), &["teacher-l1", "teacher-ssim"]);
}

#[test]
fn a_temporal_student_learns_from_photographs_and_runs_on_frames() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for i in 0..4 {
        save(
            &scene(3, i, 72, 64),
            folder.path().join(format!("photos/{i}.png")),
        );
    }
    let set = [format!("data.root={}", at("photos"))];
    let (run, float, int8) = (at("run"), at("student.onnx"), at("student.int8.onnx"));
    toy(&["distill"], "temporal.toml", 1, &set, &["--out", &run]);
    trained(Path::new(&run), &["charbonnier"]);
    hone(&["export", &run, "--out", &float, "--simplify"]);
    hone(&["quantize", &run, "--out", &int8]);
    for model in [&float, &int8] {
        hone(&["check", model]);
    }
    // Frames of a video: the second sees what came out of the first.
    let camera: Degradation = "grain:sigma=0.05".parse().unwrap();
    for i in 0..3 {
        let sharp = scene(3, 0, 72, 64);
        let noisy = camera.apply(&sharp, &mut stream(&[i])).unwrap();
        save(&sharp, folder.path().join(format!("clip/sharp/{i}.png")));
        save(&noisy, folder.path().join(format!("clip/blur/{i}.png")));
    }
    let (clip, eval) = (at("clip"), at("eval"));
    let evaluated = hone(&[
        "eval",
        &float,
        &int8,
        "--data",
        &clip,
        "--video",
        "5",
        "--no-speed",
        "--out",
        &eval,
        "--json",
    ]);
    let report: serde_json::Value = serde_json::from_str(&evaluated).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let ours = rows
        .iter()
        .filter(|row| row["temporal"]["flicker"].is_number());
    // Those of the students, and what they are measured by.
    assert!(ours.count() >= 3, "{evaluated}");

    let quantize = ["quantize", &run, "--out", &int8, "--qat"];
    let cached = super::hone(Path::new("."), &quantize);
    let error = String::from_utf8_lossy(&cached.stderr);
    assert!(error.contains("sees sequences"), "{error}");
}

#[test]
fn every_recipe_is_valid() {
    let mut seen = 0;
    for entry in std::fs::read_dir(recipes()).unwrap() {
        let path = entry.unwrap().path();
        let result = Outline::of(&RecipeText::read(&path).unwrap());
        assert!(result.is_ok(), "{:#}", result.unwrap_err());
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} recipes");
}

#[test]
fn recipes_are_explained_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    let reference = works(here, "recipe");
    write("r.toml", &reference);
    let told = works(here, "recipe r.toml --set stage.0.epochs=3");
    for words in [
        "r.toml is well",
        "student  example: plain, rgb",
        "loss     0.5 x teacher-l1",
        "stage 0  3 epochs of 1000 steps, batch 16, crop 192",
        "total    3000 steps",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let teacher = recipes().join("demo-teacher.toml");
    let json = works(here, &format!("recipe {} --json", teacher.display()));
    let outline: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(outline["kind"], "teacher");
    assert!(outline["steps"].as_u64().unwrap() > 0, "{json}");

    let teachers = std::fs::read_to_string(&teacher).unwrap();
    for (text, from, to, words) in [
        (&reference, "convs = 5", "convs = 5\nwidht = 7", "widht"),
        (&reference, "crop = 128", "crop = 1", "crop must lie in"),
        (&teachers, "[network]", "[network]\nwidht = 7", "widht"),
        (&teachers, "depth = 2", "depth = 9", "depth is 9"),
    ] {
        let wrong = text.replacen(from, to, 1);
        write("wrong.toml", &wrong);
        let error = fails(here, "recipe wrong.toml");
        assert!(error.contains("wrong.toml, line "), "{to}: {error}");
        assert!(error.contains(words), "{to}: {error}");
    }
    write("neither.toml", "name = 'x'");
    let error = fails(here, "recipe neither.toml");
    assert!(
        error.contains("neither.toml: there is no [student]"),
        "{error}"
    );
    assert!(fails(here, "recipe missing.toml").contains("missing.toml"));
}
