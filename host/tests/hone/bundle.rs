//! `hone bundle` as a user drives it.

use std::path::{Path, PathBuf};
use std::process::Output;

use hone_shared::bundle::{Bundle, Part, PartKind};

use super::{done, hone};

fn student(colour: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../device/tests/data/{colour}.onnx"))
}

fn bundle(folder: &Path, arguments: &[&str]) -> Output {
    hone(folder, &[&["bundle"], arguments].concat())
}

fn refused(output: &Output, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "no '{word}' in: {error}");
    }
}

fn pack(folder: &Path, out: &str, more: &[&str]) -> Output {
    let model = format!("small={}", student("luma").display());
    let arguments = [&["pack", "--model", &model, "--out", out], more].concat();
    bundle(folder, &arguments)
}

#[test]
fn a_signed_bundle_is_packed_shown_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("card.md"), "# tiny\n").unwrap();
    std::fs::write(at.join("m.json"), r#"{"small/f32": {"psnr_db": 31.5}}"#).unwrap();
    done(&bundle(at, &["keygen", "--out", "a.key"]));
    done(&bundle(at, &["keygen", "--out", "b.key"]));
    let more = ["--card", "card.md", "--metrics", "m.json", "--key", "a.key"];
    done(&pack(at, "x.hone", &more));
    done(&pack(
        at,
        "again.hone",
        &[&more[..], &["--name", "x"]].concat(),
    ));
    let bytes = std::fs::read(at.join("x.hone")).unwrap();
    assert_eq!(bytes, std::fs::read(at.join("again.hone")).unwrap());

    done(&bundle(at, &["unpack", "x.hone", "--out", "parts"]));
    let unpacked = std::fs::read(at.join("parts/small.f32.onnx")).unwrap();
    assert_eq!(unpacked, std::fs::read(student("luma")).unwrap());
    assert!(at.join("parts/card.md").is_file());

    let shown = done(&bundle(at, &["inspect", "x.hone", "--json"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["name"], "x");
    assert_eq!(shown["models"][0]["colour"], "luma");
    assert_eq!(shown["models"][0]["precision"], "f32");
    assert_eq!(shown["models"][0]["metrics"][0]["value"], 31.5);
    assert_eq!(shown["parts"][1]["kind"], "card");

    done(&bundle(
        at,
        &["verify", "x.hone", "--trusted-key", "a.key.pub"],
    ));
    let other = bundle(at, &["verify", "x.hone", "--trusted-key", "b.key.pub"]);
    refused(&other, &["x.hone", "not trusted"]);
    done(&bundle(at, &["sign", "x.hone", "--key", "b.key"]));
    done(&bundle(
        at,
        &["verify", "x.hone", "--trusted-key", "b.key.pub"],
    ));

    let mut changed = bytes;
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(at.join("x.hone"), changed).unwrap();
    refused(&bundle(at, &["inspect", "x.hone"]), &["x.hone", "damaged"]);
}

#[test]
fn no_part_is_written_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    done(&pack(at, "x.hone", &[]));
    let packed = std::fs::read(at.join("x.hone")).unwrap();
    let packed = hone_shared::bundle::read(packed.as_slice()).unwrap();
    let mut parts: Vec<Part> = packed
        .parts()
        .map(|(part, bytes)| Part {
            name: part.name.clone(),
            kind: part.kind,
            bytes: bytes.to_vec(),
        })
        .collect();
    parts.push(Part {
        name: "small.f32.onnx.part".into(),
        kind: PartKind::Card,
        bytes: b"lost".to_vec(),
    });
    let manifest = packed.manifest().clone();
    let mut bytes = Vec::new();
    hone_shared::bundle::write(&Bundle::new(manifest, parts).unwrap(), &mut bytes).unwrap();
    std::fs::write(at.join("x.hone"), bytes).unwrap();
    let unpacked = bundle(at, &["unpack", "x.hone", "--out", "parts"]);
    refused(&unpacked, &["x.hone", "small.f32.onnx.part"]);
    assert!(!at.join("parts").exists());
}

#[test]
fn a_teacher_may_be_larger_than_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let teacher = std::fs::File::create(at.join("teacher.safetensors")).unwrap();
    teacher.set_len((256 << 20) + 1).unwrap();
    done(&pack(at, "x.hone", &["--teacher", "teacher.safetensors"]));
}

#[test]
fn unsigned_bundles_need_permission() {
    let folder = tempfile::tempdir().unwrap();
    done(&pack(folder.path(), "x.hone", &[]));
    refused(
        &bundle(folder.path(), &["verify", "x.hone"]),
        &["not signed"],
    );
    done(&bundle(
        folder.path(),
        &["verify", "x.hone", "--allow-unsigned"],
    ));
}

#[test]
fn a_key_is_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    done(&bundle(at, &["keygen", "--out", "k"]));
    let key = std::fs::read(at.join("k")).unwrap();
    let mode = std::fs::metadata(at.join("k"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    refused(
        &bundle(at, &["keygen", "--out", "k"]),
        &["k.pub exists already", "delete it yourself"],
    );
    assert_eq!(key, std::fs::read(at.join("k")).unwrap());
}

#[test]
fn inputs_are_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    done(&bundle(at, &["keygen", "--out", "k"]));
    std::fs::copy(student("luma"), at.join("a.onnx")).unwrap();
    let (key, model) = (at.join("k"), at.join("a.onnx"));
    let before = [&key, &model].map(|path| std::fs::read(path).unwrap());
    refused(&pack(at, "./k", &["--key", "k"]), &["overwrite k"]);
    let model_too = ["pack", "--model", "small=a.onnx", "--out", "a.onnx"];
    refused(&bundle(at, &model_too), &["overwrite a.onnx"]);
    done(&pack(at, "x.hone", &[]));
    let sign = ["sign", "x.hone", "--key", "k", "--out", "k"];
    refused(&bundle(at, &sign), &["overwrite k"]);
    assert_eq!(
        before,
        [&key, &model].map(|path| std::fs::read(path).unwrap())
    );
}

#[test]
fn what_cannot_be_packed_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("noise.onnx"), [0xff; 100]).unwrap();
    std::fs::write(at.join("m.json"), r#"{"large/f32": {"psnr_db": 1.0}}"#).unwrap();
    let again = format!("small={}", student("luma").display());
    refused(
        &pack(at, "x.hone", &["--model", &again]),
        &["small f32 twice"],
    );
    refused(
        &pack(at, "x.hone", &["--model", "a=noise.onnx"]),
        &["noise.onnx"],
    );
    refused(
        &pack(at, "x.hone", &["--model", "a=gone.onnx"]),
        &["gone.onnx"],
    );
    refused(
        &pack(at, "x.hone", &["--metrics", "m.json"]),
        &["large/f32"],
    );
    refused(
        &pack(at, "x.hone", &["--key", "m.json"]),
        &["m.json", "no key"],
    );
    assert!(!at.join("x.hone").exists());
    std::fs::write(at.join("cut.hone"), b"\x89hone\r\n\x1a\x01").unwrap();
    refused(
        &bundle(at, &["inspect", "cut.hone"]),
        &["cut.hone", "cut off"],
    );
}

#[test]
fn every_shipped_bundle_is_ours_and_whole() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let files = std::fs::read_dir(&models).unwrap();
    let mut seen = 0;
    for file in files.map(|f| f.unwrap().path()) {
        if file.extension().is_none_or(|e| e != "hone") {
            continue;
        }
        let path = file.to_str().unwrap();
        done(&bundle(
            &models,
            &["verify", path, "--trusted-key", "release.pub"],
        ));
        assert!(file.with_extension("md").exists(), "{path} has no card");
        seen += 1;
    }
    assert!(seen >= 4, "{seen} bundles");
}

#[test]
fn what_boards_will_not_run_as_it_is_packed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let rgb = format!("colour={}", student("rgb").display());
    let packed = pack(at, "x.hone", &["--model", &rgb]);
    done(&packed);
    let said = String::from_utf8_lossy(&packed.stderr);
    assert!(said.contains("honed run --level"), "{said}");
    let shown = done(&bundle(at, &["inspect", "x.hone"]));
    assert!(shown.contains("honed run --level"), "{shown}");
    let plain = pack(at, "y.hone", &[]);
    assert_eq!(String::from_utf8_lossy(&plain.stderr), "");
    // It is a bundle whatever its name is.
    std::fs::rename(at.join("x.hone"), at.join("renamed")).unwrap();
    let checked = done(&hone(at, &["check", "renamed", "--no-python"]));
    assert!(checked.contains("small.f32"), "{checked}");
}
