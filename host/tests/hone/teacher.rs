//! `hone teacher` as a user runs it: pictures and tensors, tiles, precisions, hostile files, training.

use std::path::{Path, PathBuf};
use std::process::Output;

use hone_host::checkpoint;
use hone_host::picture::Picture;
use hone_host::teacher::config::read_file;
use hone_host::teacher::load;
use tch::Tensor;

use super::{command, said};

fn fixture(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/teachers")
        .join(name)
        .join(file)
}

fn tensor(file: &Path, name: &str) -> Tensor {
    let entries = checkpoint::read(file, None).unwrap().entries;
    load::tensor(entries.iter().find(|e| e.name == name).unwrap()).unwrap()
}

fn hone(arguments: &[&str]) -> Output {
    super::hone(Path::new("."), arguments)
}

fn succeeds(arguments: &[&str]) -> String {
    let done = hone(arguments);
    let message = said(&done);
    assert!(done.status.success(), "{arguments:?}: {message}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The one sentence of a refused command.
fn refusal(arguments: &[&str]) -> String {
    let done = hone(arguments);
    let message = said(&done);
    assert_eq!(done.status.code(), Some(1), "{arguments:?}: {message}");
    assert!(message.starts_with("error: "), "{arguments:?}: {message}");
    message
}

/// A tensor's name that would write to the clipboard and clear the terminal.
#[test]
fn a_files_names_do_not_reach_the_terminal_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let name = r"a\u001b]52;c;eA==\u0007\u001b[2J";
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(&path, [&length[..], header.as_bytes(), &[0; 4]].concat()).unwrap();
    let weights = path.display().to_string();
    let done = hone(&["teacher", "info", "--entries", "--weights", &weights]);
    for said in [&done.stdout, &done.stderr] {
        let said = String::from_utf8_lossy(said);
        assert!(said.contains("]52;c;"), "{said}");
        assert!(!said.contains(['\x1b', '\x07']), "{said:?}");
    }
}

/// `hone teacher run` on the fixture `name`; the output's error against the published one.
fn run(name: &str, output: &Path, more: &[&str]) -> f64 {
    let weights = fixture(name, "weights.pth");
    let io = fixture(name, "io.safetensors");
    let mut arguments = vec!["teacher", "run", "--device", "cpu"];
    arguments.extend(["--weights", weights.to_str().unwrap()]);
    arguments.extend(["--input", io.to_str().unwrap()]);
    arguments.extend(["--output", output.to_str().unwrap()]);
    arguments.extend(more);
    succeeds(&arguments);
    let difference = tensor(output, "output") - tensor(&io, "output");
    difference.abs().max().double_value(&[])
}

#[test]
fn tensors_come_out_as_published() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("o.safetensors");
    let config = fixture("restormer_tiny", "config.json");
    let config = config.to_str().unwrap();
    assert!(run("restormer_tiny", &output, &["--config", config]) < 1e-4);
    assert!(run("swinir_tiny_x2", &output, &[]) < 1e-4);
    // Windows are what they are in a tile of whole windows around them.
    assert!(run("nafnet_tiny", &output, &["--tile", "512"]) < 1e-4);
    for precision in ["bf16", "f16"] {
        let error = run("mprnet_tiny", &output, &["--precision", precision]);
        assert!(error > 1e-6 && error < 0.1, "{precision}: {error}");
    }
}

#[test]
fn tiles_are_cut_where_they_are_said_to_be_and_averaged() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("o.safetensors");
    let name = "swinir_tiny_x2";
    run(name, &output, &["--tile", "16", "--overlap", "8"]);
    let config = read_file(&fixture(name, "config.json")).unwrap();
    let options = load::LoadOptions {
        device: tch::Device::Cpu,
        kind: tch::Kind::Float,
        key: config.checkpoint_key,
    };
    let weights = fixture(name, "weights.pth");
    let teacher = load::load_with(&config.config, &weights, &options).unwrap();
    // 19 rows and 24 columns, enlarged twice.
    let x = tensor(&fixture(name, "io.safetensors"), "input");
    let _guard = tch::no_grad_guard();
    let mut sum = Tensor::zeros([1, 3, 38, 48], (tch::Kind::Float, tch::Device::Cpu));
    let mut count = sum.zeros_like();
    for (top, left) in [(0, 0), (0, 8), (3, 0), (3, 8)] {
        let part = teacher.forward(&x.narrow(2, top, 16).narrow(3, left, 16));
        let around = [2 * left, 16 - 2 * left, 2 * top, 6 - 2 * top];
        sum += part.constant_pad_nd(around);
        count += part.ones_like().constant_pad_nd(around);
    }
    let error = (tensor(&output, "output") - sum / count).abs().max();
    assert!(error.double_value(&[]) < 1e-4, "{error:?}");
}

#[test]
fn pictures_are_restored_and_files_described() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let weights = fixture("swinir_tiny_x2", "weights.pth");
    let weights = weights.to_str().unwrap();
    let (picture, sharp) = (at("in.png"), at("out.png"));
    Picture::new(3, 10, 14).save(Path::new(&picture)).unwrap();
    let run = ["teacher", "run", "--weights", weights, "--input", &picture];
    let json = succeeds(&[&run[..], &["--output", &sharp, "--json"]].concat());
    assert!(json.contains("\"architecture\":\"swinir\""), "{json}");
    let enlarged = Picture::load(Path::new(&sharp)).unwrap();
    assert_eq!((enlarged.height, enlarged.width), (20, 28));

    let nowhere = at("none/o.png");
    let message = refusal(&[&run[..], &["--output", &nowhere]].concat());
    assert!(message.contains("its folder does not exist"), "{message}");
    let message = refusal(&[&run[..], &["--output", "o.xyz"]].concat());
    assert!(message.contains("write a .png"), "{message}");
    let other = fixture("nafnet_tiny", "config.json");
    let more = ["--output", &sharp, "--config", other.to_str().unwrap()];
    let message = refusal(&[&run[..], &more].concat());
    assert!(
        message.contains("holds weights of swinir, and the configuration is for nafnet"),
        "{message}"
    );
    let grey = fixture("swinir_tiny_jpeg", "io.safetensors");
    let more = ["--input", grey.to_str().unwrap(), "--output", &sharp];
    let message = refusal(&[&run[..4], &more].concat());
    assert!(
        message.contains("1 channels, and this teacher takes 3"),
        "{message}"
    );

    let mprnet = fixture("mprnet_tiny", "weights.pth");
    let text = succeeds(&["teacher", "info", "--weights", mprnet.to_str().unwrap()]);
    for part in [
        "before PyTorch 1.6",
        "state_dict",
        "mprnet",
        "230413",
        "226",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let refused = |arguments: &[&str], words: &str| {
        let done = hone(&[&["teacher"], arguments].concat());
        let message = said(&done);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(words), "{message}");
    };
    let config = fixture("nafnet_tiny", "config.json");
    let bench = ["bench", "--config", config.to_str().unwrap()];
    for threads in ["0", "1025"] {
        refused(&[&bench[..], &["--threads", threads]].concat(), "1..=1024");
    }
    let weights = fixture("nafnet_tiny", "weights.pth");
    let info = ["info", "--weights", weights.to_str().unwrap()];
    refused(
        &[&info[..], &["--entries", "--json"]].concat(),
        "cannot be used with",
    );
}

#[test]
fn hostile_files_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(fixture("nafnet_tiny", "weights.pth")).unwrap();
    let legacy = std::fs::read(fixture("mprnet_tiny", "weights.pth")).unwrap();
    let files: [(&str, Vec<u8>, &str); 6] = [
        ("half.pth", whole[..whole.len() / 2].to_vec(), "cut off"),
        ("old.pth", legacy[..legacy.len() / 2].to_vec(), "cut off"),
        ("magic.pth", b"GIF89a and more".to_vec(), "no checkpoint"),
        ("empty.pth", Vec::new(), "no checkpoint"),
        (
            "system.pth",
            b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00true\x85R.".to_vec(),
            "magic number",
        ),
        (
            "header.safetensors",
            [&(1u64 << 60).to_le_bytes()[..], b"{\"a\":1}"].concat(),
            "safetensors",
        ),
    ];
    for (name, bytes, reason) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let message = refusal(&["teacher", "info", "--weights", path.to_str().unwrap()]);
        assert!(
            message.contains(reason) && message.contains(name),
            "{message}"
        );
    }
}

const RECIPE: &str = r#"name = "short"

[data]
layout = "scenes"
count = 2
size = [64, 64]
degradation = "gaussian:sigma=1..1.5"
validation_images = 1
validation_crop = 32

[[loss]]
kind = "l1"
weight = 1.0

[optimizer]
learning_rate = RATE

[training]
workers = 1

[[stage]]
epochs = 1
steps = 1
batch = 1
crop = 32

[network]
"#;

/// Trains for one step; gives the best weights.
fn train(folder: &Path, name: &str, network: &str, rate: &str, more: &[&str]) -> PathBuf {
    let recipe = folder.join(format!("{name}.toml"));
    std::fs::write(&recipe, RECIPE.replace("RATE", rate) + network).unwrap();
    let out = folder.join(name);
    let mut arguments = vec!["teacher", "train", recipe.to_str().unwrap()];
    arguments.extend(["--device", "cpu", "--out", out.to_str().unwrap()]);
    arguments.extend(more);
    succeeds(&arguments);
    out.join("best.safetensors")
}

#[test]
fn every_teacher_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let networks = [
        ("unet", "width = 2\ndepth = 1"),
        (
            "restormer",
            "dim = 4\nnum_blocks = [1, 1, 1, 1]\nheads = [1, 1, 2, 2]\nnum_refinement_blocks = 1",
        ),
        (
            "swinir",
            "embed_dim = 8\ndepths = [2]\nnum_heads = [2]\nimg_size = 32",
        ),
        (
            "mprnet",
            "n_feat = 4\nscale_unetfeats = 2\nscale_orsnetfeats = 2\nnum_cab = 1",
        ),
        (
            "nafnet",
            "width = 4\nenc_blk_nums = [1]\ndec_blk_nums = [1]",
        ),
    ];
    for (name, options) in networks {
        let network = format!("architecture = \"{name}\"\n{options}\n");
        let weights = train(folder.path(), name, &network, "1e-3", &[]);
        let text = succeeds(&["teacher", "info", "--weights", weights.to_str().unwrap()]);
        assert!(text.contains(&format!("fits        {name}")), "{text}");
    }
}

#[test]
fn training_starts_from_published_weights() {
    let folder = tempfile::tempdir().unwrap();
    let published = folder.path().join("weights.pth");
    std::fs::copy(fixture("nafnet_tiny", "weights.pth"), &published).unwrap();
    let network =
        "architecture = \"nafnet\"\nwidth = 8\nenc_blk_nums = [1, 1]\ndec_blk_nums = [1, 1]\n";
    let from = ["--from", published.to_str().unwrap()];
    let weights = train(folder.path(), "fine", network, "1e-9", &from);
    let config = load::read_weights(&published, None).unwrap();
    let (name, expected) = &config[0];
    let error = (tensor(&weights, name) - expected).abs().max();
    assert!(error.double_value(&[]) < 1e-6);
    // The run knows what it was started from.
    train(folder.path(), "fine", network, "1e-9", &["--resume"]);
    train(
        folder.path(),
        "fine",
        network,
        "1e-9",
        &[from[0], from[1], "--resume"],
    );
    let other = "architecture = \"nafnet\"\nwidth = 4\nenc_blk_nums = [1]\ndec_blk_nums = [1]\n";
    let recipe = folder.path().join("other.toml");
    std::fs::write(&recipe, RECIPE.replace("RATE", "1e-3") + other).unwrap();
    let out = folder.path().join("other");
    let message = refusal(&[
        "teacher",
        "train",
        recipe.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        from[0],
        from[1],
    ]);
    assert!(message.contains("wrong shape: intro.weight"), "{message}");
    assert!(!out.exists());
    // Nor does it need the file again.
    std::fs::remove_file(&published).unwrap();
    train(folder.path(), "fine", network, "1e-9", &["--resume"]);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command(Path::new("."))
        .args(["teacher", "list"])
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
