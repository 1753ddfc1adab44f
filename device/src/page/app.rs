//! What every request sees.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::http::{HeaderMap, header};
use tokio::sync::Semaphore;

use super::Settings;
use super::access::{Access, Refusal};
use super::errands::Errands;
use super::html::Page;
use super::preview::Preview;
use crate::doctor::Check;
use crate::state::BoardState;

/// Streams of events at one time.
const LISTENERS: usize = 16;

/// What the doctor found, and when.
pub(super) type Report = (Instant, Arc<Vec<Check>>);

/// What every request sees.
#[derive(Debug)]
pub struct App {
    pub(super) board: Arc<BoardState>,
    pub(super) access: Arc<Access>,
    pub(super) preview: Arc<Preview>,
    pub(super) listeners: Arc<Semaphore>,
    pub(super) errands: Errands,
    pub(super) page: Page,
    pub(super) slots: PathBuf,
    pub(super) tls: bool,
    /// The doctor's newest report.
    pub(super) doctor: Arc<Mutex<Option<Report>>>,
}

impl App {
    pub(super) fn new(settings: &Settings, board: Arc<BoardState>) -> Self {
        Self {
            access: Arc::new(Access::new(&settings.folder)),
            preview: Arc::new(Preview::new(board.sharpener().clone())),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            errands: Errands::default(),
            page: Page::new(),
            slots: settings.slots.clone(),
            tls: settings.tls,
            doctor: Arc::default(),
            board,
        }
    }

    /// Whether `token`, shown by `peer`, lets in; computed on a thread of its own.
    pub(super) async fn check(&self, token: String, peer: IpAddr) -> Result<(), Refusal> {
        let access = self.access.clone();
        tokio::task::spawn_blocking(move || access.check(&token, peer))
            .await
            .unwrap_or(Err(Refusal::Wrong))
    }

    /// Name of the cookie; under TLS browsers take it from this host only, and give it to no other.
    pub(super) const fn cookie_name(&self) -> &'static str {
        if self.tls { "__Host-hone" } else { "hone" }
    }

    /// The cookie of a login among `headers`.
    pub(super) fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == self.cookie_name())
            .map(|(_, value)| value)
    }

    /// Whether a browser sent the request from a page of this very address.
    pub(super) fn same_origin(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else {
            return false;
        };
        let scheme = if self.tls { "https" } else { "http" };
        origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"))
            .is_some_and(|place| place.eq_ignore_ascii_case(host))
    }
}
