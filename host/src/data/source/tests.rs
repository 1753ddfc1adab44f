//! What is opened, and what is refused.

use super::*;

/// Opens sharp pictures in `folder`, which is made with one for each of `names`.
fn sharp(folder: &Path, names: &[&str], layout: Layout) -> anyhow::Result<Arc<dyn PairSource>> {
    for (i, name) in names.iter().enumerate() {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let picture = crate::data::synth::scene(i as u64, 0, 48, 40);
        picture.save(&path).unwrap();
    }
    let config = DataConfig {
        root: Some(folder.to_owned()),
        layout,
        ..DataConfig::default()
    };
    open_new(&config, Path::new(""), false)
}

#[test]
fn another_picture_makes_another_listing() {
    let folder = tempfile::tempdir().unwrap();
    let listing = |names: &[&str]| {
        let source = sharp(folder.path(), names, Layout::Auto).unwrap();
        source.listing().unwrap().to_owned()
    };
    let before = listing(&["a.png", "b.png", "c.png"]);
    assert_eq!(before, listing(&[]));
    assert_ne!(before, listing(&["a.png", "b.png", "c.png", "d.png"]));
    assert_ne!(before, listing(&["b.png"]));
}

#[test]
fn degraded_pictures_without_partners_are_not_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["blur/a_blur.png", "sharp/a_sharp.png", "sharp/b_sharp.png"];
    let error = sharp(folder.path(), &names, Layout::Auto).err().unwrap();
    let error = error.to_string();
    assert!(error.contains("as blur/a_blur.png, and none"), "{error}");
    let said = sharp(folder.path(), &names, Layout::Sharp).unwrap();
    assert_eq!(said.pictures(), 1);
    // What was trained on them remains usable.
    let config = DataConfig {
        root: Some(folder.path().to_owned()),
        ..DataConfig::default()
    };
    assert_eq!(open(&config, Path::new("")).unwrap().pictures(), 1);
    let index = super::super::index::scan(folder.path(), Layout::Auto, 0, 0.1, false).unwrap();
    let lying = folder.path().join(super::super::index::FILE_NAME);
    index.save(&lying).unwrap();
    let indexed = sharp(folder.path(), &[], Layout::Auto).unwrap();
    assert_eq!(indexed.pictures(), 1);
}

#[test]
fn a_single_sequence_is_told_from_too_small_a_part() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["clip/0.png", "clip/1.png", "clip/2.png"];
    let source = sharp(folder.path(), &names, Layout::Auto).unwrap();
    let error = source.validation().unwrap_err().to_string();
    assert!(error.contains("one sequence"), "{error}");
    let more = ["clip/0.png", "clip/1.png", "other/0.png", "other/1.png"];
    let source = sharp(folder.path(), &more, Layout::Auto).unwrap();
    assert!(!source.validation().unwrap().is_empty());
}

#[test]
fn a_part_that_an_index_does_not_give_is_told() {
    let folder = tempfile::tempdir().unwrap();
    sharp(folder.path(), &["a.png", "b.png"], Layout::Auto).unwrap();
    let index = super::super::index::scan(folder.path(), Layout::Auto, 0, 0.2, false).unwrap();
    let told = |validation| {
        let config = DataConfig {
            validation,
            ..DataConfig::default()
        };
        ignored(&config, &index)
    };
    assert!(told(0.3).unwrap().contains("data.validation = 0.3"));
    // As made, and the default, which nobody may have said.
    assert_eq!((told(0.2), told(0.1)), (None, None));
}

#[test]
fn a_recipe_and_the_index_of_its_folder_agree() {
    let folder = tempfile::tempdir().unwrap();
    for role in ["blur", "sharp"] {
        std::fs::create_dir(folder.path().join(role)).unwrap();
        let picture = crate::data::synth::scene(1, 0, 48, 40);
        picture
            .save(&folder.path().join(role).join("0.png"))
            .unwrap();
    }
    let opened = |layout| {
        let config = DataConfig {
            root: Some(folder.path().to_owned()),
            layout,
            validation: 0.0,
            ..DataConfig::default()
        };
        open(&config, Path::new("")).map(|source| source.pictures())
    };
    // Without an index the recipe decides.
    assert_eq!(opened(Layout::Sharp).unwrap(), 1);
    let index = super::super::index::scan(folder.path(), Layout::Auto, 0, 0.0, false).unwrap();
    let name = folder.path().join(super::super::index::FILE_NAME);
    index.save(&name).unwrap();
    assert_eq!(opened(Layout::Auto).unwrap(), 1);
    assert_eq!(opened(Layout::Pairs).unwrap(), 1);
    let error = opened(Layout::Sharp).unwrap_err().to_string();
    assert!(
        error.contains("with layout 'pairs', the recipe says 'sharp'"),
        "{error}"
    );
}
