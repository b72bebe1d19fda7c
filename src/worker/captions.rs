//! The entry points of an asset, and the captions that people add to it.

use super::Workshop;
use crate::error::Result;
use crate::media::{Asset, Presentation};
use crate::package;

impl Workshop {
    /// Renders and writes the entry points.
    pub(super) fn write_entries(&self, asset: &Asset, presentation: &Presentation) -> Result<()> {
        let shared = &self.shared;
        let _writing = shared.entries.lock();
        package::write_entries(&shared.store.asset(&asset.id), presentation)
    }
}
