//! What the promises are told with: the simulated world, and the real one on a lead.

#[expect(dead_code, reason = "the watch of a breaking plant will use the rest")]
pub(crate) mod namespace;
#[expect(dead_code, reason = "the watch of a breaking plant will use the rest")]
pub(crate) mod patience;
#[expect(dead_code, reason = "the watch of a breaking plant will use the rest")]
pub(crate) mod plant;
pub(crate) mod sipp;
#[expect(dead_code, reason = "the watch of a breaking plant will use the rest")]
pub(crate) mod vigie;
pub(crate) mod world;
