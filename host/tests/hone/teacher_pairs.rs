//! `hone teacher pairs`: from a camera's own frames to a student, without a sharp picture.

use std::path::Path;

use hone_host::data::synth::scene;
use hone_host::picture::Picture;

use super::{fails, hone, said, toy, works};

const WEIGHTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/teachers/nafnet_tiny/weights.pth"
);

/// Two clips of three frames, one frame cut off.
fn frames(folder: &Path) {
    for (clip, seed) in [("north", 1), ("south", 2)] {
        let place = folder.join("frames").join(clip);
        std::fs::create_dir_all(&place).unwrap();
        for frame in 0..3 {
            let path = place.join(format!("{frame:04}.png"));
            scene(seed, frame, 48, 40).save(&path).unwrap();
        }
    }
    let cut = folder.join("frames/south/0001.png");
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn frames_without_truth_train_a_student() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    frames(at);
    let make = format!("teacher pairs frames --weights {WEIGHTS} --device cpu --out pairs");
    let done = hone(at, &make.split(' ').collect::<Vec<_>>());
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("left out south/0001.png: "));
    assert!(String::from_utf8_lossy(&done.stdout).contains("5 pairs made, 0 were there"));

    // What the teacher says to one frame, and the frame as it is.
    let frame = "frames/north/0002.png";
    works(
        at,
        &format!("teacher run --weights {WEIGHTS} --device cpu --input {frame} --output one.png"),
    );
    let picture = |path: &str| Picture::load(&at.join(path)).unwrap();
    let (one, answer) = (picture("one.png"), picture("pairs/target/north/0002.png"));
    let apart = one
        .data
        .iter()
        .zip(&answer.data)
        .map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f32::max) < 1.5 / 255.0);
    let bytes = |path: &str| std::fs::read(at.join(path)).unwrap();
    assert_eq!(bytes(frame), bytes("pairs/input/north/0002.png"));
    assert!(!at.join("pairs/input/south/0001.png").exists());

    // What is there stays, what is missing is made again.
    std::fs::remove_file(at.join("pairs/target/north/0002.png")).unwrap();
    assert!(works(at, &make).contains("1 pairs made, 4 were there"));
    let tiled = fails(at, &format!("{make} --tile 64"));
    assert!(tiled.contains("in another precision or other tiles"));
    let few = fails(at, &format!("{make} --limit 2"));
    assert!(few.contains("about other frames"), "{few}");
    let nested = make.replace("--out pairs", "--out none/../frames/pairs");
    let nested = fails(at, &nested);
    assert!(
        nested.contains("lies in frames, the folder of the frames"),
        "{nested}"
    );

    // A clip is never split, so one of the two validates.
    let recipe = toy::recipe("mine", 1, 2, "").replace("layout = \"scenes\"", "root = \"pairs\"");
    std::fs::write(at.join("mine.toml"), recipe).unwrap();
    works(
        at,
        "distill mine.toml --set data.validation=0.5 --out mine --device cpu",
    );
    let run = std::fs::read_to_string(at.join("mine/run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    let (teacher, weights) = (&run["teacher"], std::fs::read(WEIGHTS).unwrap());
    assert_eq!(teacher["architecture"], "nafnet");
    assert_eq!(
        teacher["weights_sha256"],
        hone_host::recipe::sha256(&weights)
    );

    works(
        at,
        "eval mine --data pairs --no-speed --out report --only psnr_rgb",
    );
    let report = |ending: &str| {
        std::fs::read_to_string(at.join("report/report").with_extension(ending)).unwrap()
    };
    assert!(report("json").contains("\"answered_by\": \"nafnet\""));
    let sentence = "what a teacher (nafnet) made of the others";
    assert!(report("md").contains(sentence) && report("html").contains(sentence));
}

#[test]
fn what_cannot_be_answered_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    frames(at);
    let larger = WEIGHTS.replace("nafnet_tiny", "swinir_tiny_x2");
    let config = larger.replace("weights.pth", "config.json");
    let error = fails(
        at,
        &format!("teacher pairs frames --weights {larger} --config {config} --out pairs"),
    );
    assert!(error.contains("enlarges pictures 2 times"), "{error}");
    // Folders may be called anything, but no two frames alike.
    std::fs::rename(at.join("frames/south"), at.join("frames/noisy")).unwrap();
    std::fs::copy(
        at.join("frames/noisy/0000.png"),
        at.join("frames/noisy/0000.bmp"),
    )
    .unwrap();
    let make = format!("teacher pairs frames --weights {WEIGHTS} --device cpu --out pairs");
    let error = fails(at, &make);
    assert!(error.contains("the answer to noisy/0000."), "{error}");
    assert!(!at.join("pairs").exists());
    std::fs::remove_file(at.join("frames/noisy/0000.bmp")).unwrap();
    assert!(works(at, &make).contains("5 pairs made"));
    assert!(works(at, "data index pairs").contains("5 pairs"));
}

#[test]
fn a_folder_of_a_training_names_a_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    frames(at);
    let network = "\n[network]\narchitecture = \"unet\"\nchannels = 1\nwidth = 4\ndepth = 1\n";
    let recipe = toy::recipe("t", 4, 2, network).replace("colour = \"luma\"\n", "");
    let (head, student) = recipe.split_once("[student]").unwrap();
    let (_, rest) = student.split_once("[[loss]]").unwrap();
    std::fs::write(at.join("t.toml"), format!("{head}[[loss]]{rest}")).unwrap();
    works(at, "teacher train t.toml --out t --device cpu");
    let made = works(at, "teacher pairs frames --weights t --limit 2 --out pairs");
    assert!(made.contains("2 pairs made"), "{made}");
    // Of luma alone, it leaves colours as they are.
    let picture = |side: &str| Picture::load(&at.join(format!("pairs/{side}/north/0000.png")));
    let [frame, answer] = ["input", "target"].map(|side| picture(side).unwrap());
    let plane = frame.width * frame.height;
    let chroma = |p: &Picture, i: usize| p.data[i] - p.data[plane + i];
    let kept = (0..plane).filter(|&i| (chroma(&frame, i) - chroma(&answer, i)).abs() < 0.01);
    assert!(kept.count() > plane / 2);
    // Told by its folder or by its weights, it is the same teacher.
    let again = works(
        at,
        "teacher pairs frames --weights t/best.safetensors --config t/teacher.json --limit 2 --out pairs",
    );
    assert!(again.contains("0 pairs made, 2 were there"), "{again}");
    std::fs::remove_file(at.join("t/teacher.json")).unwrap();
    let error = fails(at, "teacher pairs frames --weights t --out other");
    assert!(error.contains("teacher.json"), "{error}");
    assert!(!at.join("other").exists());
}
