//! The promises of vigie, one file each, all in one binary.

mod support;

mod architecture;
mod loopback;
mod pages;
mod restart_keeps_the_outage;
mod sip_device_habits;
mod sip_torture;
mod telephony_states;
