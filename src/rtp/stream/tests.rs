//! Streams whose truth is known. What is expected of jitter and delta is what tshark 4.0.17 prints for a
//! capture of the same packets (`-d udp.port==…,rtp -z rtp,streams`).

use proptest::prelude::*;

use super::*;
use crate::rtp::loss::GMIN;

const MS: u64 = 1_000_000;

/// A packet as a capture shows it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: u64,
    marker: bool,
    payload_type: u8,
    sequence_number: u16,
    timestamp: u32,
}

fn seen(n: u32) -> Seen {
    Seen {
        at: u64::from(n) * 20 * MS,
        marker: false,
        payload_type: 8,
        sequence_number: u16::try_from(1000 + n).unwrap(),
        timestamp: 160 * n,
    }
}

fn clean(count: u32) -> Vec<Seen> {
    (0..count).map(seen).collect()
}

/// A clean stream of which each packet is changed.
fn with(count: u32, mut change: impl FnMut(u32, &mut Seen)) -> Vec<Seen> {
    let mut packets = clean(count);
    for (n, packet) in (0..).zip(&mut packets) {
        change(n, packet);
    }
    packets
}

fn without(count: u32, lost: impl Fn(u32) -> bool) -> Vec<Seen> {
    (0..count).filter(|n| !lost(*n)).map(seen).collect()
}

fn hear(packets: &[Seen]) -> Stream {
    let mut stream = Stream::new(7, 8000);
    for packet in packets {
        let content = match packet.payload_type {
            13 => Content::ComfortNoise,
            101 => Content::Event,
            _ => Content::Sound,
        };
        let header = Packet {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence_number: packet.sequence_number,
            timestamp: packet.timestamp,
            ssrc: 7,
            payload: &[],
        };
        stream.hear(Instant(packet.at), &header, content);
    }
    stream
}

fn figures(packets: &[Seen]) -> Figures {
    hear(packets).figures()
}

/// Lost by a Gilbert-Elliott channel (p 0.02, r 0.4): first packet and length of each run.
const CHANNEL: [(u32, u32); 17] = [
    (19, 3),
    (100, 4),
    (124, 1),
    (126, 4),
    (269, 2),
    (290, 3),
    (297, 1),
    (368, 6),
    (394, 1),
    (427, 3),
    (481, 1),
    (518, 3),
    (598, 2),
    (637, 2),
    (684, 3),
    (882, 4),
    (956, 8),
];

fn lost_by_channel(n: u32) -> bool {
    CHANNEL
        .iter()
        .any(|(first, length)| (*first..first + length).contains(&n))
}

/// Name, packets, then what tshark prints: packets and lost; delta and jitter, each least, mean, most.
type Capture = (&'static str, Vec<Seen>, (u64, i64), [f64; 3], [f64; 3]);

fn captures() -> Vec<Capture> {
    let mut swapped = clean(500);
    swapped.swap(100, 101);
    (swapped[100].at, swapped[101].at) = (2000 * MS, 2020 * MS);
    let mut doubled = clean(500);
    doubled.insert(201, doubled[200]);
    doubled[201].at += MS;
    let same = [20.0; 3];
    let none = [0.0; 3];
    vec![
        ("clean", clean(500), (500, 0), same, none),
        (
            "alternating",
            with(500, |n, p| p.at += u64::from(n % 2) * 5 * MS),
            (500, 0),
            [15.0, 20.010, 25.0],
            [0.312, 4.850, 5.0],
        ),
        (
            "a step",
            with(500, |n, p| p.at += u64::from(n >= 250) * 40 * MS),
            (500, 0),
            [20.0, 20.080, 60.0],
            [0.0, 0.080, 2.5],
        ),
        (
            "one late",
            with(500, |n, p| p.at += u64::from(n == 250) * 15 * MS),
            (500, 0),
            [5.0, 20.0, 35.0],
            [0.0, 0.060, 1.816],
        ),
        (
            "bursty loss",
            without(1000, lost_by_channel),
            (949, 51),
            [20.0, 21.076, 180.0],
            none,
        ),
        ("swapped", swapped, (500, 0), same, [0.0, 0.160, 4.692]),
        (
            "numbers wrap",
            with(500, |n, p| {
                p.sequence_number = 65_300_u16.wrapping_add(u16::try_from(n).unwrap());
            }),
            (500, 0),
            same,
            none,
        ),
        (
            "doubled",
            doubled,
            (501, -1),
            [1.0, 19.960, 20.0],
            [0.0, 0.004, 0.121],
        ),
        (
            "a slow clock",
            with(500, |n, p| p.at = u64::from(n) * 20_004_000),
            (500, 0),
            [20.004; 3],
            [0.0, 0.004, 0.004],
        ),
        (
            "a pause and a marker",
            with(500, |n, p| {
                p.at += u64::from(n >= 250) * 1000 * MS;
                p.timestamp += u32::from(n >= 250) * 8000;
                p.marker = n == 250;
            }),
            (500, 0),
            same,
            none,
        ),
        (
            "a jump of the timestamp",
            with(500, |n, p| p.timestamp += u32::from(n >= 250) * 80_000),
            (500, 0),
            same,
            [0.0, 20.040, 625.0],
        ),
        (
            "uniform jitter",
            with(500, |n, p| p.at += u64::from(n * 7919 % 1000) * MS / 100),
            (500, 0),
            [19.190, 20.012, 29.190],
            [0.574, 1.453, 1.775],
        ),
        (
            "another payload type",
            with(500, |n, p| p.payload_type = if n < 250 { 8 } else { 0 }),
            (500, 0),
            same,
            none,
        ),
        (
            "head and tail lost",
            without(500, |n| !(10..490).contains(&n)),
            (480, 0),
            same,
            none,
        ),
        (
            "comfort noise once",
            with(500, |n, p| {
                p.at += u64::from(n == 251) * 7 * MS;
                p.payload_type = if n == 250 { 13 } else { 8 };
            }),
            (500, 0),
            [13.0, 19.986, 20.0],
            [0.0, 0.027, 0.848],
        ),
        (
            "pauses with comfort noise",
            pauses(),
            (124, 0),
            [17.0, 20.0, 23.0],
            [0.0, 0.187, 0.420],
        ),
        (
            "older than the first",
            with(500, |n, p| {
                p.timestamp = if n == 300 {
                    0_u32.wrapping_sub(160)
                } else {
                    p.timestamp
                };
            }),
            (500, 0),
            [20.0, 20.040, 40.0],
            none,
        ),
    ]
}

/// 600 ms of speech in each second; its eighth packet comes 3 ms late.
fn pauses() -> Vec<Seen> {
    let mut sent = 0_u16;
    let mut packets = with(200, |n, p| {
        let place = n % 50;
        p.at += u64::from(place == 7) * 3 * MS;
        p.marker = place == 0 && n > 0;
        p.payload_type = if place == 30 { 13 } else { 8 };
        p.sequence_number = 5 + sent;
        sent += u16::from(place <= 30);
    });
    packets.retain(|p| p.timestamp / 160 % 50 <= 30);
    packets
}

#[track_caller]
fn near(name: &str, actual: Range, expected: [f64; 3]) {
    let actual = [actual.min_ms, actual.mean_ms, actual.max_ms];
    let off = actual
        .iter()
        .zip(expected)
        .any(|(a, e)| (a - e).abs() > 0.000_501);
    assert!(!off, "{name}: {actual:?}, not {expected:?}");
}

#[test]
fn captures_read_as_tshark_reads_them() {
    for (name, packets, counted, delta, jitter) in captures() {
        let figures = figures(&packets);
        let counts = figures.counts;
        assert_eq!((counts.packets, counts.lost), counted, "{name}");
        near(name, figures.delta, delta);
        near(name, figures.jitter, jitter);
    }
}

#[test]
fn what_a_capture_reader_does_not_tell() {
    let by_name = |wanted| {
        let mut captures = captures().into_iter();
        figures(&captures.find(|capture| capture.0 == wanted).unwrap().1)
    };
    let pause = by_name("a pause and a marker");
    assert!((pause.longest_wait_ms - 1020.0).abs() < 1e-9);
    assert_eq!(pause.jumps, Jumps::default());
    assert_eq!(pause.pdv, Some(Pdv::default()));

    let jump = by_name("a jump of the timestamp");
    assert_eq!((jump.jumps.timestamp, jump.pdv), (1, Some(Pdv::default())));
    assert!(jump.jitter_last_ms < 1e-9, "a new clock is not jitter");

    let types = by_name("another payload type");
    assert_eq!(
        (types.payload_types, types.jumps.payload_type),
        (vec![8, 0], 1)
    );
    let noise = by_name("pauses with comfort noise");
    assert_eq!(
        (noise.payload_types, noise.jumps),
        (vec![8, 13], Jumps::default())
    );

    let doubled = by_name("doubled");
    assert_eq!((doubled.counts.duplicates, doubled.counts.missing), (1, 0));
    assert_eq!(by_name("swapped").counts.reordered, 1);

    // The step lasts to the end of its ten seconds, and the mean jitter hardly saw it. Half of the packets come
    // before it: nearest rank takes the last of these.
    let step = by_name("a step").pdv.unwrap();
    assert_eq!(
        (step.p50_ms, step.p95_ms, step.p99_ms, step.max_ms),
        (0.0, 40.0, 40.0, 40.0)
    );

    assert_eq!(by_name("a slow clock").skew_ppm, None, "ten seconds");
    let slow = with(2000, |n, p| p.at = u64::from(n) * 20_004_000);
    assert!((figures(&slow).skew_ppm.unwrap() - 200.0).abs() < 0.1);
    assert_eq!(by_name("clean").ptime_ms, Some(20.0));
}

#[test]
fn a_held_back_second_is_delay_and_no_new_clock() {
    let stall = with(1000, |n, p| {
        let released = 20 * MS * 400;
        if (300..400).contains(&n) {
            p.at = released + u64::from(n) * MS / 100;
        }
    });
    let figures = figures(&stall);
    assert_eq!(figures.jumps, Jumps::default());
    let pdv = figures.pdv.unwrap();
    assert!((pdv.max_ms - 2003.0).abs() < 1e-6, "{pdv:?}");
    // Number 390 had waited 200 ms in the queue and 3.9 ms in the burst.
    assert_eq!(figures.playout[1].discarded, 91);
}

#[test]
fn events_count_as_packets_and_move_no_jitter() {
    let packets = with(200, |n, p| {
        if (50..60).contains(&n) {
            (p.payload_type, p.timestamp) = (101, 50 * 160);
        }
    });
    let figures = figures(&packets);
    assert_eq!((figures.counts.packets, figures.counts.lost), (200, 0));
    assert_eq!(figures.jitter, Range::default());
    assert_eq!(
        (figures.pdv, figures.jumps),
        (Some(Pdv::default()), Jumps::default())
    );
}

#[test]
fn losses_stand_together_as_the_clause_says() {
    // Bursts; their density and the gaps', in 1/256; mean burst in ms; BurstR.
    type Case = (&'static str, fn(u32) -> bool, (u64, f64, f64, f64), f64);
    let cases: [Case; 4] = [
        ("every 50th", |n| n % 50 == 25, (0, 0.0, 5.12, 0.0), 1.0),
        (
            "three near and one far",
            |n| [100, 101, 105, 500].contains(&n),
            (1, 128.0, 0.26, 120.0),
            1.3280,
        ),
        (
            "two runs",
            |n| (200..210).contains(&n) || (600..605).contains(&n),
            (2, 256.0, 0.0, 150.0),
            7.3875,
        ),
        (
            "a channel",
            lost_by_channel,
            (13, 232.30, 0.54, 83.08),
            2.8470,
        ),
    ];
    for (name, lost, (bursts, burst, gap, burst_ms), burst_r) in cases {
        let figures = figures(&without(1000, lost));
        let found = figures.burst;
        let in_256 = |percent: f64| percent * 2.56;
        assert_eq!(found.bursts, bursts, "{name}");
        for (what, actual, expected) in [
            ("burst", in_256(found.burst_density_percent), burst),
            ("gap", in_256(found.gap_density_percent), gap),
            ("ms", found.burst_ms, burst_ms),
        ] {
            assert!((actual - expected).abs() < 0.05, "{name}, {what}: {actual}");
        }
        assert!(
            (figures.burst_r - burst_r).abs() < 1e-4,
            "{name}: {}",
            figures.burst_r
        );
    }
}

#[test]
fn runs_are_told_by_length() {
    let runs = figures(&without(1000, lost_by_channel)).loss_runs;
    assert_eq!((runs.runs, runs.longest), (17, 8));
    let histogram: Vec<(u64, u64)> = runs.histogram.into_iter().collect();
    assert_eq!(histogram, [(1, 4), (2, 3), (3, 5), (4, 3), (6, 1), (8, 1)]);
}

/// A stream of 1500 packets with the transit of each, in microseconds.
fn delayed(transit_us: impl Fn(u32) -> u32) -> Vec<Seen> {
    let mut packets = with(1500, |n, p| p.at += u64::from(transit_us(n)) * 1000);
    packets.sort_by_key(|p| p.at);
    packets
}

#[test]
fn buffers_of_three_kinds_on_known_delays() {
    let spread = |most_us| move |n: u32| n * 7919 % 1000 * most_us / 1000;
    let stall = |n: u32| match n % 250 {
        k @ 100..=105 => 120_000 - 20_000 * (k - 100),
        _ => 0,
    };
    // Of no use to each buffer, and the BurstR of the first.
    let cases = [
        ("10 ms", delayed(spread(10_000)), [0, 0, 0], 1.0),
        ("80 ms", delayed(spread(80_000)), [563, 0, 3], 2.883),
        (
            "250 ms",
            delayed(spread(250_000)),
            [1198, 298, 14],
            f64::NAN,
        ),
        ("stalls", delayed(stall), [24, 0, 14], 3.936),
        (
            "every 20th lost",
            without(1500, |n| n % 20 == 10),
            [75, 75, 75],
            1.0,
        ),
        (
            "ten lost of 300",
            without(1500, |n| (100..110).contains(&(n % 300))),
            [50, 50, 50],
            9.667,
        ),
    ];
    for (name, packets, expected, burst_r) in cases {
        let playout = figures(&packets).playout;
        let useless = playout.map(|buffer| buffer.lost + buffer.discarded);
        assert_eq!(useless, expected, "{name}");
        let found = playout[0].burst_r;
        assert!(
            burst_r.is_nan() || (found - burst_r).abs() < 1e-3,
            "{name}: {found}"
        );
    }
}

#[test]
fn a_buffer_begins_anew_when_it_plays_nothing() {
    let step = with(500, |n, p| p.at += u64::from(n >= 100) * 300 * MS);
    let playout = figures(&step).playout;
    assert_eq!((playout[0].discarded, playout[1].discarded), (50, 50));
}

#[test]
fn a_slow_first_packet_is_paid_for_but_spoils_nothing() {
    for late_ms in [0_u32, 40, 100, 120, 250, 500] {
        // Those behind it wait in the same queue.
        let packets = with(1500, |_, p| p.at = p.at.max(u64::from(late_ms) * MS));
        let [fixed_50, fixed_200, adaptive] = figures(&packets).playout;
        let late_ms = f64::from(late_ms);
        for (fixed, depth_ms) in [(fixed_50, 50.0), (fixed_200, 200.0)] {
            assert!(
                (fixed.nominal_ms - depth_ms - late_ms).abs() < 0.5,
                "{late_ms}: {fixed:?}"
            );
        }
        // It shrinks again, a frame each half a second.
        assert!(
            adaptive.nominal_ms >= 40.0 && adaptive.nominal_ms < 80.0 + late_ms / 2.0,
            "{late_ms}: {adaptive:?}"
        );
        assert!(adaptive.loss_percent < 1.7, "{late_ms}: {adaptive:?}");
    }
}

#[test]
fn an_adaptive_buffer_follows_a_longer_way_and_a_drifting_clock() {
    let step = with(1500, |n, p| p.at += u64::from(n >= 500) * 700 * MS);
    let playout = figures(&step).playout;
    assert_eq!(playout.map(|buffer| buffer.discarded), [50, 50, 50]);

    for ppm in [150_i64, -150] {
        let mut stream = Stream::new(7, 8000);
        for n in 0..180_000_u32 {
            let at = i64::from(n) * (20_000_000 + ppm * 20) + 60_000_000_000;
            let packet = Packet {
                marker: false,
                payload_type: 8,
                sequence_number: u16::try_from(n % 65_536).unwrap(),
                timestamp: n * 160,
                ssrc: 7,
                payload: &[],
            };
            stream.hear(Instant(at.cast_unsigned()), &packet, Content::Sound);
        }
        let [.., adaptive] = stream.figures().playout;
        assert!(adaptive.loss_percent < 0.1, "{ppm}: {adaptive:?}");
        assert!(
            (20.0..=90.0).contains(&adaptive.nominal_ms),
            "{ppm}: {adaptive:?}"
        );
    }
}

#[test]
fn a_pause_of_the_sender_is_not_blamed_on_the_network() {
    // Asterisk waits, then plays: sequence numbers and timestamps go on as if nothing had been.
    for (pause_ms, marker, jumps) in [
        (700, true, 1),
        (5000, true, 1),
        (5000, false, 1),
        (70_000, false, 1),
        (700, false, 0),
    ] {
        let paused = with(1500, |n, p| {
            p.at += u64::from(n >= 500) * pause_ms * MS + u64::from(n % 5) * MS;
            p.marker = marker && n == 500;
        });
        let figures = figures(&paused);
        let name = format!("{pause_ms} ms, marker {marker}: {:?}", figures.playout[2]);
        assert_eq!(figures.jumps.timestamp, jumps, "{name}");
        if jumps == 1 {
            assert_eq!(
                figures.playout.map(|buffer| buffer.discarded),
                [0; 3],
                "{name}"
            );
            assert!(figures.pdv.unwrap().max_ms < 5.0, "{name}");
        }
    }
}

#[test]
fn a_restart_of_the_numbers_is_a_jump_and_no_loss() {
    let restarted = with(200, |n, p| {
        p.sequence_number += u16::from(n >= 100) * 30_000;
        p.timestamp += u32::from(n >= 100) * 1_000_000;
        p.at += u64::from(n == 0) * 3 * MS;
    });
    let figures = figures(&restarted);
    assert_eq!(figures.jumps.timestamp, 1);
    assert!((figures.pdv.unwrap().max_ms - 3.0).abs() < 1e-6);
    assert_eq!((figures.jumps.sequence, figures.counts.missing), (1, 0));
    assert_eq!(
        (figures.loss_runs.runs, figures.burst.gap_packets),
        (0, 200)
    );
}

#[test]
fn a_packet_overtaken_by_a_jump_of_the_timestamp_has_no_transit() {
    let mut packets = with(500, |n, p| p.timestamp += u32::from(n >= 250) * 80_000);
    // The last of the old clock comes 30 ms late, behind the first of the new.
    packets[249].at += 30 * MS;
    packets.sort_by_key(|p| p.at);
    let figures = figures(&packets);
    assert_eq!((figures.jumps.timestamp, figures.counts.reordered), (1, 1));
    assert_eq!(figures.pdv, Some(Pdv::default()));
    assert_eq!(figures.playout.map(|buffer| buffer.discarded), [0; 3]);
}

#[test]
fn another_clock_rate_is_another_clock() {
    let mut stream = Stream::new(7, 8000);
    let mut timestamp = 0;
    for n in 0..3000_u16 {
        let (payload_type, rate) = if n < 1000 { (8, 8000) } else { (111, 48_000) };
        stream.tick(rate);
        timestamp += rate / 50;
        let packet = Packet {
            marker: false,
            payload_type,
            sequence_number: n,
            timestamp,
            ssrc: 7,
            payload: &[],
        };
        stream.hear(Instant(u64::from(n) * 20 * MS), &packet, Content::Sound);
    }
    let figures = stream.figures();
    assert_eq!(figures.pdv, Some(Pdv::default()));
    assert!(figures.jitter_last_ms < 1e-9);
    assert_eq!(
        (figures.ptime_ms, figures.skew_ppm),
        (Some(20.0), Some(0.0))
    );
    assert_eq!(
        (figures.jumps.payload_type, figures.jumps.timestamp),
        (1, 0)
    );
}

#[test]
fn forged_stamps_end_in_figures() {
    let forged = [
        0,
        u64::MAX,
        u64::MAX / 2,
        1 << 63,
        u64::MAX / 2 - 20_000_000,
        1,
    ];
    let stamps = forged
        .iter()
        .cycle()
        .zip([0, 1, u32::MAX, 1 << 31, 160])
        .cycle();
    let mut packets = clean(120);
    for (packet, (at, timestamp)) in packets.iter_mut().zip(stamps) {
        (packet.at, packet.timestamp) = (*at, timestamp);
    }
    for packets in [&packets[..], &packets[1..2], &packets[1..4]] {
        assert!(figures(packets).counts.packets > 0);
    }
}

#[test]
fn another_sender_on_the_same_source_spoils_no_figure() {
    let mut packets = clean(300);
    for n in (0..300).rev() {
        let mut other = packets[n];
        other.at += 7 * MS;
        other.sequence_number += 30_000;
        other.timestamp = other.timestamp.wrapping_mul(7) ^ 0x5555_5555;
        packets.insert(n + 1, other);
    }
    let both = figures(&packets);
    assert_eq!(
        both.counts,
        Counts {
            strays: 300,
            ..figures(&clean(300)).counts
        }
    );
    assert_eq!(
        (both.jitter, both.delta),
        (Range::default(), figures(&clean(300)).delta)
    );
}

#[test]
fn a_stream_without_packets_has_figures() {
    let figures = figures(&[]);
    assert_eq!((figures.counts, figures.pdv), (Counts::default(), None));
    let told = serde_json::to_value(&figures).unwrap();
    assert_eq!(told["packets"], 0);
}

#[test]
fn a_line_of_the_log_is_as_long_as_promised() {
    assert_eq!(size_of::<Heard>(), 24);
}

proptest! {
    /// Each packet is lost (0), doubled (1) or delivered, up to 100 packets late; the two ends arrive.
    #[test]
    fn counts_sum_up_whatever_the_network_does(
        fate in prop::collection::vec((0_u8..6, 0_u64..2000, 0_u64..2000), 20..300),
    ) {
        let last = fate.len() - 1;
        let mut packets = Vec::new();
        let mut lost = 0;
        for (n, (fate, late_ms, again_ms)) in fate.iter().enumerate() {
            let mut packet = seen(u32::try_from(n).unwrap());
            packet.at += late_ms * MS;
            let again = Seen { at: packet.at - late_ms * MS + again_ms * MS, ..packet };
            match fate {
                0 if n != 0 && n != last => lost += 1,
                1 => packets.extend([packet, again]),
                _ => packets.push(packet),
            }
        }
        let in_order = figures(&packets);
        packets.sort_by_key(|p| p.at);
        let shuffled = figures(&packets);
        for figures in [&in_order, &shuffled] {
            let Counts { packets: heard, expected, missing, duplicates, .. } = figures.counts;
            prop_assert_eq!(missing, lost);
            prop_assert_eq!(expected, fate.len() as u64);
            prop_assert_eq!(heard + missing, expected + duplicates);
            let burst = figures.burst;
            prop_assert_eq!(burst.burst_packets + burst.gap_packets, expected);
            for playout in &figures.playout {
                prop_assert_eq!(playout.lost, lost);
                let burst = playout.burst;
                prop_assert_eq!(burst.burst_packets + burst.gap_packets, expected);
            }
            let runs: u64 = figures.loss_runs.histogram.iter().map(|(length, n)| length * n).sum();
            prop_assert_eq!(runs, lost);
        }
        prop_assert_eq!(&in_order.loss_runs, &shuffled.loss_runs);
        prop_assert_eq!(in_order.burst, shuffled.burst);
    }

    /// A burst begins and ends with a loss, and no `GMIN` good packets stand inside.
    #[test]
    fn bursts_are_those_of_the_definition(lost in prop::collection::vec(0_u8..12, 20..400)) {
        let bad = |n: usize| n != 0 && n != lost.len() - 1 && lost[n] == 0;
        let places: Vec<usize> = (0..lost.len()).filter(|n| bad(*n)).collect();
        let near = |a: usize, b: usize| b - a <= usize::from(GMIN);
        let bursts: Vec<&[usize]> =
            places.chunk_by(|a, b| near(*a, *b)).filter(|group| group.len() > 1).collect();
        let inside: usize = bursts.iter().map(|group| group[group.len() - 1] - group[0] + 1).sum();
        let figures = figures(&without(u32::try_from(lost.len()).unwrap(), |n| bad(n as usize)));
        prop_assert_eq!(figures.burst.bursts, bursts.len() as u64);
        prop_assert_eq!(figures.burst.burst_packets, inside as u64);
    }
}
