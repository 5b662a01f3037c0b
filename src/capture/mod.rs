//! Network captures as bytes: pcap and pcapng read into datagrams, datagrams written as pcap.
//!
//! It knows no SIP and no RTP. `analysis` reads with it; evidence of calls is written with it.

pub mod write;

pub use write::Writer;
