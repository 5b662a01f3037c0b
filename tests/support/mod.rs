//! What the promises are told with.

pub(crate) mod world;
