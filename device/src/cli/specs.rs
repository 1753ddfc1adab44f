//! The configuration's source and sinks, read as the flags of `honed run` are.

use anyhow::Context;
use hone_shared::config::Config;

use super::unused;
use crate::camera::sink::{self, SinkSpec};
use crate::camera::source::{SourceKind, SourceSpec};

/// Checks what only `honed run` would find otherwise.
///
/// # Errors
/// When one is no source or sink, or the places of two are one.
pub(super) fn check(config: &Config) -> anyhow::Result<()> {
    apart(&source(config)?, &sinks(config)?)
}

/// Checks that no sink writes what another one writes or the source reads.
///
/// # Errors
/// With the sink that does.
pub(super) fn apart(source: &SourceSpec, sinks: &[SinkSpec]) -> anyhow::Result<()> {
    sink::apart(sinks)?;
    Ok(sink::spare(source, sinks)?)
}

/// Where frames come from.
///
/// # Errors
/// When it is no source.
pub(super) fn source(config: &Config) -> anyhow::Result<SourceSpec> {
    config.source.name.parse().context("source.name")
}

/// Width and height, and frames a second, wanted from it.
pub(super) fn wanted(config: &Config) -> (Option<(u32, u32)>, Option<u32>) {
    let fps = config.source.fps;
    (config.size(), (fps > 0).then_some(fps))
}

/// Checks a source that no plug brings: what is read from a disk, and `test`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_source(config: &Config) -> anyhow::Result<()> {
    let mut source = source(config)?;
    (source.size, source.fps) = wanted(config);
    if !source.comes_back() || source.kind == SourceKind::Test {
        source.check()?;
    }
    Ok(())
}

/// The wishes that the source does not heed.
///
/// # Errors
/// When it is no source.
pub(super) fn unused(config: &Config) -> anyhow::Result<Vec<&'static str>> {
    let (source, waited_for) = (source(config)?, config.source.keep_trying);
    let (size, fps) = wanted(config);
    let mut unused = Vec::new();
    if size.is_some() && !unused::heeds_size(&source, waited_for) {
        unused.push("source.size has no effect: this source has a size of its own");
    }
    if fps.is_some() && !unused::heeds_rate(&source, waited_for) {
        unused.push("source.fps has no effect: this source has a rate of its own");
    }
    Ok(unused)
}

/// Where they go.
///
/// # Errors
/// When one is no sink.
pub(super) fn sinks(config: &Config) -> anyhow::Result<Vec<SinkSpec>> {
    let parsed = config.output.sinks.iter().map(|sink| sink.parse());
    let parsed: Result<Vec<SinkSpec>, _> = parsed.collect();
    parsed.context("output.sinks")
}
