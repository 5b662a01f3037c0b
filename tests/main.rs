//! The promises of vigie, one file each, all in one binary.

mod architecture;
mod loopback;
mod pages;
mod sip_device_habits;
mod sip_torture;
