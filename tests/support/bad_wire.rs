//! A bad network made by the kernel: packets dropped by count, and a narrow cable between two networks.
//!
//! What is dropped is dropped as it leaves an interface, so a capture there sees just what arrives, and
//! the sender is told nothing. The kernel counts its drops: that is the truth a test compares with.

use std::fs::File;
use std::process::Command;

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

use super::namespace::{enter_own_network, ip, nft};

/// RTP to some addresses that does not arrive, until it is dropped.
#[derive(Debug)]
pub(crate) struct Losses {
    table: String,
}

impl Losses {
    /// Of the RTP that leaves by `device` for `to` (an address or a prefix), every `nth` packet, the first
    /// of them in the middle of the first `nth`: so neither the first packet of a call is lost nor, most
    /// often, its last, which no receiver can miss.
    pub(crate) fn every(nth: u32, device: &str, to: &str) -> Self {
        // RTP has the even ports, RTCP the odd ones.
        let which = format!("udp dport & 1 == 0 numgen inc mod {nth} == {}", nth / 2);
        Self::of(&which, device, to)
    }

    /// All of it, and RTCP too: a firewall that lets signalling through alone.
    pub(crate) fn all(device: &str, to: &str) -> Self {
        Self::of("", device, to)
    }

    fn of(which: &str, device: &str, to: &str) -> Self {
        let table = format!("losses-{}", to.replace(['.', '/'], "-"));
        // Their media and ours; signalling leaves from ports outside.
        nft(&format!(
            "table netdev {table} {{\n chain out {{\n  type filter hook egress device {device} priority 0\n  \
             ip daddr {to} udp dport 20000-29999 {which} counter drop\n }}\n}}\n"
        ));
        Self { table }
    }

    /// How many packets the kernel has dropped.
    pub(crate) fn count(&self) -> u64 {
        let done = Command::new("nft")
            .args(["-j", "list", "table", "netdev", &self.table])
            .output()
            .expect("the program nft");
        let said: Value = serde_json::from_slice(&done.stdout).expect("what nft -j says");
        said["nftables"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["rule"]["expr"].as_array())
            .flatten()
            .find_map(|word| word["counter"]["packets"].as_u64())
            .unwrap_or_else(|| panic!("a rule that counts: {said:#}"))
    }
}

impl Drop for Losses {
    fn drop(&mut self) {
        let _ = Command::new("nft")
            .args(["delete", "table", "netdev", &self.table])
            .status();
    }
}

/// Two networks and one cable: this thread is at its near end, [`Cable::NEAR`]; whoever is started by
/// [`Cable::at_the_far_end`] has [`Cable::FAR`].
#[derive(Debug)]
pub(crate) struct Cable {
    near: File,
    far: File,
}

impl Cable {
    pub(crate) const NEAR: &str = "192.0.2.1";
    pub(crate) const FAR: &str = "192.0.2.2";

    pub(crate) fn laid() -> Self {
        enter_own_network();
        let far = this_network();
        ip(&["link", "set", "lo", "up"]);
        unshare(CloneFlags::CLONE_NEWNET).expect("a second network namespace");
        let near = this_network();
        ip(&["link", "set", "lo", "up"]);
        let cable = Self { near, far };
        ip(&["link", "add", "near", "type", "veth", "peer", "name", "far"]);
        // By thread: the process as a whole stayed outside.
        let far_thread = cable.at_the_far_end(|| {
            let (tell, told) = std::sync::mpsc::channel();
            let (end, ended) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::spawn(move || {
                tell.send(nix::unistd::gettid()).expect("somebody waits");
                let _ = ended.recv();
            });
            (told.recv().expect("a thread starts"), end, thread)
        });
        ip(&["link", "set", "far", "netns", &far_thread.0.to_string()]);
        drop(far_thread.1);
        far_thread.2.join().expect("a thread that waits ends");
        Self::plug("near", Self::NEAR);
        cable.at_the_far_end(|| Self::plug("far", Self::FAR));
        cable
    }

    fn plug(device: &str, address: &str) {
        ip(&["address", "add", &format!("{address}/24"), "dev", device]);
        ip(&["link", "set", device, "up"]);
    }

    /// Does something at the other end; what it starts stays there.
    pub(crate) fn at_the_far_end<T>(&self, act: impl FnOnce() -> T) -> T {
        setns(&self.far, CloneFlags::CLONE_NEWNET).expect("to go to the far end");
        let done = act();
        setns(&self.near, CloneFlags::CLONE_NEWNET).expect("to come back");
        done
    }

    /// What comes toward us passes a bottleneck: so many kbit/s, and a queue of so many bytes; what finds
    /// the queue full is lost.
    pub(crate) fn narrow(&self, kilobits: u32, queue_bytes: u32) {
        self.at_the_far_end(|| {
            let rate = format!("{kilobits}kbit");
            let queue = queue_bytes.to_string();
            let done = Command::new("tc")
                .args(["qdisc", "replace", "dev", "far", "root", "tbf"])
                .args(["rate", &rate, "burst", "2kb", "limit", &queue])
                .status()
                .expect("the program tc");
            assert!(done.success(), "tc: {done}");
        });
    }
}

fn this_network() -> File {
    File::open("/proc/thread-self/ns/net").expect("the kernel's handle of this network")
}
