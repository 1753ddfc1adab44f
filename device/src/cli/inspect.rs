//! `honed inspect`: what a model is and how this machine would run it.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use hone_shared::bundle::{Bundle, MAGIC, hex};
use hone_shared::config::StudentConfig;
use hone_shared::printable::printable;
use hone_shared::student::Precision;
use serde_json::{Value, json};

use super::trust::TrustArgs;
use crate::engine::{Isa, describe};
use crate::journal::Journal;
use crate::trust;

/// Says what a student is and which executor runs it here, and why; of a bundle, each of its students.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  honed inspect small.int8.onnx\n  honed inspect x.hone --trusted-key release.key.pub"
)]
pub struct InspectArgs {
    /// An ONNX student or a bundle.
    #[arg(value_name = "X.onnx|X.hone")]
    file: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl InspectArgs {
    /// Reads the file and prints.
    ///
    /// # Errors
    /// When the file cannot be read, is no student, or is a bundle that this machine would not take.
    pub fn run(self) -> anyhow::Result<()> {
        let path = self.file.display();
        let bytes = std::fs::read(&self.file).with_context(|| format!("cannot read {path}"))?;
        if bytes.starts_with(&MAGIC) {
            let policy = self
                .trust
                .policy(&StudentConfig::default(), &Journal::default())?;
            return self.bundle(&trust::open(&self.file, &policy)?);
        }
        ensure!(
            !self.trust.given(),
            "--trusted-key and --allow-unsigned are for bundles: {path} is none, so leave them out"
        );
        let (json, text) = student(&bytes).with_context(|| path.to_string())?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&json)?);
        } else {
            println!("{}", printable(text));
        }
        Ok(())
    }

    fn bundle(&self, bundle: &Bundle) -> anyhow::Result<()> {
        let manifest = bundle.manifest();
        let signer = bundle.signature().map(|s| s.key.fingerprint());
        let mut students = Vec::new();
        let mut texts = Vec::new();
        for model in &manifest.models {
            let label = format!("{} ({})", model.name, model.precision);
            let (mut json, text) =
                student(bundle.model_bytes(model)).with_context(|| label.clone())?;
            json["level"] = model.name.clone().into();
            students.push(json);
            texts.push(format!("{label}: {text}"));
        }
        if self.json {
            let json = json!({
                "name": manifest.name,
                "release": manifest.release.to_string(),
                "sha256": hex(bundle.digest()),
                "signed_by": signer,
                "students": students,
            });
            println!("{}", serde_json::to_string_pretty(&json)?);
            return Ok(());
        }
        let signer = signer.map_or("unsigned".into(), |key| format!("signed by {key}"));
        println!("{} {}, {signer}", manifest.name, manifest.release);
        println!("{}", printable(texts.join("\n")));
        Ok(())
    }
}

/// One student, for programs and for people.
fn student(model: &[u8]) -> anyhow::Result<(Value, String)> {
    let found = describe(model)?;
    let (student, isa) = (&found.student, Isa::choose()?);
    let reason = found.layers.as_ref().err();
    let json = json!({
        "colour": student.colour,
        "precision": student.precision,
        "scale": student.scale,
        "halo": student.halo,
        "temporal": student.temporal,
        "limited": student.limited,
        "macs_per_pixel": student.macs_per_pixel,
        "fused": reason.is_none(),
        "tract_because": reason,
        "layers": found.layers.as_ref().ok(),
        // tract chooses its own.
        "isa": reason.is_none().then(|| isa.name()),
    });
    let halo = student
        .halo
        .map_or("the whole frame".into(), |h| format!("{h} pixels around"));
    let before = match student.temporal {
        true => " and at what it gave for the frame before",
        false => "",
    };
    let limit = match student.limited {
        true => ", held to the overshoot limit",
        false => "",
    };
    let executor = match &found.layers {
        Ok(layers) => format!("fused with {}: {}", isa.name(), layers.join(", ")),
        Err(reason) if student.precision == Precision::Int8 => {
            format!("runs on tract, in f32 (INT8 is smaller on disk here, but slower): {reason}")
        }
        Err(reason) => format!("runs on tract: {reason}"),
    };
    let text = format!(
        "{} student in {}, SpaceToDepth {}, {:.0} MAC/pixel, looks at {halo}{before}{limit}\n{executor}",
        student.colour,
        student.precision.name(),
        student.scale,
        student.macs_per_pixel
    );
    Ok((json, text))
}
