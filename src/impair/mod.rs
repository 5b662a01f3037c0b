//! A bad network on purpose, from a seed, that writes down the fate of every packet.
//!
//! It decides; `io::impair` moves the packets. `vigie impair` and tests use it.
