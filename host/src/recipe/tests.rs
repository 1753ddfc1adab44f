use super::*;

const GOOD: &str = r#"name = "s"
colour = "luma"

[data]
root = "pictures"

[student]
architecture = "plain"
scale = 2
channels = 8
convs = 3

[teacher]
from = "teacher"

[[loss]]
kind = "l1"
weight = 1.0

[[loss]]
kind = "teacher"
weight = 0.5

[optimizer]
learning_rate = 1e-3

[[stage]]
epochs = 2
steps = 3
batch = 2
crop = 32
"#;

fn text(text: &str) -> RecipeText {
    RecipeText::new("r.toml".as_ref(), text.to_owned(), "/".as_ref())
}

fn error(changed: &str) -> String {
    format!("{:#}", Recipe::from_text(&text(changed)).unwrap_err())
}

#[test]
fn a_good_recipe_is_read() {
    let recipe = Recipe::from_text(&text(GOOD)).unwrap();
    assert_eq!(recipe.losses[1].label(), "teacher-l1");
    assert_eq!(recipe.training, TrainingConfig::default());
}

#[test]
fn mistakes_are_named_with_their_line() {
    let cases = [
        ("convs = 3", "convs = 3\nwidht = 7", "line 12", "widht"),
        ("batch = 2", "batch = 'two'", "line 30", "invalid type"),
        ("colour = \"luma\"", "color = \"luma\"", "line 2", "color"),
        (
            "weight = 0.5",
            "weight = 0.5\nmesure = 'l1'",
            "line 23",
            "mesure",
        ),
        ("[optimizer]", "[optimiser]", "line 24", "optimiser"),
        (
            "[optimizer]",
            "[schedule]\nkind = \"constant\"\nwarmpu = 5\n\n[optimizer]",
            "line 26",
            "warmpu",
        ),
        (
            "[optimizer]",
            "[weighting]\nkind = \"static\"\nevery = 5\n\n[optimizer]",
            "line 26",
            "every",
        ),
        (
            "[optimizer]",
            "[weighting]\nkind = \"uncertainty\"\nevery = 5\n\n[optimizer]",
            "line 26",
            "every",
        ),
    ];
    for (from, to, line, what) in cases {
        let error = error(&GOOD.replace(from, to));
        assert!(
            error.contains(line) && error.contains(what),
            "{to}: {error}"
        );
        assert!(error.contains("r.toml"), "{error}");
    }
}

#[test]
fn wrong_channels_are_told_what_they_may_be() {
    for wrong in ["-4", "'four'", "[8, -1]", "2.5"] {
        let error = error(&GOOD.replace("channels = 8", &format!("channels = {wrong}")));
        assert!(
            error.contains("student.channels must be a number from 1 to 1024"),
            "{wrong}: {error}"
        );
    }
}

#[test]
fn impossible_combinations_are_refused_with_their_line() {
    let cases = [
        ("crop = 32", "crop = 33", "line 27", "multiple of 2"),
        ("kind = \"l1\"", "kind = \"lab\"", "line 16", "rgb"),
        (
            "kind = \"l1\"",
            "kind = \"ms-ssim\"",
            "line 16",
            "at least 176",
        ),
        ("scale = 2", "scale = 3", "line 7", "1, 2 or 4"),
        (
            "[teacher]\nfrom = \"teacher\"",
            "",
            "line 19",
            "no [teacher]",
        ),
        (
            "kind = \"teacher\"",
            "kind = \"mse\"",
            "line 13",
            "no loss of kind",
        ),
        (
            "learning_rate = 1e-3",
            "learning_rate = 0.0",
            "line 24",
            "learning_rate",
        ),
    ];
    for (from, to, line, what) in cases {
        let error = error(&GOOD.replace(from, to));
        let whole = format!("r.toml, {line}: ");
        assert!(
            error.starts_with(&whole) && error.contains(what),
            "{to}: {error}"
        );
    }
}

#[test]
fn lines_are_those_of_the_file_whatever_was_set() {
    let read = |written: &str, set: &str| {
        let mut recipe = text(written);
        recipe.set(&[set.into()]).unwrap();
        format!("{:#}", Recipe::from_text(&recipe).unwrap_err())
    };
    // Setting a key writes the recipe anew, in another order.
    let unknown = read(&GOOD.replace("convs = 3", "convs = 3\nwidht = 7"), "seed=3");
    assert!(unknown.starts_with("r.toml, line 12: "), "{unknown}");
    let impossible = read(GOOD, "stage.0.crop=33");
    assert!(impossible.starts_with("r.toml, line 27: "), "{impossible}");
    let own = read(GOOD, "student.widht=7");
    assert!(own.starts_with("r.toml, as changed: "), "{own}");
}

#[test]
fn a_missing_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = text(GOOD);
    recipe.base = folder.path().to_path_buf();
    let error = recipe.require("teacher".as_ref()).unwrap_err().to_string();
    assert!(
        error.contains("r.toml, line 14: there is no file"),
        "{error}"
    );
    std::fs::write(folder.path().join("teacher"), "").unwrap();
    assert_eq!(
        recipe.require("teacher".as_ref()).unwrap(),
        folder.path().join("teacher")
    );
}

#[test]
fn overrides_reach_tables_and_lists() {
    let mut changed = text(GOOD);
    let set = [
        "student.convs=5",
        "stage.0.crop=64",
        "name=other",
        "training.ema=0.9",
    ];
    changed.set(&set.map(String::from)).unwrap();
    let recipe = Recipe::from_text(&changed).unwrap();
    assert_eq!((recipe.stages[0].crop, recipe.name.as_str()), (64, "other"));
    assert_eq!(recipe.training.ema, Some(0.9));
    let error = changed
        .set(&["stage.7.crop=1".into()])
        .unwrap_err()
        .to_string();
    assert!(error.contains("it has no 7"), "{error}");
    assert!(changed.set(&["crop".into()]).is_err());
    let elements = [
        "stage.0={ epochs = 1, steps = 1, batch = 1, crop = 32 }",
        "data.size=[96, 80]",
        "data.size.0=128",
    ];
    changed.set(&elements.map(String::from)).unwrap();
    let recipe = Recipe::from_text(&changed).unwrap();
    assert_eq!((recipe.stages[0].crop, recipe.data.size), (32, [128, 80]));
    for (pair, words) in [("data.size.2=1", "no 2"), ("data.size.0.x=1", "no table")] {
        let error = changed.set(&[pair.into()]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn paths_in_overrides_start_from_the_folder_one_is_in() {
    let here = |path: &str| std::env::current_dir().unwrap().join(path);
    let mut changed = text(GOOD);
    changed.base = "/elsewhere".into();
    let set = [
        "data.root=photos",
        "teacher={from='t', cache='/c'}",
        "loss=[{kind='perceptual', weight=1, network='vgg16', weights='v.pth', layers=['relu2_2']}, {kind='teacher', weight=1}]",
    ];
    changed.set(&set.map(String::from)).unwrap();
    let recipe = Recipe::from_text(&changed).unwrap();
    let teacher = recipe.teacher.unwrap();
    assert_eq!(recipe.data.root, Some(here("photos")));
    assert_eq!(teacher.from, Some(here("t")));
    assert_eq!(teacher.cache, Some("/c".into()));
    let LossConfig::Perceptual { weights, .. } = &recipe.losses[0] else {
        panic!("{:?}", recipe.losses);
    };
    assert_eq!(*weights, here("v.pth"));
    changed.set(&["name=photos".into()]).unwrap();
    assert_eq!(Recipe::from_text(&changed).unwrap().name, "photos");
}

#[test]
fn the_teacher_can_be_left_out() {
    let mut alone = text(GOOD);
    alone.remove_teacher().unwrap();
    let recipe = Recipe::from_text(&alone).unwrap();
    assert!(recipe.teacher.is_none() && recipe.losses.len() == 1);
    assert_ne!(alone.hash(), text(GOOD).hash());
    let mut empty = text(GOOD);
    empty.set(&["teacher={}".into()]).unwrap();
    empty.remove_teacher().unwrap();
    assert!(Recipe::from_text(&empty).unwrap().teacher.is_none());
}

#[test]
fn a_teacher_that_is_left_out_is_read_all_the_same() {
    let losses = Recipe::from_text(&text(GOOD)).unwrap().losses;
    let guided = losses.iter().position(LossConfig::needs_teacher).unwrap();
    for (set, told) in [
        ("teacher.foo=1".to_owned(), "foo"),
        (format!("loss.{guided}.measure=bogus"), "bogus"),
        (format!("loss.{guided}.weight=-1"), "weight"),
    ] {
        let mut wrong = text(GOOD);
        wrong.set(std::slice::from_ref(&set)).unwrap();
        let error = wrong.remove_teacher().unwrap_err().to_string();
        assert!(error.contains(told), "{set}: {error}");
    }
}

#[test]
fn a_recipe_without_a_name_is_refused_before_it_is_trained() {
    let mut nameless = text(GOOD);
    nameless.set(&["name=''".into()]).unwrap();
    let error = format!("{:#}", Recipe::from_text(&nameless).unwrap_err());
    assert!(error.contains("name is empty"), "{error}");
}
