//! What the kernel writes beside a datagram: receive stamp, drop counter, ICMP errors, addresses.
//!
//! Plain reading of bytes, without a socket. `kernel` fetches the bytes, `udp` uses what they say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::time::Utc;

/// The control messages of one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::io) struct Ancillary {
    /// When the kernel received it (`SO_TIMESTAMPNS`).
    pub(in crate::io) received: Option<Utc>,
    /// Datagrams that this socket dropped since it was opened, for want of room (`SO_RXQ_OVFL`).
    pub(in crate::io) dropped: Option<u32>,
    /// Why a datagram of ours did not arrive (`IP_RECVERR`).
    pub(super) error: Option<ExtendedError>,
}

/// One entry of a socket's error queue (`struct sock_extended_err`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExtendedError {
    pub(super) errno: i32,
    pub(super) from_network: bool,
    /// The router or host that said it.
    pub(super) offender: Option<IpAddr>,
}

/// Alignment and size of `struct cmsghdr`: a length of one word, then level and type.
const WORD: usize = size_of::<usize>();
const HEADER: usize = WORD + 8;

impl Ancillary {
    pub(super) fn read(mut control: &[u8]) -> Self {
        let mut seen = Self::default();
        while let Some((level, kind, data, rest)) = next(control) {
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => seen.received = timestamp(data),
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => seen.dropped = number(data, 0),
                (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                    seen.error = extended_error(data);
                }
                _ => {}
            }
            control = rest;
        }
        seen
    }
}

fn next(control: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let len = usize::from_ne_bytes(control.get(..WORD)?.try_into().ok()?);
    let level = i32::from_ne_bytes(control.get(WORD..WORD + 4)?.try_into().ok()?);
    let kind = i32::from_ne_bytes(control.get(WORD + 4..HEADER)?.try_into().ok()?);
    let data = control.get(HEADER..len)?;
    let rest = control.get(len.next_multiple_of(WORD)..).unwrap_or(&[]);
    Some((level, kind, data, rest))
}

fn timestamp(data: &[u8]) -> Option<Utc> {
    let seconds = i64::from_ne_bytes(data.get(..8)?.try_into().ok()?);
    let nanoseconds = i64::from_ne_bytes(data.get(8..16)?.try_into().ok()?);
    Some(Utc(seconds
        .checked_mul(1_000_000_000)?
        .checked_add(nanoseconds)?))
}

fn number(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

fn extended_error(data: &[u8]) -> Option<ExtendedError> {
    const SIZE: usize = 16;
    let errno = i32::try_from(number(data, 0)?).ok()?;
    let origin = *data.get(4)?;
    Some(ExtendedError {
        errno,
        from_network: origin == libc::SO_EE_ORIGIN_ICMP || origin == libc::SO_EE_ORIGIN_ICMP6,
        offender: data
            .get(SIZE..)
            .and_then(socket_address)
            .map(|address| address.ip()),
    })
}

/// Writes the control message that says where the kernel cuts joined datagrams apart (`UDP_SEGMENT`),
/// into zeroed bytes; says how long it is.
pub(super) fn write_segment_size(size: usize, bytes: &mut [u8; 24]) -> usize {
    let size = u16::try_from(size).expect("a datagram that is joined fits a link");
    let len = HEADER + size_of::<u16>();
    bytes[..WORD].copy_from_slice(&len.to_ne_bytes());
    bytes[WORD..WORD + 4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
    bytes[WORD + 4..HEADER].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
    bytes[HEADER..len].copy_from_slice(&size.to_ne_bytes());
    len.next_multiple_of(WORD)
}

/// Reads a `sockaddr_in` or `sockaddr_in6`.
pub(super) fn socket_address(bytes: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    match family {
        libc::AF_INET => {
            let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some((Ipv4Addr::from(octets), port).into())
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some((Ipv6Addr::from(octets), port).into())
        }
        _ => None,
    }
}

/// Writes a `sockaddr_in` or `sockaddr_in6` into zeroed bytes; says how long it is.
pub(super) fn write_socket_address(address: SocketAddr, bytes: &mut [u8; 28]) -> u32 {
    let family = match address {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    let family = u16::try_from(family).expect("address families are small");
    bytes[..2].copy_from_slice(&family.to_ne_bytes());
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            bytes[4..8].copy_from_slice(&v4.ip().octets());
            16
        }
        SocketAddr::V6(v6) => {
            bytes[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            28
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        bytes
    }

    #[test]
    fn stamp_and_drops_are_read_in_any_order() {
        let mut time = 7_i64.to_ne_bytes().to_vec();
        time.extend(9_i64.to_ne_bytes());
        let stamp = control(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time);
        let drops = control(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &3_u32.to_ne_bytes());
        let expected = Ancillary {
            received: Some(Utc(7_000_000_009)),
            dropped: Some(3),
            error: None,
        };
        assert_eq!(Ancillary::read(&[&stamp[..], &drops].concat()), expected);
        assert_eq!(Ancillary::read(&[&drops[..], &stamp].concat()), expected);
    }

    #[test]
    fn an_icmp_error_names_who_said_it() {
        let mut error = 111_u32.to_ne_bytes().to_vec();
        error.extend([libc::SO_EE_ORIGIN_ICMP, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut offender = [0; 28];
        write_socket_address(([127, 0, 0, 9], 0).into(), &mut offender);
        error.extend(&offender[..16]);
        let read = Ancillary::read(&control(libc::IPPROTO_IP, libc::IP_RECVERR, &error));
        assert_eq!(
            read.error,
            Some(ExtendedError {
                errno: 111,
                from_network: true,
                offender: Some([127, 0, 0, 9].into()),
            })
        );
    }

    #[test]
    fn a_segment_size_is_one_control_message() {
        let mut bytes = [0; 24];
        let len = write_segment_size(1400, &mut bytes);
        assert_eq!(len, 24);
        let (level, kind, data, rest) = next(&bytes[..len]).expect("a whole message");
        assert_eq!((level, kind), (libc::SOL_UDP, libc::UDP_SEGMENT));
        assert_eq!((data, rest), (&1400_u16.to_ne_bytes()[..], &[][..]));
    }

    #[test]
    fn addresses_come_back_as_they_went() {
        for text in ["127.0.1.10:5060", "[::1]:5061", "[fe80::1]:65535"] {
            let address: SocketAddr = text.parse().expect(text);
            let mut bytes = [0; 28];
            write_socket_address(address, &mut bytes);
            assert_eq!(socket_address(&bytes), Some(address), "{text}");
        }
        assert_eq!(socket_address(&[0; 28]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reading_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Ancillary::read(&bytes);
            let _ = socket_address(&bytes);
        }
    }
}
