//! The whole product in a simulated world: a seed gives a story, the story happens to a call centre in virtual
//! time, and properties are checked at every step.
//!
//! It drives the very engine that the service drives, as the shell would: probes are answered by a world
//! whose truth is known, facts go to a journal in memory that commits late, fails and survives restarts. So a
//! simulated day needs no clock, no socket and no disk, and the same seed gives the same bytes of facts.
//! `vigie sim` and the tests call it; the engine knows nothing of it.

mod auditor;
pub mod journal;
mod oracle;
mod people;
pub mod plant;
pub mod post;
pub mod property;
pub mod run;
pub mod sabotage;
pub mod shrink;
pub mod story;
pub mod summary;
pub mod witness;
pub mod world;
