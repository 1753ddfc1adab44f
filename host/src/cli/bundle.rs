//! `hone bundle`: pack, sign, verify and look into bundles.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use hone_shared::bundle::{Bundle, FORMAT_VERSION, ModelEntry, Policy, Release, hex, verify};

use super::overwrite;
use crate::bundle::{self, Content, key};

/// Arguments of `hone bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    #[command(subcommand)]
    command: BundleCommand,
}

#[derive(Debug, Subcommand)]
enum BundleCommand {
    /// Make a key pair for signing: KEY and KEY.pub
    #[command(after_help = "Example:\n  hone bundle keygen --out release.key")]
    Keygen {
        /// File of the secret key; the public one goes beside it as KEY.pub.
        #[arg(long, value_name = "KEY")]
        out: PathBuf,
    },
    /// Pack ONNX students into a bundle, signed when a key is given
    Pack(PackArgs),
    /// Sign a bundle, in place of any earlier signature
    #[command(after_help = "Example:\n  hone bundle sign x.hone --key release.key")]
    Sign {
        /// The bundle.
        bundle: PathBuf,
        /// File of the secret key.
        #[arg(long)]
        key: PathBuf,
        /// File to write; the bundle itself when left out.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Say whether a board that trusts these keys would take a bundle
    #[command(after_help = "Example:\n  hone bundle verify x.hone --trusted-key release.key.pub")]
    Verify {
        /// The bundle.
        bundle: PathBuf,
        /// File of a public key to trust; may be given several times.
        #[arg(long, value_name = "KEY.pub")]
        trusted_key: Vec<PathBuf>,
        /// Take unsigned bundles and unknown keys too.
        #[arg(long)]
        allow_unsigned: bool,
    },
    /// Write a bundle's parts (models, card, report, thumbnails) as files
    #[command(after_help = "Example:\n  hone bundle unpack x.hone --out parts")]
    Unpack {
        /// The bundle.
        bundle: PathBuf,
        /// Folder to write them to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Show what a bundle holds
    #[command(after_help = "Example:\n  hone bundle inspect x.hone --json")]
    Inspect {
        /// The bundle.
        bundle: PathBuf,
        /// For programs: one JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hone bundle pack --model small=student.onnx \
    --model small=student.int8.onnx --card CARD.md --key release.key --out x.hone"
)]
struct PackArgs {
    /// Level of the ladder and ONNX file; number format, colour and halo are read from the file.
    #[arg(long = "model", value_name = "LEVEL=FILE", required = true, value_parser = level)]
    models: Vec<(String, PathBuf)>,
    /// Name of the family; the output's file name when left out.
    #[arg(long)]
    name: Option<String>,
    /// Version of the content: boards take an older one only when forced.
    #[arg(long, default_value = "0.1.0")]
    release: Release,
    /// Model card, Markdown.
    #[arg(long)]
    card: Option<PathBuf>,
    /// Measurements, JSON: {"small/int8": {"psnr_db": 31.2}}.
    #[arg(long)]
    metrics: Option<PathBuf>,
    /// Small picture, PNG; may be given several times.
    #[arg(long)]
    thumbnail: Vec<PathBuf>,
    /// Weights of the teacher, whose SHA-256 is kept.
    #[arg(long)]
    teacher: Option<PathBuf>,
    /// File of the secret key to sign with; unsigned when left out.
    #[arg(long)]
    key: Option<PathBuf>,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
}

fn level(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((level, file)) if !level.is_empty() && !file.is_empty() => {
            Ok((level.to_owned(), file.into()))
        }
        _ => Err("write it as LEVEL=FILE, such as small=student.onnx".into()),
    }
}

impl BundleArgs {
    /// Runs the chosen command.
    ///
    /// # Errors
    /// One sentence with the file named.
    pub fn run(self) -> Result<()> {
        match self.command {
            BundleCommand::Keygen { out } => {
                let public = key::generate(&out)?;
                let beside = key::public_path(&out);
                println!("key {}: {}", public.fingerprint(), beside.display());
                Ok(())
            }
            BundleCommand::Pack(args) => args.run(),
            BundleCommand::Sign { bundle, key, out } => {
                if let Some(out) = &out {
                    overwrite::refuse(out, [key.as_path()])?;
                }
                let signed = bundle::open(&bundle)?.signed(&key::secret(&key)?);
                bundle::save(&signed, &out.unwrap_or(bundle))
            }
            BundleCommand::Verify {
                bundle,
                trusted_key,
                allow_unsigned,
            } => {
                let trusted = trusted_key.iter().map(|k| key::public(k));
                let policy = Policy {
                    trusted: trusted.collect::<Result<_>>()?,
                    allow_unsigned,
                };
                let opened = bundle::open(&bundle)?;
                verify(&opened, &policy)
                    .with_context(|| format!("{} is refused", bundle.display()))?;
                println!("{}: {}", bundle.display(), signer(&opened));
                Ok(())
            }
            BundleCommand::Unpack { bundle, out } => unpack(&bundle, &out),
            BundleCommand::Inspect { bundle, json } => inspect(&bundle, json),
        }
    }
}

impl PackArgs {
    fn run(self) -> Result<()> {
        let stem = self.out.file_stem().and_then(|s| s.to_str());
        let name = self.name.or(stem.map(str::to_owned)).unwrap_or_default();
        ensure!(!name.is_empty(), "give the bundle a name with --name");
        let inputs = self.models.iter().map(|(_, file)| file);
        let inputs = inputs.chain(&self.card).chain(&self.metrics);
        let inputs = inputs.chain(&self.thumbnail).chain(&self.teacher);
        overwrite::refuse(&self.out, inputs.chain(&self.key).map(PathBuf::as_path))?;
        // Read before any model is loaded: a wrong key should fail at once.
        let secret = self.key.as_deref().map(key::secret).transpose()?;
        let content = Content {
            name,
            models: self.models,
            card: self.card,
            metrics: self.metrics,
            thumbnails: self.thumbnail,
            teacher: self.teacher,
        };
        let mut packed = bundle::pack(&content, self.release)?;
        if let Some(secret) = &secret {
            packed = packed.signed(secret);
        }
        bundle::save(&packed, &self.out)?;
        let models = packed.manifest().models.len();
        println!(
            "{}: {models} models, {}",
            self.out.display(),
            signer(&packed)
        );
        bundle::remarks(&packed)
            .iter()
            .for_each(|remark| eprintln!("{remark}"));
        Ok(())
    }
}

fn signer(bundle: &Bundle) -> String {
    match bundle.signature() {
        Some(signature) => format!("signed by {}", signature.key.fingerprint()),
        None => "unsigned".into(),
    }
}

fn unpack(path: &Path, out: &Path) -> Result<()> {
    let opened = bundle::open(path)?;
    // A file is written under such a name before it gets its own.
    let names: HashSet<&str> = opened.parts().map(|(part, _)| part.name.as_str()).collect();
    let beside = |name: &&&str| {
        name.strip_suffix(".part")
            .is_some_and(|of| names.contains(of))
    };
    if let Some(name) = names.iter().find(beside) {
        bail!(
            "cannot unpack {}: its part {name} has the name that another one is written under",
            path.display()
        );
    }
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot create the folder {}", out.display()))?;
    // Names are single file names by the bundle's own rules, so nothing is written elsewhere.
    for (part, bytes) in opened.parts() {
        hone_device::atomic::write_bytes(&out.join(&part.name), bytes)?;
    }
    println!("{}: {} files", out.display(), opened.manifest().parts.len());
    Ok(())
}

fn inspect(path: &Path, json: bool) -> Result<()> {
    let opened = bundle::open(path)?;
    let manifest = opened.manifest();
    if json {
        let value = serde_json::json!({
            "format_version": FORMAT_VERSION,
            "sha256": hex(opened.digest()),
            "signed_by": opened.signature().map(|s| s.key.fingerprint()),
            "name": manifest.name,
            "release": manifest.release.to_string(),
            "models": manifest.models,
            "remarks": bundle::remarks(&opened),
            "parts": manifest.parts.iter().map(|p| serde_json::json!({
                "name": p.name, "kind": p.kind.name(), "bytes": p.length, "sha256": hex(&p.sha256),
            })).collect::<Vec<_>>(),
            "provenance": {
                "tool": manifest.provenance.tool,
                "recipe_sha256": manifest.provenance.recipe_sha256.map(|h| hex(&h)),
                "teacher_sha256": manifest.provenance.teacher_sha256.map(|h| hex(&h)),
            },
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    println!(
        "{} {}, {}",
        manifest.name,
        manifest.release,
        signer(&opened)
    );
    println!("packed by {}", manifest.provenance.tool);
    let mut models = table(&[
        "level",
        "precision",
        "colour",
        "scale",
        "halo",
        "MAC/pixel",
        "metrics",
    ]);
    for model in &manifest.models {
        models.add_row(model_row(model));
    }
    println!("{models}");
    bundle::remarks(&opened)
        .iter()
        .for_each(|remark| println!("{remark}"));
    let mut parts = table(&["part", "kind", "bytes", "SHA-256"]);
    for part in &manifest.parts {
        let start = hex(&part.sha256[..8]);
        parts.add_row([
            &part.name,
            part.kind.name(),
            &part.length.to_string(),
            &start,
        ]);
    }
    println!("{parts}");
    Ok(())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn model_row(model: &ModelEntry) -> Vec<String> {
    let metrics = model.metrics.iter();
    vec![
        model.name.clone(),
        model.precision.to_string(),
        model.colour.to_string(),
        model.scale.to_string(),
        model.halo.map_or("whole frame".into(), |h| h.to_string()),
        format!("{:.0}", model.macs_per_pixel),
        metrics
            .map(|m| format!("{} {:.3}", m.name, m.value))
            .collect::<Vec<_>>()
            .join(", "),
    ]
}
