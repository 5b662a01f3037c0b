//! The one door to the rsip crate.
