//! The far end of `two_way_calls`: answers every INVITE, sends all RTP back, and stamps it by the kernel.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use vigie::rtp::packet;
use vigie::rtp::{Content, Stream};
use vigie::time::Instant;

/// A few hundred milliseconds of a thousand calls.
const BUFFER: usize = 8 << 20;

pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    ending: Arc<AtomicBool>,
    heard: Arc<Mutex<BTreeMap<u32, Stream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// `first` runs on its thread before anything else.
    pub(crate) fn start(first: impl FnOnce() + Send + 'static) -> Self {
        let sip = bound();
        let address = sip.local_addr().expect("a bound socket");
        let ending = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(Mutex::new(BTreeMap::new()));
        let thread = std::thread::spawn({
            let (ending, heard) = (Arc::clone(&ending), Arc::clone(&heard));
            move || {
                first();
                answer_all(&sip, &bound(), &ending, &heard);
            }
        });
        Self {
            address,
            ending,
            heard,
            thread: Some(thread),
        }
    }

    /// Of the one stream it has heard, by the kernel's stamps.
    pub(crate) fn jitter(&self) -> String {
        let heard = self.heard.lock().expect("nobody panics while holding it");
        let mut streams = heard.values();
        match (streams.next(), streams.next()) {
            (Some(one), None) => {
                let jitter = one.figures().jitter;
                format!("{:.3}/{:.3} ms (mean/max)", jitter.mean_ms, jitter.max_ms)
            }
            _ => "(several streams)".to_owned(),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn bound() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.set_nonblocking(true).expect("a fresh socket");
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("kernel stamps");
    // Root may have more than the system allows.
    if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &BUFFER).expect("a buffer");
    }
    socket
}

fn answer_all(
    sip: &UdpSocket,
    rtp: &UdpSocket,
    ending: &AtomicBool,
    heard: &Mutex<BTreeMap<u32, Stream>>,
) {
    let rtp_port = rtp.local_addr().expect("a bound socket").port();
    let mut bytes = [0; 2048];
    while !ending.load(Ordering::Relaxed) {
        let mut either = [
            PollFd::new(sip.as_fd(), PollFlags::POLLIN),
            PollFd::new(rtp.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut either, PollTimeout::from(100_u8)).expect("to wait");
        while let Ok((length, from)) = sip.recv_from(&mut bytes) {
            if let Some(answer) = answer(&bytes[..length], from, rtp_port) {
                let _ = sip.send_to(answer.as_bytes(), from);
            }
        }
        while let Some((length, from, stamp)) = receive(rtp, &mut bytes) {
            if let Ok(packet) = packet::parse(&bytes[..length]) {
                let mut heard = heard.lock().expect("nobody panics while holding it");
                // The jitter of many is not asked for.
                if heard.len() < 2 || heard.contains_key(&packet.ssrc) {
                    heard
                        .entry(packet.ssrc)
                        .or_insert_with(|| Stream::new(packet.ssrc, 8000))
                        .hear(stamp, &packet, Content::Sound);
                }
            }
            // A source of its own (RFC 3550 §8.2), and else what came.
            bytes[8] ^= 0xFF;
            let _ = rtp.send_to(&bytes[..length], from);
        }
    }
}

fn receive(socket: &UdpSocket, bytes: &mut [u8]) -> Option<(usize, SocketAddr, Instant)> {
    let mut control = cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(bytes)];
    let message = recvmsg::<SockaddrIn>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )
    .ok()?;
    let from: SocketAddrV4 = message.address?.into();
    let stamp = message.cmsgs().ok()?.find_map(|control| {
        if let ControlMessageOwned::ScmTimestampns(stamp) = control {
            return Some(stamp);
        }
        None
    })?;
    let nanoseconds = stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec();
    Some((
        message.bytes,
        from.into(),
        Instant(nanoseconds.cast_unsigned()),
    ))
}

/// 200 to INVITE and BYE, with the address of the echo; nothing to ACK.
fn answer(message: &[u8], from: SocketAddr, rtp_port: u16) -> Option<String> {
    let text = std::str::from_utf8(message).ok()?;
    let method = text.split(' ').next()?;
    if method == "ACK" {
        return None;
    }
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    for line in text.lines().skip(1).take_while(|line| !line.is_empty()) {
        let name = line.split(':').next()?;
        match name {
            "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => {
                answer += &format!("{line}\r\n");
            }
            "To" if line.contains(";tag=") => answer += &format!("{line}\r\n"),
            "To" => answer += &format!("{line};tag=echo-{}\r\n", from.port()),
            _ => {}
        }
    }
    let body = if method == "INVITE" {
        format!(
            "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
             m=audio {rtp_port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
        )
    } else {
        String::new()
    };
    answer += &format!(
        "Contact: <sip:echo@{host}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Some(answer)
}
