//! Flags of `honed run` for the page in the browser.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use hone_shared::config::Config;

use crate::page::Settings;

/// How the page is to be served.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// Serve a page for the browser and an API on this address, such as 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS:PORT")]
    page: Option<SocketAddr>,
    /// Speak TLS, with a self-made certificate unless the configuration names one.
    #[arg(long)]
    page_tls: bool,
    /// Folder of the page's tokens and self-made certificate [default: /var/lib/honed/page].
    #[arg(long, value_name = "DIR")]
    page_folder: Option<PathBuf>,
    /// Let other machines come without TLS: everyone on the way can read the token.
    #[arg(long)]
    page_insecure_beyond_loopback: bool,
}

impl PageArgs {
    /// Whether they say where a page is served.
    pub(super) const fn served(&self) -> bool {
        self.page.is_some()
    }

    /// Flags over configuration; `None` when nobody wants a page.
    ///
    /// # Errors
    /// When flags tell how a page is served that nobody asked for.
    pub(super) fn settings(&self, config: &Config) -> anyhow::Result<Option<Settings>> {
        let mut page = config.page.clone();
        if let Some(address) = self.page {
            page.listen = address.to_string();
        }
        page.tls |= self.page_tls;
        page.insecure_beyond_loopback |= self.page_insecure_beyond_loopback;
        let mut settings = Settings::new(&page, &config.slots.folder);
        let flags =
            self.page_tls || self.page_insecure_beyond_loopback || self.page_folder.is_some();
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
