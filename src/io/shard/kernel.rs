//! Four system calls that have no safe wrapper fit for use: `recvmmsg`, `sendmmsg`, `sched_setscheduler`,
//! `adjtimex`.
//!
//! The wrappers at hand either allocate for each batch or do not reset the lengths that the kernel
//! shortens, and so lose the receive stamp of the next batch. Everything unsafe of the product is in
//! this file; what the kernel wrote is read by safe code in `stamp`.

#![expect(
    unsafe_code,
    reason = "no safe wrapper of these calls resets the lengths that the kernel writes"
)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use arrayvec::ArrayVec;

use super::stamp::{self, Ancillary};

/// Datagrams per call: 16 to 32 take the whole gain of batching (about a third of a receive).
pub(super) const BATCH: usize = 32;

/// Room for the receive stamp (32 bytes), the drop counter (24) and one extended error (48, IPv6 64).
const CONTROL: usize = 192;

/// `sockaddr_in6` is the largest address used here.
const NAME: usize = 28;

#[repr(align(8))]
#[derive(Clone)]
struct Control([u8; CONTROL]);

/// One control message that holds a `u16`.
const SEGMENT_SIZE: usize = 24;

/// Datagrams given to the kernel at once: beyond a hundred nothing more is gained.
const PIECES: usize = 128;

/// What every kernel that joins datagrams takes (`UDP_MAX_SEGMENTS` of Linux 4.18).
const SEGMENTS_MAX: usize = 64;

/// Joined datagrams are never fragmented, so each must fit the link; a larger one travels alone.
const SEGMENT_BYTES_MAX: usize = 1400;

/// A train is one IP packet until it is cut apart: 65,535 bytes with the headers of IP and UDP.
const TRAIN_BYTES_MAX: usize = 65_000;

#[repr(align(8))]
#[derive(Clone, Copy)]
struct Name([u8; NAME]);

#[repr(align(8))]
#[derive(Clone, Copy)]
struct SegmentSize([u8; SEGMENT_SIZE]);

/// Buffers for one batch of received datagrams, used again and again.
pub(in crate::io) struct Inbox {
    /// Bytes for each datagram; longer ones are cut and said to be.
    size: usize,
    bytes: Vec<u8>,
    names: Vec<Name>,
    controls: Vec<Control>,
    filled: Vec<Filled>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Default)]
struct Filled {
    len: usize,
    control_len: usize,
    cut: bool,
}

/// One datagram of a batch.
#[derive(Debug)]
pub(in crate::io) struct Datagram<'a> {
    pub(in crate::io) bytes: &'a [u8],
    /// `None` when the kernel names no sender (or, on the error queue, no receiver).
    pub(in crate::io) from: Option<SocketAddr>,
    pub(in crate::io) ancillary: Ancillary,
    /// The datagram was longer than the buffer.
    pub(in crate::io) cut: bool,
}

/// Which queue of a socket to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) enum Queue {
    Received,
    /// What routers and hosts said about datagrams that we sent (`IP_RECVERR`).
    Errors,
}

impl Inbox {
    /// Room for `batch` datagrams (at most [`BATCH`]) of `size` bytes.
    pub(in crate::io) fn new(batch: usize, size: usize) -> Self {
        let batch = batch.min(BATCH);
        Self {
            size,
            bytes: vec![0; batch * size],
            names: vec![Name([0; NAME]); batch],
            controls: vec![Control([0; CONTROL]); batch],
            filled: Vec::with_capacity(batch),
        }
    }

    /// How many datagrams a full batch has.
    pub(super) fn batch(&self) -> usize {
        self.names.len()
    }

    /// Receives what is there without waiting; `WouldBlock` when nothing is.
    pub(in crate::io) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        queue: Queue,
    ) -> io::Result<usize> {
        self.filled.clear();
        // SAFETY: all-zero bytes are a valid `iovec` and a valid `mmsghdr` (null pointers, no lengths).
        let mut pieces: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        let count = self.batch();
        for (index, chunk) in self.bytes.chunks_exact_mut(self.size).enumerate() {
            pieces[index].iov_base = chunk.as_mut_ptr().cast();
            pieces[index].iov_len = chunk.len();
            let header = &mut headers[index].msg_hdr;
            header.msg_iov = &raw mut pieces[index];
            header.msg_iovlen = 1;
            header.msg_name = self.names[index].0.as_mut_ptr().cast();
            header.msg_namelen = u32::try_from(NAME).expect("28 fits");
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL as _;
        }
        let flags = match queue {
            Queue::Received => libc::MSG_DONTWAIT,
            Queue::Errors => libc::MSG_DONTWAIT | libc::MSG_ERRQUEUE,
        };
        // SAFETY: each of the `count` headers points to an own name, control area and piece, and each
        // piece to an own slice of `bytes`; all of them outlive the call and are not used during it.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                u32::try_from(count).expect("at most 32"),
                flags as _,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (name, header) in self.names.iter_mut().zip(&headers[..received]) {
            if header.msg_hdr.msg_namelen == 0 {
                // The name of an earlier datagram must not be taken for the name of this one.
                name.0 = [0; NAME];
            }
            self.filled.push(Filled {
                len: usize::try_from(header.msg_len)
                    .unwrap_or(usize::MAX)
                    .min(self.size),
                control_len: header.msg_hdr.msg_controllen.min(CONTROL),
                cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        Ok(received)
    }

    /// What the last `receive` brought.
    pub(in crate::io) fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.filled
            .iter()
            .enumerate()
            .map(|(index, filled)| Datagram {
                bytes: &self.bytes[index * self.size..][..filled.len],
                from: stamp::socket_address(&self.names[index].0),
                ancillary: Ancillary::read(&self.controls[index].0[..filled.control_len]),
                cut: filled.cut,
            })
    }
}

/// Sends datagrams without waiting; says how many of them the kernel took.
///
/// `to` is `None` on a connected socket. With `Joining::Alike`, neighbours of one size to one peer go
/// through the network stack as one and are cut apart at its end (UDP segmentation offload), which costs
/// a fraction of sending each. An error concerns the first datagram, or those joined to it: nothing was
/// sent.
pub(super) fn send_batch<'a>(
    socket: BorrowedFd<'_>,
    joining: Joining,
    datagrams: impl Iterator<Item = (Option<SocketAddr>, &'a [u8])>,
) -> io::Result<usize> {
    // SAFETY: all-zero bytes are a valid `iovec` and a valid `mmsghdr` (null pointers, no lengths).
    let mut pieces: [libc::iovec; PIECES] = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let mut names = [Name([0; NAME]); BATCH];
    let mut sizes = [SegmentSize([0; SEGMENT_SIZE]); BATCH];
    let mut trains: ArrayVec<Train, BATCH> = ArrayVec::new();
    for (index, (to, bytes)) in datagrams.take(PIECES).enumerate() {
        pieces[index].iov_base = bytes.as_ptr().cast_mut().cast();
        pieces[index].iov_len = bytes.len();
        let joined = joining == Joining::Alike
            && trains
                .last_mut()
                .is_some_and(|train| train.takes(to, bytes.len()));
        if !joined && trains.try_push(Train::new(to, index, bytes.len())).is_err() {
            break;
        }
    }
    for (index, train) in trains.iter().enumerate() {
        let header = &mut headers[index].msg_hdr;
        header.msg_iov = &raw mut pieces[train.first];
        header.msg_iovlen = train.count as _;
        if let Some(to) = train.to {
            let len = stamp::write_socket_address(to, &mut names[index].0);
            header.msg_name = names[index].0.as_mut_ptr().cast();
            header.msg_namelen = len;
        }
        if train.count > 1 {
            let len = stamp::write_segment_size(train.size, &mut sizes[index].0);
            header.msg_control = sizes[index].0.as_mut_ptr().cast();
            header.msg_controllen = len as _;
        }
    }
    // SAFETY: each of the headers counted points to an own name, control area and run of pieces in this
    // frame, and each piece to bytes borrowed for `'a`; the kernel only reads them, so the `cast_mut` is
    // never written through.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            u32::try_from(trains.len()).expect("at most 32"),
            libc::MSG_DONTWAIT as _,
        )
    };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    Ok(trains[..sent].iter().map(|train| train.count).sum())
}

/// Whether datagrams may be sent as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joining {
    Alike,
    Never,
}

/// Neighbouring datagrams of one size to one peer; the last may be shorter.
#[derive(Debug)]
struct Train {
    to: Option<SocketAddr>,
    /// The first of its pieces, and how many there are.
    first: usize,
    count: usize,
    size: usize,
    bytes: usize,
    /// A shorter one ends it.
    ended: bool,
}

impl Train {
    const fn new(to: Option<SocketAddr>, first: usize, size: usize) -> Self {
        Self {
            to,
            first,
            count: 1,
            size,
            bytes: size,
            ended: false,
        }
    }

    /// Adds a datagram if it fits.
    fn takes(&mut self, to: Option<SocketAddr>, size: usize) -> bool {
        let fits = !self.ended
            && self.to == to
            && (1..=self.size).contains(&size)
            && self.size <= SEGMENT_BYTES_MAX
            && self.count < SEGMENTS_MAX
            && self.bytes + size <= TRAIN_BYTES_MAX;
        if fits {
            self.count += 1;
            self.bytes += size;
            self.ended = size < self.size;
        }
        fits
    }
}

/// Puts the calling thread under `SCHED_FIFO`; children of it start as ordinary threads.
pub(in crate::io) fn become_realtime(priority: i32) -> io::Result<()> {
    let parameter = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the parameter is a plain number that outlives the call; 0 names the calling thread.
    let done = unsafe {
        libc::sched_setscheduler(
            0,
            libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK,
            &raw const parameter,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The kernel lets its bound of the error grow by 500 ppm since the last word of NTP, up to this; setting
/// the clock by hand takes it there at once. Microseconds (`NTP_PHASE_LIMIT` of Linux).
const ERROR_US_MAX: libc::c_long = 16_000_000;

/// Whether the wall clock is disciplined by NTP or the like, as the kernel says. `STA_UNSYNC` is not asked:
/// chrony without `rtcsync` leaves it set on a clock that is right.
pub(in crate::io) fn clock_is_synchronised() -> io::Result<bool> {
    // SAFETY: all-zero bytes are a valid `timex`; zero modes only read.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes the one value that the pointer leads to.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(state.maxerror < ERROR_US_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How datagrams of these sizes are grouped; a negative size goes to another peer.
    fn trains(sizes: &[i32]) -> Vec<usize> {
        let mut trains: Vec<Train> = Vec::new();
        for size in sizes {
            let port = if *size < 0 { 5061 } else { 5060 };
            let to = Some(([127, 0, 0, 1], port).into());
            let size = usize::try_from(size.abs()).expect("a size");
            if !trains.last_mut().is_some_and(|train| train.takes(to, size)) {
                trains.push(Train::new(to, 0, size));
            }
        }
        trains.iter().map(|train| train.count).collect()
    }

    #[test]
    fn neighbours_of_one_size_to_one_peer_go_together() {
        let many = [500; 100];
        let large = [1400; 60];
        for (name, sizes, expected) in [
            ("alike", &[500, 500, 500][..], &[3][..]),
            ("a shorter one is the last", &[500, 400, 400], &[2, 1]),
            ("a longer one begins anew", &[400, 500, 500], &[1, 2]),
            ("another peer", &[500, -500, 500], &[1, 1, 1]),
            ("an empty one travels alone", &[500, 0, 500], &[1, 1, 1]),
            ("too large for a link", &[1401, 1401], &[1, 1]),
            ("as many as the kernel takes", &many, &[64, 36]),
            ("as much as an IP packet holds", &large, &[46, 14]),
        ] {
            assert_eq!(trains(sizes), expected, "{name}");
        }
    }
}
