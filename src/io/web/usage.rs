//! What this process has used, as the kernel counts it.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

pub(super) struct Usage {
    /// User and system time together.
    pub(super) cpu: Duration,
    /// Pages in memory now; zero where the kernel does not tell.
    pub(super) resident_bytes: u64,
}

pub(super) fn of_this_process() -> Usage {
    let cpu = getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        let micros = [usage.user_time(), usage.system_time()]
            .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
        Duration::from_micros(micros.iter().map(|part| part.unsigned_abs()).sum())
    });
    Usage {
        cpu,
        resident_bytes: resident_bytes().unwrap_or(0),
    }
}

/// `VmRSS` of `/proc/self/status`, given in KiB.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
