//! kilofold.
