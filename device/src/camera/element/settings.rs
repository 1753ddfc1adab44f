//! What is set before `honesharpen` starts, and the students it names.

use std::path::PathBuf;
use std::sync::Arc;

use gstreamer as gst;

use crate::camera::dials::Dials;
use crate::camera::sharpener::Sharpener;
use crate::camera::student;
use crate::journal::Journal;
use crate::trust;

#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) bundle: Option<PathBuf>,
    pub(super) trusted_key: Option<PathBuf>,
    pub(super) allow_unsigned: bool,
    pub(super) model: Option<PathBuf>,
    pub(super) level: Option<String>,
    pub(super) threads: u32,
}

impl Settings {
    /// Loads the students that the properties name.
    ///
    /// # Errors
    /// What is set wrongly, or cannot be read.
    pub(super) fn load(self, dials: Arc<Dials>) -> Result<Arc<Sharpener>, gst::ErrorMessage> {
        let source = match (self.bundle, self.model) {
            (Some(path), None) => {
                let keys = [
                    Some(hone_shared::config::KEYS_FOLDER.into()),
                    self.trusted_key,
                ];
                let keys: Vec<PathBuf> = keys.into_iter().flatten().collect();
                let policy = trust::policy(&keys, self.allow_unsigned, &Journal::default())
                    .map_err(|e| gst::error_msg!(gst::ResourceError::OpenRead, ["{e}"]))?;
                student::Source::Bundle { path, policy }
            }
            (None, Some(path)) => {
                if let Some(level) = &self.level {
                    return Err(gst::error_msg!(
                        gst::ResourceError::Settings,
                        [
                            "level={level} names a student of a bundle, and {} holds a single one: leave level away, \
                             or set bundle=x.hone in place of model",
                            path.display()
                        ]
                    ));
                }
                student::Source::Model(path)
            }
            _ => {
                return Err(gst::error_msg!(
                    gst::ResourceError::NotFound,
                    ["set one of the properties bundle=x.hone and model=x.onnx"]
                ));
            }
        };
        let choice = student::Choice {
            level: self.level,
            // Nobody changes levels here.
            largest: true,
            precision: None,
            threads: self.threads as usize,
            pin: false,
        };
        student::load(&source, &choice)
            .and_then(|levels| Sharpener::new(levels, dials).map_err(Into::into))
            .map(Arc::new)
            .map_err(|e| gst::error_msg!(gst::ResourceError::OpenRead, ["{e}"]))
    }
}

#[cfg(test)]
mod tests {
    use hone_shared::bundle::{
        self, Bundle, Manifest, ModelEntry, Part, PartKind, Provenance, Release,
    };
    use hone_shared::student::{Colour, Precision};

    use super::*;

    #[test]
    fn a_single_student_has_no_levels() {
        let settings = Settings {
            model: Some("x.onnx".into()),
            level: Some("large".into()),
            ..Settings::default()
        };
        let error = settings.load(Arc::default()).unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("leave level away"), "{text}");
    }

    #[test]
    fn unset_the_level_is_the_largest_alone() {
        let student = include_bytes!("../../../tests/data/luma.onnx");
        let models = [
            ("large", 400.0, &student[..]),
            ("small", 200.0, b"no student"),
        ];
        let entry = |(part, (name, macs_per_pixel, _)): (u32, (&str, f64, &[u8]))| ModelEntry {
            name: name.into(),
            precision: Precision::F32,
            colour: Colour::Luma,
            scale: 2,
            halo: None,
            macs_per_pixel,
            part,
            metrics: vec![],
        };
        let manifest = Manifest {
            name: "test".into(),
            release: Release {
                major: 1,
                minor: 0,
                patch: 0,
            },
            models: (0..).zip(models).map(entry).collect(),
            parts: vec![],
            provenance: Provenance::default(),
        };
        let parts = models.map(|(name, _, bytes)| Part {
            name: format!("{name}.onnx"),
            kind: PartKind::Model,
            bytes: bytes.to_vec(),
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.hone");
        let file = std::fs::File::create(&path).unwrap();
        bundle::write(&Bundle::new(manifest, parts.to_vec()).unwrap(), file).unwrap();
        let load = |level: Option<&str>| {
            let settings = Settings {
                bundle: Some(path.clone()),
                allow_unsigned: true,
                level: level.map(Into::into),
                threads: 1,
                ..Settings::default()
            };
            settings.load(Arc::default())
        };
        assert_eq!(load(None).unwrap().levels(), ["large"]);
        assert!(load(Some("small")).is_err());
    }
}
