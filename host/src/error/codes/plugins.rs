//! Codes of plugins, beside the codes that their room explains.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[of(
    "plugin.object",
    "the plugin does not map the object",
    "The plugin names the objects that it maps, and the sync's is not among them.",
    "name another plugin for the sync; `passthrough` maps any object",
)];
