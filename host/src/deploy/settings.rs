//! Whether a board's configuration lets what a deploy brings run at all.

use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};
use hone_shared::bundle::Manifest;
use hone_shared::config::{Config, SLOTS_FOLDER};

/// Checks the configuration in `file`, or that which a board has, for a bundle to install below `root`.
///
/// # Errors
/// The key that has honed run something else than the slots that a deploy fills, or none of the bundle's students.
pub fn check(config: &Config, root: &str, file: Option<&Path>, manifest: &Manifest) -> Result<()> {
    let (whose, or) = match file {
        Some(file) => (file.display().to_string(), ""),
        None => (
            "the board's configuration".into(),
            " or deploy with --config",
        ),
    };
    let bundle = &config.student.bundle;
    ensure!(
        bundle.is_empty(),
        "{whose} names a bundle of its own, {bundle}: empty student.bundle{or}"
    );
    let (theirs, ours) = (&config.slots.folder, format!("{root}{SLOTS_FOLDER}"));
    ensure!(
        theirs.trim_end_matches('/') == ours,
        "{whose} has its slots in {theirs}, a deploy fills those in {ours}: change slots.folder{or}"
    );
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let precision = some(&config.student.precision).and_then(|text| text.parse().ok());
    // Which of two formats a board takes changes neither names nor planes.
    let found = manifest.ladder(some(&config.student.level).as_deref(), precision, |_| true);
    let found = found.map_err(|lack| {
        anyhow!(
            "{whose} does not go with {}: {lack}: change student.level or student.precision{or}",
            manifest.name
        )
    })?;
    ensure!(
        found.iter().all(|m| m.colour == found[0].colour),
        "{whose} names none of the levels of {}, which restore luma and RGB and make no one ladder: name one in \
         student.level{or}",
        manifest.name
    );
    Ok(())
}

/// Whether an update can prove itself by sharpened frames as `config` has it.
///
/// # Errors
/// The key that leaves frames as they come.
pub fn provable(config: &Config) -> Result<()> {
    let student = &config.student;
    let key = if student.bypass {
        "student.bypass is true"
    } else if student.strength <= 0.0 {
        "student.strength is 0"
    } else if student.split >= 1.0 {
        "student.split is 1"
    } else {
        return Ok(());
    };
    bail!(
        "the update could not prove itself, for {key} in the configuration and no frame is sharpened: change it for the \
         time, or say --wait 0 to leave the update on trial until it is"
    )
}

#[cfg(test)]
pub(super) mod tests {
    use hone_shared::bundle::{ModelEntry, Provenance};
    use hone_shared::student::{Colour, Precision};

    use super::*;

    /// A student as a manifest has it.
    pub(in crate::deploy) fn student(name: &str, precision: Precision) -> ModelEntry {
        ModelEntry {
            name: name.into(),
            precision,
            colour: Colour::Luma,
            scale: 2,
            halo: Some(8),
            macs_per_pixel: 1.0,
            part: 0,
            metrics: Vec::new(),
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            name: "street".into(),
            release: "1.0.0".parse().unwrap(),
            models: vec![
                student("small", Precision::Int8),
                student("nano", Precision::F32),
            ],
            parts: Vec::new(),
            provenance: Provenance::default(),
        }
    }

    #[test]
    fn frames_that_stay_as_they_come_prove_nothing() {
        let provable = |text: &str| provable(&Config::parse(text).unwrap());
        provable("student.strength = 0.1\nstudent.split = 0.9").unwrap();
        for key in ["bypass = true", "strength = 0.0", "split = 1.0"] {
            let error = provable(&format!("student.{key}")).unwrap_err().to_string();
            let (name, _) = key.split_once(' ').unwrap();
            assert!(error.contains(&format!("student.{name} is")), "{error}");
        }
    }

    #[test]
    fn a_configuration_that_runs_something_else_is_refused() {
        let checked = |text: &str, root: &str| {
            let config = Config::parse(text).unwrap();
            let checked = check(&config, root, Some(Path::new("x.toml")), &manifest());
            checked.map_err(|error| error.to_string())
        };
        checked("", "").unwrap();
        checked("slots.folder = '/var/lib/honed/'", "").unwrap();
        checked("slots.folder = '/srv/var/lib/honed'", "/srv").unwrap();
        let mut mixed = manifest();
        mixed.models[1].colour = Colour::Rgb;
        let config = |text: &str| Config::parse(text).unwrap();
        let error = check(&config(""), "", None, &mixed).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("name one in student.level or deploy")
        );
        check(&config("student.level = 'nano'"), "", None, &mixed).unwrap();
        let error = checked("student.bundle = '/b.hone'", "").unwrap_err();
        assert!(error.starts_with("x.toml names a bundle of its own, /b.hone"));
        checked("student.level = 'nano'", "").unwrap();
        let error = checked("student.level = 'huge'", "").unwrap_err();
        assert_eq!(
            error,
            "x.toml does not go with street: there is no student huge in it, only small (int8), nano (f32): change \
             student.level or student.precision"
        );
        let error = checked("student.level = 'nano'\nstudent.precision = 'int8'", "").unwrap_err();
        assert!(error.contains("no student nano in int8"), "{error}");
        for (text, root) in [("slots.folder = '/data'", ""), ("", "/srv")] {
            let error = checked(text, root).unwrap_err();
            assert!(error.contains("change slots.folder"), "{error}");
        }
    }
}
