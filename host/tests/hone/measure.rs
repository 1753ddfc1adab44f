//! `hone data pairs` and `hone harm` as a user drives them, and what commands do about pictures that cannot
//! be used.

use std::path::Path;

use hone_host::data::synth::scene;
use hone_host::picture::Picture;

use super::{done, eval, fails, hone, said, told, works};

/// A student of the board's tests.
fn student(name: &str) -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/tests/data");
    data.join(name).to_str().unwrap().to_owned()
}

#[test]
fn damaged_pictures_are_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("photos")).unwrap();
    for i in 0..2 {
        let path = at.join(format!("photos/{i}.png"));
        scene(1, i, 64, 48).save(&path).unwrap();
    }
    let whole = std::fs::read(at.join("photos/0.png")).unwrap();
    std::fs::write(at.join("photos/cut.png"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(at.join("photos/rgb.gif"), b"GIF89a").unwrap();
    let student = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/tests/data/luma.onnx");
    let student = student.to_str().unwrap();
    let pairs = "data pairs photos --out pairs --degrade light";
    let restore = format!("restore photos --model {student} --output restored");
    let eval = format!("eval {student} --data photos --degrade light --no-speed --only l1");
    for command in [pairs, &restore, &eval] {
        let output = hone(at, &command.split(' ').collect::<Vec<_>>());
        done(&output);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("cut.png: "), "{command}: {said}");
        assert!(said.contains(", kept 2"), "{command}: {said}");
        assert_eq!(said.contains("rgb.gif"), command == restore, "{said}");
    }
    assert!(at.join("pairs/blur/1.png").exists() && at.join("restored/1.png").exists());

    for i in 0..2 {
        std::fs::remove_file(at.join(format!("photos/{i}.png"))).unwrap();
    }
    for command in [pairs.replace("--out pairs", "--out none"), restore, eval] {
        let output = hone(at, &command.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(1), "{command}");
    }
}

#[test]
fn a_picture_or_a_page_is_not_written_over_what_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    scene(1, 0, 64, 48).save(&at.join("a.png")).unwrap();
    let before = std::fs::read(at.join("a.png")).unwrap();
    let student = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/tests/data/luma.onnx");
    let restore = format!("restore a.png --model {} -o ./a.png", student.display());
    let page = "report mos --method a=. --out r.html --key r.html";
    for command in [restore.as_str(), page] {
        let output = hone(at, &command.split(' ').collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("overwrite"), "{command}: {said}");
        assert_eq!(output.status.code(), Some(1));
    }
    assert_eq!(before, std::fs::read(at.join("a.png")).unwrap());
    assert!(!at.join("r.html").exists());
}

#[test]
fn pairs_are_made_once_and_a_students_harm_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("photos")).unwrap();
    for i in 0..3 {
        let path = at.join(format!("photos/{i}.png"));
        scene(1, i, 64, 48).save(&path).unwrap();
    }
    let pairs = [
        "data",
        "pairs",
        "photos",
        "--out",
        "pairs",
        "--limit",
        "2",
        "--colour",
        "luma",
        "--degrade",
        "gaussian:sigma=1..2,light=display+grain:sigma=0.01",
    ];
    done(&hone(at, &pairs));
    let blur = Picture::load(&at.join("pairs/blur/1.png")).unwrap();
    let sharp = Picture::load(&at.join("pairs/sharp/1.png")).unwrap();
    assert_eq!((sharp.width, sharp.height), (64, 48));
    assert_ne!(blur, sharp);
    assert!(!at.join("pairs/blur/2.png").exists());
    let again = hone(at, &pairs);
    let error = String::from_utf8_lossy(&again.stderr);
    assert!(
        error.contains("not empty") && !again.status.success(),
        "{error}"
    );

    let student = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/tests/data/luma.onnx");
    let student = student.to_str().unwrap();
    let harm = |strength: &str| -> serde_json::Value {
        let arguments = [
            "harm",
            student,
            "--sharp",
            "photos",
            "--strength",
            strength,
            "--json",
        ];
        serde_json::from_str(&done(&hone(at, &arguments))).unwrap()
    };
    let none = &harm("0")[0];
    assert_eq!(none["student"], "luma");
    assert_eq!(none["sharp_psnr_db"], 100.0);
    assert_eq!(none["noise_gain"], 1.0);
    let full = &harm("1")[0];
    assert!(full["sharp_psnr_db"].as_f64().unwrap() < 100.0, "{full}");
}

#[test]
fn the_key_of_a_rating_page_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("a")).unwrap();
    scene(1, 0, 16, 12).save(&at.join("a/1.png")).unwrap();
    let page = "report mos --method a=a --out m.html --key m.json";
    works(at, page);
    let before = std::fs::read(at.join("m.json")).unwrap();
    let error = fails(at, &format!("{page} --seed 2"));
    assert!(error.contains("m.json is there already"), "{error}");
    assert_eq!(before, std::fs::read(at.join("m.json")).unwrap());
}

#[test]
fn a_table_of_figures_takes_no_pictures_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for side in ["a", "b"] {
        std::fs::create_dir(at.join(side)).unwrap();
        scene(1, 0, 64, 48)
            .save(&at.join(side).join("1.png"))
            .unwrap();
    }
    for (csv, told) in [
        ("a/1.png", "would overwrite"),
        ("b/1.png", "would overwrite"),
        ("nodir/m.csv", "its folder does not exist"),
        ("a", "is a folder"),
    ] {
        let error = fails(at, &format!("metrics a b --csv {csv}"));
        assert!(error.contains(told), "{csv}: {error}");
    }
    Picture::load(&at.join("a/1.png")).unwrap();
    works(at, "metrics a b --csv m.csv");
    assert!(at.join("m.csv").exists());
    let list = works(at, "metrics --list");
    assert!(list.contains("vgg_l1 (needs weights: --vgg)"), "{list}");
    let lpips = "lpips_vgg (needs weights: --lpips, --lpips-backbone)";
    assert!(list.contains(lpips), "{list}");
}

#[test]
fn a_picture_is_restored_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    scene(1, 0, 64, 48).save(&at.join("a.png")).unwrap();
    let restore = format!("restore a.png --model {}", student("luma.onnx"));
    for out in ["new/", "new", "."] {
        let output = told(at, &format!("{restore} -o {out}"));
        assert_eq!(output.status.success(), out != ".", "{}", said(&output));
    }
    assert!(at.join("new/a.png").is_file());
}

#[test]
fn students_are_taken_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    scene(1, 0, 64, 48).save(&at.join("a.png")).unwrap();
    let float = student("luma.onnx");
    let pack = format!("bundle pack --model small={float} --out x.hone");
    works(at, &pack);
    let eval = "eval --data . --degrade light --no-speed --only l1";
    for (words, told) in [
        ("restore a.png --model x.hone -o b.png".into(), "--bundle"),
        ("harm x.hone".into(), "x.hone is a bundle: take"),
        (format!("{eval} --onnx x.hone"), "x.hone is a bundle: take"),
        (format!("{eval} --int8 {float}"), "--onnx is for f32"),
        (
            format!("eval {float} --data a.png"),
            "a.png is a picture: name its folder",
        ),
    ] {
        let error = fails(at, &words);
        assert!(error.contains(told), "{words}: {error}");
    }
}

#[test]
fn given_pairs_are_evaluated_without_data() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (i, side) in ["soft", "sharp"].into_iter().enumerate() {
        std::fs::create_dir(at.join(side)).unwrap();
        let picture = scene(1, i as u64, 64, 48);
        picture.save(&at.join(side).join("1.png")).unwrap();
    }
    let eval = format!(
        "eval {} --input soft --truth sharp --no-speed --only l1 --json",
        student("luma.onnx")
    );
    let report: serde_json::Value = serde_json::from_str(&works(at, &eval)).unwrap();
    assert_eq!(report["unsharp"]["on"], "evaluated");
    let error = fails(at, &format!("{eval} --data nothere"));
    assert!(error.contains("nothere"), "{error}");
}

#[test]
fn damage_that_a_decoder_paints_over_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    eval::clip(&at.join("whole.mp4"), &[]);
    let mut bytes = std::fs::read(at.join("whole.mp4")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 400].fill(0x55);
    std::fs::write(at.join("broken.mp4"), bytes).unwrap();
    let model = student("luma.onnx");
    for words in [
        "metrics whole.mp4 broken.mp4 --only psnr_y".into(),
        format!("restore broken.mp4 --model {model} -o restored.mp4"),
        format!("eval {model} --data broken.mp4 --degrade light --limit 19 --no-speed --only l1"),
    ] {
        let output = told(at, &words);
        let error = said(&output);
        assert!(output.status.success(), "{words}: {error}");
        let warned = error.matches("warning: broken.mp4: the decoder complained");
        assert_eq!(warned.count(), 1, "{words}: {error}");
        assert!(!error.contains("whole.mp4"), "{words}: {error}");
    }
}
