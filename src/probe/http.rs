//! The `http` probe (stub).

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {}
