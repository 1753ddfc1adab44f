//! `hone teacher cache` and `hone distill --cache` as a user drives them.

use std::path::Path;

use hone_host::train::checkpoint::Checkpoint;

use super::{command, fails, toy, works};

const DATA: &str = r#"colour = "luma"

[data]
layout = "scenes"
count = 4
size = [96, 80]
pool = 70
degradation = "gaussian:sigma=1..1.5"
validation_images = 2
validation_crop = 64
"#;

const TEACHER: &str = r#"
[network]
architecture = "unet"
channels = 1
width = 4
depth = 1

[[loss]]
kind = "l1"
weight = 1.0

[optimizer]
learning_rate = 1e-3

[[stage]]
epochs = 1
steps = 2
batch = 2
crop = 32
"#;

const STUDENT: &str = r#"
[student]
architecture = "plain"
scale = 2
channels = 8
convs = 3

[teacher]

[[loss]]
kind = "l1"
weight = 1.0

[[loss]]
kind = "teacher"
weight = 0.5

[[loss]]
kind = "feature"
weight = 0.01
pairs = [["conv2", "decoder_level1"]]

[optimizer]
learning_rate = 2e-3

[[stage]]
epochs = 2
steps = 5
batch = 3
crop = 32
"#;

fn refused(folder: &Path, arguments: &str) -> String {
    let error = fails(folder, arguments);
    let last = error.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("error"), "{error}");
    last
}

fn setup() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let teacher = DATA.replace("colour = \"luma\"", "name = \"t\"") + TEACHER;
    std::fs::write(at.join("teacher.toml"), teacher).unwrap();
    std::fs::write(at.join("s.toml"), format!("name = \"s\"\n{DATA}{STUDENT}")).unwrap();
    works(at, "teacher train teacher.toml --out t --device cpu");
    folder
}

#[test]
fn a_cache_is_made_by_shards_resumed_and_learnt_from() {
    let folder = setup();
    let at = folder.path();
    let make = "teacher cache s.toml --teacher t --device cpu --out";
    let whole = works(at, &format!("{make} whole --json"));
    assert!(whole.contains("\"patches\": 70"), "{whole}");
    // What is there is kept.
    std::fs::remove_file(at.join("whole/crop-032/000001.pool")).unwrap();
    let again = works(at, &format!("{make} whole --json"));
    assert!(
        again.contains("\"patches\": 32") && again.contains("\"kept\": 2"),
        "{again}"
    );
    for i in 1..=2 {
        works(at, &format!("{make} part{i} --shard {i}/2"));
    }
    works(at, "teacher cache merge part1 part2 --out joined");
    for number in 0..3 {
        let bytes =
            |name: &str| std::fs::read(at.join(format!("{name}/crop-032/{number:06}.pool")));
        assert_eq!(bytes("whole").unwrap(), bytes("joined").unwrap());
    }

    let distil = "distill s.toml --cache whole --device cpu --out";
    works(at, &format!("{distil} one"));
    works(
        at,
        &format!("{distil} two --teacher t --set training.workers=1"),
    );
    let weights = |run: &str| Checkpoint::read(&at.join(run).join("best.safetensors")).unwrap();
    let (one, two) = (weights("one"), weights("two"));
    for (name, tensor) in &one.tensors {
        assert_eq!(tensor, two.get(name).unwrap(), "{name}");
    }
    let log = std::fs::read_to_string(at.join("one/log.jsonl")).unwrap();
    assert!(
        log.contains("feature") && log.contains("teacher-l1"),
        "{log}"
    );
    works(
        at,
        "distill s.toml --cache whole --no-teacher --device cpu --out alone",
    );
    let plan = works(at, "distill s.toml --cache whole --device cpu --dry-run");
    assert!(plan.contains("unet"), "{plan}");
}

#[test]
fn a_cache_of_something_else_is_refused() {
    let folder = setup();
    let at = folder.path();
    works(at, "teacher cache s.toml --teacher t --device cpu --out c");
    let distil = "distill s.toml --cache c --device cpu --out r";
    let cases = [
        ("--set data.degradation=gaussian:sigma=2", "degradation"),
        ("--set data.count=5", "other pictures"),
        ("--set colour=rgb", "colours"),
        ("--set stage.0.crop=48", "none of side 48"),
        ("--set data.seed=8", "other pictures"),
    ];
    for (change, words) in cases {
        let error = refused(at, &format!("{distil} {change}"));
        assert!(error.contains(words), "{change}: {error}");
        assert!(!at.join("r").exists());
    }
    let other = "teacher train teacher.toml --set seed=5 --device cpu --out t2";
    works(at, other);
    let error = refused(at, &format!("{distil} --teacher t2"));
    assert!(error.contains("another teacher"), "{error}");
    let error = refused(at, "teacher cache s.toml --teacher t2 --device cpu --out c");
    assert!(error.contains("teachers"), "{error}");
    works(
        at,
        "teacher cache s.toml --no-teacher --device cpu --out bare",
    );
    let error = refused(at, "distill s.toml --cache bare --device cpu --out r");
    assert!(error.contains("--no-teacher"), "{error}");
}

#[test]
fn a_cache_that_cannot_serve_its_student_is_refused() {
    let folder = setup();
    let at = folder.path();
    let (student, rest) = STUDENT.split_once("[[loss]]\nkind = \"feature\"").unwrap();
    let (_, rest) = rest.split_once("\n\n").unwrap();
    let without = format!("name = \"s\"\n{DATA}{student}{rest}");
    std::fs::write(at.join("without.toml"), without).unwrap();
    works(
        at,
        "teacher cache without.toml --teacher t --device cpu --out c",
    );
    let error = refused(at, "distill s.toml --cache c --device cpu --out r");
    assert!(
        error.contains("the cache lacks the teacher's map 'decoder_level1'"),
        "{error}"
    );
    let temporal = "without.toml --set student.temporal=true --device cpu --out";
    let error = refused(at, &format!("teacher cache {temporal} d --teacher t"));
    assert!(error.contains("sees sequences"), "{error}");
    assert!(!at.join("d").exists());
}

#[test]
fn a_teacher_that_a_recipe_does_not_ask_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), toy::recipe("s", 4, 3, "")).unwrap();
    for command in [
        "distill r.toml --out r",
        "distill r.toml --dry-run",
        "sweep r.toml --grid seed=1 --out s",
        "teacher cache r.toml --out c",
    ] {
        let error = refused(at, &format!("{command} --device cpu --teacher gone"));
        assert!(error.contains("no [teacher] table"), "{command}: {error}");
    }
}

#[test]
fn a_killed_cache_goes_on_to_the_same_bytes() {
    let folder = setup();
    let at = folder.path();
    let make = "teacher cache s.toml --teacher t --device cpu --set data.pool=320 --out";
    works(at, &format!("{make} whole"));
    let mut killed = command(at)
        .args(format!("{make} killed").split_whitespace())
        .spawn()
        .unwrap();
    let chunk = |name: &str, number: usize| at.join(format!("{name}/crop-032/{number:06}.pool"));
    while !chunk("killed", 1).exists() && killed.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // SIGKILL: nothing can be tidied up.
    killed.kill().unwrap();
    killed.wait().unwrap();
    let before = (0..10).filter(|&n| chunk("killed", n).exists()).count();
    assert!((2..10).contains(&before), "{before} chunks before the kill");
    let error = refused(
        at,
        "distill s.toml --cache killed --set data.pool=320 --device cpu --out r",
    );
    assert!(error.contains("teacher cache"), "{error}");
    let again = works(at, &format!("{make} killed --json"));
    assert!(again.contains(&format!("\"kept\": {before}")), "{again}");
    for number in 0..10 {
        let bytes = |name| std::fs::read(chunk(name, number)).unwrap();
        assert_eq!(bytes("whole"), bytes("killed"), "chunk {number}");
    }
    // A chunk of another cache in its place is noticed.
    works(
        at,
        "teacher cache s.toml --teacher t --device cpu --set data.pool=320 --set data.seed=5 --out other",
    );
    std::fs::copy(chunk("other", 3), chunk("killed", 3)).unwrap();
    let error = refused(
        at,
        "distill s.toml --cache killed --set data.pool=320 --device cpu --out r",
    );
    assert!(error.contains("stale"), "{error}");
}

#[test]
fn shards_fill_one_folder_side_by_side_each_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("s.toml"), format!("name = \"s\"\n{DATA}{STUDENT}")).unwrap();
    let make = "teacher cache s.toml --no-teacher --device cpu --set data.pool=320 --out c";
    std::thread::scope(|shards| {
        // Counted by twos and by threes: every chunk belongs to two of them.
        for shard in ["1/2", "2/2", "1/3", "2/3", "3/3"] {
            shards.spawn(move || works(at, &format!("{make} --shard {shard}")));
        }
    });
    let whole = works(at, &format!("{make} --json"));
    assert!(whole.contains("\"kept\": 10"), "{whole}");
    let names = |folder: &str| {
        let entries = std::fs::read_dir(at.join(folder)).unwrap();
        entries.count()
    };
    assert_eq!((names("c"), names("c/crop-032")), (2, 10));

    let lock = std::fs::File::create(at.join("c/shard-1-of-2.lock")).unwrap();
    lock.lock().unwrap();
    let error = refused(at, &format!("{make} --shard 1/2"));
    assert!(
        error.contains("another process makes shard 1/2 of c"),
        "{error}"
    );
    works(at, &format!("{make} --shard 2/2"));
}
