//! A network of its own for each test that talks to real peers, so that any number of them run side by
//! side with the same addresses and none can reach the host's network.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};

/// Moves this thread, and all that it starts from now on, into a network with nothing but a loopback.
pub(crate) fn enter_own_network() {
    unshare(CloneFlags::CLONE_NEWNET)
        .expect("a network namespace; run the real-peer tests through tests/run");
    ip(&["link", "set", "lo", "up"]);
}

/// Makes every address of `prefix` (its first three octets) this namespace's own, but for those that
/// end in one of `absent`: they are on a wire where nobody answers.
pub(crate) fn own_addresses_of(prefix: &str, absent: &[u8]) {
    ip(&[
        "link", "add", "wire", "type", "veth", "peer", "name", "wire-end",
    ]);
    ip(&["link", "set", "wire", "up"]);
    ip(&["link", "set", "wire-end", "up"]);
    for last in 1..=254 {
        let address = format!("{prefix}.{last}");
        if absent.contains(&last) {
            ip(&["route", "add", &address, "dev", "wire"]);
        } else {
            ip(&["route", "add", "local", &address, "dev", "lo"]);
        }
    }
}

/// Makes every address of this prefix this namespace's own.
pub(crate) fn own_network_of(prefix: &str) {
    ip(&["route", "add", "local", prefix, "dev", "lo"]);
}

pub(crate) fn ip(arguments: &[&str]) {
    let done = Command::new("ip")
        .args(arguments)
        .status()
        .expect("the program ip");
    assert!(done.success(), "ip {arguments:?}: {done}");
}

/// Whether somebody in this thread's network has bound this UDP address.
pub(crate) fn udp_is_bound(address: std::net::SocketAddrV4) -> bool {
    // As the kernel prints it: the address as one little-endian number, the port, both in hex.
    let wanted = format!(
        "{:08X}:{:04X}",
        u32::from_le_bytes(address.ip().octets()),
        address.port()
    );
    let table =
        fs::read_to_string("/proc/thread-self/net/udp").expect("the kernel's table of UDP sockets");
    table
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(wanted.as_str()))
}

/// The kernel's filter of this namespace, as told.
pub(crate) fn nft(rules: &str) {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program nft");
    let mut input = child.stdin.take().expect("its input is a pipe");
    input.write_all(rules.as_bytes()).expect("nft reads");
    drop(input);
    let done = child.wait().expect("to wait for a child of ours");
    assert!(done.success(), "nft: {done}: {rules}");
}
