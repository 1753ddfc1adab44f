use std::collections::BTreeMap;

use super::*;
use crate::deploy::facts::Status;
use crate::deploy::settings::tests::student;
use hone_device::slots::{Installed, Slot, State, Trial};
use hone_shared::bundle::{Bundle, Manifest, Part, PartKind, Provenance, SecretKey};
use hone_shared::config::Config;
use hone_shared::student::Precision;

pub(in crate::deploy) fn goods(release: &str, program: Option<&'static str>) -> Goods {
    let manifest = Manifest {
        name: "street".into(),
        release: release.parse().unwrap(),
        models: vec![student("small", Precision::Int8)],
        parts: Vec::new(),
        provenance: Provenance::default(),
    };
    let part = Part {
        name: "small.onnx".into(),
        kind: PartKind::Model,
        bytes: release.as_bytes().to_vec(),
    };
    let bundle = Bundle::new(manifest, vec![part]).unwrap();
    Goods {
        bundle: bundle.signed(&SecretKey::from_seed([1; 32])),
        bundle_bytes: vec![0; 100],
        programs: program
            .map(|text| Program {
                path: "honed".into(),
                bytes: text.as_bytes().to_vec(),
                machine: "aarch64",
            })
            .into_iter()
            .collect(),
        files: vec![BoardFile {
            path: "/etc/x".into(),
            bytes: b"x".to_vec(),
            executable: false,
            only_if_missing: false,
        }],
        config: None,
        root: String::new(),
    }
}

/// A board that runs what these goods bring.
fn board(goods: &Goods) -> Facts {
    let manifest = goods.bundle.manifest();
    let mut slots = State::default();
    slots.active = Some(Slot::A);
    slots.a = Some(Installed {
        bundle: manifest.name.clone(),
        release: manifest.release.to_string(),
        sha256: hex(goods.bundle.digest()),
        signed_by: goods.bundle.signature().map(|s| s.key.fingerprint()),
        program: None,
        failed: false,
    });
    let mut files: BTreeMap<String, String> = goods
        .files
        .iter()
        .map(|file| (file.path.clone(), file.sha256()))
        .collect();
    if let Some(program) = goods.programs.first() {
        files.insert(PROGRAM.into(), program.sha256());
    }
    Facts {
        machine: "aarch64".into(),
        bits: "64".into(),
        libc: "glibc 2.36".into(),
        system: "Debian".into(),
        root: Root::Sudo,
        missing: Vec::new(),
        broken: String::new(),
        status: Some(Status {
            version: "0.1.0".into(),
            bundle_format: FORMAT_VERSION,
            slots,
        }),
        config: None,
        service: "active".into(),
        files,
    }
}

#[test]
fn only_what_differs_is_sent() {
    let old = goods("1.0.0", Some("old"));
    let facts = board(&old);
    assert!(Plan::make(&facts, &old, false).unwrap().is_empty());
    let new = goods("1.1.0", Some("old"));
    let plan = Plan::make(&facts, &new, false).unwrap();
    assert_eq!(plan.lines(), ["bundle into the free slot (100 bytes)"]);
    let mut new = goods("1.0.0", Some("new"));
    new.files[0].bytes.push(b'y');
    let plan = Plan::make(&facts, &new, false).unwrap();
    let want = [
        "/etc/x (2 bytes)",
        "bundle into the free slot (100 bytes)",
        "honed into the free slot (3 bytes)",
    ];
    assert_eq!(plan.lines(), want);
    new.files[0].only_if_missing = true;
    assert_eq!(Plan::make(&facts, &new, false).unwrap().files.len(), 0);
}

#[test]
fn a_proven_program_becomes_the_boards_own() {
    let mut facts = board(&goods("1.0.0", Some("old")));
    let new = goods("1.0.0", Some("new"));
    let slots = &mut facts.status.as_mut().unwrap().slots;
    slots.a.as_mut().unwrap().program = Some(hone_device::slots::Program {
        version: "0.2.0".into(),
        sha256: new.programs[0].sha256(),
    });
    let plan = Plan::make(&facts, &new, false).unwrap();
    assert_eq!(plan.lines(), ["/usr/local/bin/honed (3 bytes)"]);
    // The slot to go back to has none of its own: it needs the board's.
    let slots = &mut facts.status.as_mut().unwrap().slots;
    slots.b = slots.a.clone().map(|a| Installed { program: None, ..a });
    assert!(Plan::make(&facts, &new, false).unwrap().is_empty());
    facts.status.as_mut().unwrap().slots.trial = Some(Trial::default());
    assert!(Plan::make(&facts, &new, false).unwrap().files.is_empty());
}

#[test]
fn the_program_that_is_asked_for_goes_along() {
    let new = goods("1.0.0", Some("new"));
    let program = "honed into the free slot (3 bytes)".to_owned();
    // The same update again, while it is on trial: the slot that install goes back to has another program.
    let mut facts = board(&new);
    let slots = &mut facts.status.as_mut().unwrap().slots;
    slots.b = slots.a.clone();
    slots.trial = Some(Trial::default());
    let plan = Plan::make(&facts, &new, false).unwrap();
    assert!(plan.lines().contains(&program), "{:?}", plan.lines());
    // Neither the board's own nor the active slot's starts.
    facts.status = None;
    facts.broken = "libgstapp-1.0.so.0 is missing".into();
    let plan = Plan::make(&facts, &new, false).unwrap();
    assert!(plan.lines().contains(&program), "{:?}", plan.lines());
    // A fresh board has but one.
    facts.broken.clear();
    let plan = Plan::make(&facts, &new, false).unwrap();
    assert!(!plan.lines().contains(&program), "{:?}", plan.lines());
}

#[test]
fn what_must_not_be_done_is_refused_before_anything_is_sent() {
    let goods = goods("1.0.0", None);
    let refused = |change: &dyn Fn(&mut Facts), words: &str| {
        let mut facts = board(&goods);
        change(&mut facts);
        let error = Plan::make(&facts, &goods, false).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(&|f| f.machine = "armv7l".into(), "64-bit ARM or x86");
    refused(&|f| f.bits = "32".into(), "64-bit Raspberry Pi OS");
    refused(&|f| f.missing = vec!["flock".into()], "lacks flock");
    refused(&|f| f.root = Root::No, "sudo asks for a password");
    refused(&|f| f.status = None, "no honed yet");
    refused(
        &|f| {
            f.status = None;
            f.broken = "libgstapp-1.0.so.0 is missing".into();
        },
        "does not start (libgstapp-1.0.so.0 is missing)",
    );
    refused(
        &|f| f.config = Some(Config::parse("student.bundle = '/b.hone'").unwrap()),
        "names a bundle of its own, /b.hone: empty student.bundle or deploy with --config",
    );
    refused(
        &|f| f.status.as_mut().unwrap().bundle_format = 0,
        "--program",
    );
    refused(
        &|f| {
            let slots = &mut f.status.as_mut().unwrap().slots;
            slots.a.as_mut().unwrap().release = "1.0.1".into();
        },
        "older than 1.0.1",
    );
    let x86 = self::goods("1.0.0", Some("new"));
    let mut facts = board(&x86);
    facts.machine = "x86_64".into();
    let error = Plan::make(&facts, &x86, false).unwrap_err().to_string();
    assert!(
        error.contains("the board is x86_64, honed is for aarch64"),
        "{error}"
    );
}
