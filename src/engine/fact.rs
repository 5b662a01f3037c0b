//! Everything that happened, append-only and hash-chained (stub).

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {}
