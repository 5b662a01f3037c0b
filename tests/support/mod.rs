//! What the promises are told with: the simulated world, and the real one on a lead.

pub(crate) mod alert_peers;
pub(crate) mod analysis;
pub(crate) mod bad_wire;
pub(crate) mod browser;
pub(crate) mod burners;
pub(crate) mod capture;
pub(crate) mod certificate;
pub(crate) mod demo;
pub(crate) mod made;
pub(crate) mod namespace;
pub(crate) mod network;
pub(crate) mod patience;
pub(crate) mod plant;
pub(crate) mod relay;
pub(crate) mod rest;
pub(crate) mod sipp;
pub(crate) mod spread;
pub(crate) mod told;
pub(crate) mod truth;
pub(crate) mod vigie;
pub(crate) mod world;
