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
    RecipeText {
        origin: "r.toml".into(),
        text: text.to_owned(),
        base: "/".into(),
    }
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
fn impossible_combinations_are_refused() {
    let cases = [
        ("crop = 32", "crop = 33", "multiple of 2"),
        ("kind = \"l1\"", "kind = \"lab\"", "rgb"),
        ("kind = \"l1\"", "kind = \"ms-ssim\"", "at least 176"),
        ("scale = 2", "scale = 3", "1, 2 or 4"),
        ("[teacher]\nfrom = \"teacher\"", "", "no [teacher]"),
        ("kind = \"teacher\"", "kind = \"mse\"", "no loss of kind"),
        (
            "learning_rate = 1e-3",
            "learning_rate = 0.0",
            "learning_rate",
        ),
    ];
    for (from, to, what) in cases {
        let error = error(&GOOD.replace(from, to));
        assert!(error.contains(what), "{to}: {error}");
    }
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
    assert!(error.contains("no table 7"), "{error}");
    assert!(changed.set(&["crop".into()]).is_err());
}

#[test]
fn the_teacher_can_be_left_out() {
    let mut alone = text(GOOD);
    alone.remove_teacher().unwrap();
    let recipe = Recipe::from_text(&alone).unwrap();
    assert!(recipe.teacher.is_none() && recipe.losses.len() == 1);
    assert_ne!(alone.hash(), text(GOOD).hash());
}
