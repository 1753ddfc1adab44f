//! Flags of `honed run` for the page in the browser.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use hone_shared::config::{Config, PageConfig};

use crate::page::Settings;

/// How the page is to be served.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// Serve a page for the browser and an API on this address, such as 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    page: Option<SocketAddr>,
    /// Speak TLS, with a self-made certificate unless the configuration names one.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    page_tls: Option<bool>,
    /// Folder of the page's tokens and self-made certificate [default: /var/lib/honed/page].
    #[arg(long, value_name = "DIR")]
    page_folder: Option<PathBuf>,
    /// Let other machines come without TLS: everyone on the way can read the token.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    page_insecure_beyond_loopback: Option<bool>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let wanted = "use an address with its port, as in 127.0.0.1:8080 or [::]:8443";
    text.parse().map_err(|_| wanted.into())
}

impl PageArgs {
    /// What a configuration says of the page, these flags over it.
    pub(super) fn over(&self, page: &PageConfig) -> PageConfig {
        let mut page = page.clone();
        if let Some(address) = self.page {
            page.listen = address.to_string();
        }
        page.tls = self.page_tls.unwrap_or(page.tls);
        if let Some(insecure) = self.page_insecure_beyond_loopback {
            page.insecure_beyond_loopback = insecure;
        }
        page
    }

    /// Flags over configuration; `None` when nobody wants a page.
    ///
    /// # Errors
    /// When flags tell how a page is served that nobody asked for.
    pub(super) fn settings(&self, config: &Config) -> anyhow::Result<Option<Settings>> {
        let mut settings = Settings::new(&self.over(&config.page), &config.slots.folder);
        let switched = [self.page_tls, self.page_insecure_beyond_loopback].contains(&Some(true));
        let flags = switched || self.page_folder.is_some();
        ensure!(
            settings.is_some() || !flags,
            "no page is served: say on which address with --page ADDRESS:PORT"
        );
        if let (Some(settings), Some(folder)) = (&mut settings, &self.page_folder) {
            settings.folder.clone_from(folder);
        }
        Ok(settings)
    }
}
