//! What is set before `honesharpen` starts, and the students it names.

use std::path::PathBuf;
use std::sync::Arc;

use gstreamer as gst;

use crate::camera::dials::Dials;
use crate::camera::sharpener::Sharpener;
use crate::camera::student;
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
                let policy = trust::policy(&keys, self.allow_unsigned)
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
}
