//! What a teacher of luma makes of colours.

use std::path::Path;

use hone_host::data::synth::scene;
use hone_host::picture::Picture;

use super::works;

#[test]
fn a_teacher_of_luma_leaves_colours_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/teachers");
    let weights = fixture.join("swinir_tiny_jpeg/weights.pth");
    let mut picture = scene(1, 0, 24, 16);
    // Far from black and white, where sums are clamped.
    for v in &mut picture.data {
        *v = 0.4 + 0.2 * *v;
    }
    picture.save(&at.join("in.png")).unwrap();
    picture.luma().save(&at.join("grey.png")).unwrap();
    for name in ["in", "grey"] {
        let run = format!(
            "teacher run --weights {} --input {name}.png --output {name}.out.png --device cpu",
            weights.display()
        );
        works(at, &run);
    }
    let open = |name: &str| Picture::load(&at.join(name)).unwrap().to_bytes();
    let (before, after) = (open("in.png"), open("in.out.png"));
    assert_ne!(before, after);
    let spread = |pixel: &[u8]| i16::from(pixel[0]) - i16::from(pixel[2]);
    let mut pairs = before.chunks(3).zip(after.chunks(3));
    assert!(
        pairs.all(|(a, b)| spread(a).abs_diff(spread(b)) <= 1),
        "colours moved"
    );
    let grey = image::open(at.join("grey.out.png")).unwrap();
    assert!(!grey.color().has_color());
}
