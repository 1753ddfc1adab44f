//! Named intermediate maps of a network, kept only when somebody wants them.

use tch::Tensor;

/// Collects maps while a network runs; closed, it keeps nothing alive.
#[derive(Debug)]
pub struct Taps(Option<Vec<(String, Tensor)>>);

impl Taps {
    /// Keeps every map that is offered.
    pub fn open() -> Self {
        Self(Some(Vec::new()))
    }

    /// Keeps none.
    pub fn closed() -> Self {
        Self(None)
    }

    /// Offers the map `name`; names are the published module names where there are any.
    pub fn offer(&mut self, name: &str, map: &Tensor) {
        if let Some(maps) = &mut self.0 {
            maps.push((name.to_owned(), map.shallow_clone()));
        }
    }

    /// What was kept, in the order of computation.
    pub fn into_maps(self) -> Vec<(String, Tensor)> {
        self.0.unwrap_or_default()
    }
}
