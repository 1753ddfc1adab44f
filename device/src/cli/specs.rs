//! The configuration's source and sinks, read as the flags of `honed run` are.

use anyhow::Context;
use hone_shared::config::Config;

use crate::camera::sink::{self, SinkSpec};
use crate::camera::source::SourceSpec;

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

/// Where they go.
///
/// # Errors
/// When one is no sink.
pub(super) fn sinks(config: &Config) -> anyhow::Result<Vec<SinkSpec>> {
    let parsed = config.output.sinks.iter().map(|sink| sink.parse());
    let parsed: Result<Vec<SinkSpec>, _> = parsed.collect();
    parsed.context("output.sinks")
}
