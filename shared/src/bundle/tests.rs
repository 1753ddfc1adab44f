use super::*;
use crate::student::{Colour, Precision};

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn model(name: &str, precision: Precision, part: u32) -> ModelEntry {
    ModelEntry {
        name: name.into(),
        precision,
        colour: Colour::Luma,
        scale: 2,
        halo: Some(8),
        macs_per_pixel: 576.0,
        part,
        metrics: vec![Metric {
            name: "psnr_db".into(),
            value: 31.25,
        }],
    }
}

fn manifest(models: Vec<ModelEntry>) -> Manifest {
    Manifest {
        name: "tiny".into(),
        release: "1.2.3".parse().unwrap(),
        models,
        parts: Vec::new(),
        provenance: Provenance {
            tool: "hone 0.1.0".into(),
            recipe_sha256: Some([7; 32]),
            teacher_sha256: None,
        },
    }
}

fn part(name: &str, kind: PartKind, bytes: &[u8]) -> Part {
    Part {
        name: name.into(),
        kind,
        bytes: bytes.to_vec(),
    }
}

fn bundle() -> Bundle {
    let models = vec![
        model("small", Precision::Int8, 0),
        model("small", Precision::F32, 1),
    ];
    let parts = vec![
        part("small.int8.onnx", PartKind::Model, b"int8 weights"),
        part("small.onnx", PartKind::Model, b"f32 weights, longer"),
        part("card.md", PartKind::Card, b"# tiny\n"),
    ];
    Bundle::new(manifest(models), parts).unwrap()
}

fn bytes(bundle: &Bundle) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(bundle, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_bundle_comes_back_as_it_was_packed() {
    for original in [bundle(), bundle().signed(&key(1))] {
        let written = bytes(&original);
        assert_eq!(written, bytes(&original), "equal input, equal bytes");
        let back = read(written.as_slice()).unwrap();
        assert_eq!(back, original);
        let entry = back.manifest().model("small", Precision::F32).unwrap();
        assert_eq!(back.model_bytes(entry), b"f32 weights, longer");
        assert!(back.manifest().model("large", Precision::F32).is_none());
    }
}

#[test]
fn the_first_bytes_stay_what_boards_in_the_field_read() {
    let written = bytes(&bundle());
    assert_eq!(written[..12], *b"\x89hone\r\n\x1a\x01\0\0\0");
    assert_eq!(written[16..24], *b"\x04tiny\x01\x02\x03");
}

#[test]
fn of_two_formats_the_faster_one_is_taken() {
    let bundle = bundle();
    let taken = |precision, in_integers: bool| {
        let ladder = bundle.ladder(None, precision, |file| {
            assert_eq!(file, b"int8 weights");
            in_integers
        });
        let formats = ladder.unwrap().into_iter().map(|m| m.precision);
        formats.collect::<Vec<_>>()
    };
    assert_eq!(taken(None, true), [Precision::Int8]);
    assert_eq!(taken(None, false), [Precision::F32]);
    assert_eq!(taken(Some(Precision::Int8), false), [Precision::Int8]);
    assert_eq!(taken(Some(Precision::F32), true), [Precision::F32]);
    let alone = manifest(vec![model("small", Precision::Int8, 0)]);
    let ladder = alone.ladder(None, None, |_| false).unwrap();
    assert_eq!(ladder[0].precision, Precision::Int8);
}

#[test]
fn every_flipped_bit_of_a_signed_bundle_is_refused() {
    let policy = Policy {
        trusted: vec![key(1).public()],
        allow_unsigned: false,
    };
    let whole = bytes(&bundle().signed(&key(1)));
    let refused = |b: &[u8]| read(b).and_then(|b| verify(&b, &policy)).is_err();
    assert!(!refused(&whole));
    for at in 0..whole.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= mask;
            assert!(
                refused(&changed),
                "byte {at} changed by {mask:#x} went unnoticed"
            );
        }
    }
}

#[test]
fn every_flipped_byte_of_an_unsigned_bundle_is_refused_too() {
    let whole = bytes(&bundle());
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        assert!(
            read(changed.as_slice()).is_err(),
            "byte {at} went unnoticed"
        );
    }
}

#[test]
fn every_cut_and_every_addition_is_refused() {
    let whole = bytes(&bundle().signed(&key(1)));
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "cut at {end} went unnoticed");
    }
    let longer = [whole.as_slice(), b"\0"].concat();
    assert!(matches!(
        read(longer.as_slice()),
        Err(BundleError::Trailing)
    ));
}

#[test]
fn a_signature_cannot_move_to_other_content() {
    let signed = bundle().signed(&key(1));
    let mut other = bundle();
    other.manifest.name = "other".into();
    other.digest = codec::digest(&other).unwrap();
    other.signature = signed.signature;
    assert!(matches!(
        read(bytes(&other).as_slice()),
        Err(BundleError::Signature)
    ));
}

#[test]
fn policy_decides_who_is_believed() {
    let policy = |trusted: &[SecretKey], allow_unsigned| Policy {
        trusted: trusted.iter().map(SecretKey::public).collect(),
        allow_unsigned,
    };
    let signed = bundle().signed(&key(1));
    assert!(verify(&signed, &policy(&[key(2), key(1)], false)).is_ok());
    assert!(verify(&signed, &policy(&[], true)).is_ok());
    assert!(verify(&bundle(), &policy(&[], true)).is_ok());
    assert!(matches!(
        verify(&bundle(), &policy(&[key(1)], false)),
        Err(BundleError::Unsigned)
    ));
    let error = verify(&signed, &policy(&[key(2)], false)).unwrap_err();
    assert!(error.to_string().contains(&key(1).public().fingerprint()));
}

#[test]
fn a_newer_format_and_a_huge_length_are_told() {
    let mut newer = bytes(&bundle());
    newer[8] = 2;
    let error = read(newer.as_slice()).unwrap_err();
    assert!(error.to_string().contains("format version 2"), "{error}");
    let mut huge = bytes(&bundle());
    huge[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = read(huge.as_slice()).unwrap_err();
    assert!(error.to_string().contains("1048576"), "{error}");
    let error = read(&b"PNG"[..]).unwrap_err();
    assert!(matches!(error, BundleError::Magic));
}

#[test]
fn a_manifest_in_another_encoding_is_refused() {
    let original = bundle();
    let mut manifest = postcard::to_allocvec(original.manifest()).unwrap();
    // The length of the name, 4, as a varint of two bytes.
    assert_eq!(manifest[..2], *b"\x04t");
    manifest.splice(..1, [0x84, 0x00]);
    let rest = &bytes(&original)[16 + manifest.len() - 1..];
    let (parts, _) = rest.split_at(rest.len() - 33);
    let length = (manifest.len() as u32).to_le_bytes();
    let body = [&bytes(&original)[..12], &length, &manifest, parts].concat();
    let digest = Sha256::digest(&body);
    let error = read([&body[..], &digest[..], &[0]].concat().as_slice()).unwrap_err();
    assert!(error.to_string().contains("not encoded"), "{error}");
}

#[test]
fn contradictions_are_named() {
    let refuse = |models: Vec<ModelEntry>, parts: Vec<Part>, what: &str| {
        let error = Bundle::new(manifest(models), parts).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    };
    let onnx = |name: &str| part(name, PartKind::Model, b"x");
    let small = |at| model("small", Precision::F32, at);
    refuse(vec![], vec![], "no model");
    refuse(
        vec![small(0), small(1)],
        vec![onnx("a"), onnx("b")],
        "twice",
    );
    refuse(vec![small(1)], vec![onnx("a")], "no ONNX part");
    refuse(
        vec![small(0)],
        vec![part("a", PartKind::Card, b"x")],
        "no ONNX part",
    );
    refuse(vec![small(0)], vec![onnx("a"), onnx("a")], "two parts");
    refuse(vec![small(0)], vec![onnx("../a")], "../a");
    let mut odd = small(0);
    odd.macs_per_pixel = f64::NAN;
    refuse(vec![odd], vec![onnx("a")], "not finite");
    let mut odd = small(0);
    odd.metrics[0].name = "psnr\x1b[2J".into();
    refuse(
        vec![odd],
        vec![onnx("a")],
        r#""psnr\u{1b}[2J" holds control"#,
    );
    let mut odd = manifest(vec![small(0)]);
    odd.provenance.tool = "hone\x07".into();
    let error = Bundle::new(odd, vec![onnx("a")]).unwrap_err();
    assert!(error.to_string().contains("holds control"), "{error}");
}

#[test]
fn keys_survive_their_text_form_and_are_not_confused() {
    let secret = key(9);
    let again = SecretKey::parse(&secret.to_text()).unwrap();
    assert_eq!(again.public(), secret.public());
    assert_eq!(
        PublicKey::parse(&secret.public().to_text()).unwrap(),
        secret.public()
    );
    let error = PublicKey::parse(&secret.to_text()).unwrap_err();
    assert!(error.to_string().contains("hone-secret-key"), "{error}");
    assert!(!format!("{secret:?}").contains(&hex(&[9; 8])));
    assert!(SecretKey::parse("ssh-ed25519 AAAA").is_err());
    assert!(PublicKey::parse(&format!("hone-public-key ed25519 {}", "0".repeat(64))).is_err());
}

#[test]
fn releases_order_as_numbers() {
    let release = |text: &str| text.parse::<Release>().unwrap();
    assert!(release("0.10.0") > release("0.9.9"));
    assert_eq!(release("1.2.3").to_string(), "1.2.3");
    assert!("1.2".parse::<Release>().is_err() && "1.2.x".parse::<Release>().is_err());
}
