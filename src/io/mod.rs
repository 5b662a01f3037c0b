//! The only folder that touches the world: sockets, clocks, files, tasks, the database.
//!
//! It performs what the pure modules ask for and reports what happened; it holds no rule of the product.

mod authorities;
pub mod beats;
pub mod clock;
pub mod config_file;
pub mod control;
pub mod daemon;
pub mod dns;
pub mod evidence;
pub mod file;
mod http;
pub mod impair;
pub mod lab;
pub mod leave;
pub mod notify;
pub mod prober;
pub mod prompts;
pub mod route;
pub mod shard;
pub mod store;
mod trust;
pub mod web;
