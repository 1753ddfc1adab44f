//! `hone data pairs` and `hone harm` as a user drives them, and what commands do about pictures that cannot
//! be used.

use std::path::Path;

use hone_host::data::synth::scene;
use hone_host::picture::Picture;

use super::{done, hone};

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
