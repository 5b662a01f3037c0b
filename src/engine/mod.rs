//! The whole product without a world: schedule, health, facts and view behind three verbs (stub).

pub mod fact;
pub mod input;
pub mod output;
pub mod plant;
