use super::*;
use crate::audio::keypad as keys;
use crate::audio::tone;

const ZERO: Instant = Instant(10_000_000_000);

fn at(ms: u64) -> Instant {
    ZERO + Duration::from_millis(ms)
}

fn packet(ssrc: u32) -> Packet<'static> {
    Packet {
        marker: false,
        payload_type: 8,
        sequence_number: 0,
        timestamp: 0,
        ssrc,
        payload: &[],
    }
}

/// 20 ms, silent or loud.
fn sound(is_loud: bool) -> Vec<i16> {
    (0..160)
        .map(|n| if is_loud { tone::sample(n) } else { 0 })
        .collect()
}

fn hear(hearing: &mut Hearing, ms: u64, is_loud: bool) {
    hearing.sound(at(ms), Arrival::InOrder, &packet(1), &sound(is_loud));
}

/// Silence for half a second, and speech five seconds later: the sender paused, or nothing came.
#[test]
fn speech_after_a_pause_is_dated_by_its_arrival() {
    for (name, pauses, expected) in [
        ("none", &[(25, 0)][..], 500),
        ("one pause", &[(25, 5000)], 5500),
        ("a pause, and silence after it", &[(5, 5000), (20, 0)], 5500),
        (
            "many",
            &[(5, 1000), (5, 1000), (5, 1000), (5, 1000), (5, 1000)],
            5500,
        ),
        ("one packet lost", &[(24, 20), (0, 0)], 500),
        ("late packets", &[(10, 40), (15, 0)], 500),
    ] {
        let (mut hearing, mut ms) = (Hearing::default(), 0);
        for (packets, pause_ms) in pauses {
            for _ in 0..*packets {
                hear(&mut hearing, ms, false);
                ms += 20;
            }
            ms += pause_ms;
        }
        for _ in 0..50 {
            hear(&mut hearing, ms, true);
            ms += 20;
        }
        let found = hearing.first_speech().unwrap();
        let off = found.0.abs_diff(at(expected).0);
        assert!(off <= 40_000_000, "{name}: {found:?}");
    }
}

/// Held for half a second, then all at once: what follows comes when it should.
#[test]
fn speech_after_a_stall_is_not_dated_by_the_stall() {
    let mut hearing = Hearing::default();
    for n in 0..150_u64 {
        let held = if (25..50).contains(&n) { 1000 } else { n * 20 };
        hear(&mut hearing, held, n >= 100);
    }
    let found = hearing.first_speech().unwrap();
    assert!(found.0.abs_diff(at(2000).0) <= 100_000_000, "{found:?}");
}

#[test]
fn a_packet_is_heard_once_and_in_its_place() {
    for (arrival, packets, frames) in [
        (Arrival::InOrder, 2, 2),
        (Arrival::Restarted, 2, 2),
        (Arrival::Duplicate, 1, 1),
        (Arrival::Reordered, 2, 1),
        (Arrival::Stray, 2, 1),
    ] {
        let mut hearing = Hearing::default();
        hear(&mut hearing, 0, true);
        hearing.sound(at(20), arrival, &packet(1), &sound(true));
        assert_eq!(hearing.packets.sound, packets, "{arrival:?}");
        assert_eq!(hearing.levels().unwrap().frames, frames, "{arrival:?}");
    }
    let mut hearing = Hearing::default();
    for arrival in [Arrival::InOrder, Arrival::Duplicate] {
        hearing.comfort_noise(at(0), arrival, &packet(1));
        hearing.event(at(0), arrival, &packet(1));
    }
    let once = Packets {
        sound: 0,
        comfort_noise: 1,
        events: 1,
    };
    assert_eq!(hearing.packets, once);
}

#[test]
fn a_hole_is_one_that_nobody_announced() {
    type Before = fn(&mut Hearing);
    let comfort_noise: Before =
        |hearing| hearing.comfort_noise(at(20), Arrival::InOrder, &packet(1));
    let nothing: Before = |_| {};
    for (name, before, wait, marker, expected) in [
        ("a second", nothing, 1000, false, 0),
        ("more", nothing, 1001, false, 1001),
        ("a new talkspurt", nothing, 4000, true, 0),
        ("after comfort noise", comfort_noise, 4000, false, 0),
    ] {
        let mut hearing = Hearing::default();
        hear(&mut hearing, 0, true);
        before(&mut hearing);
        let last = hearing.moments.last_packet.unwrap();
        let next = Packet {
            marker,
            ..packet(1)
        };
        let then = last + Duration::from_millis(wait);
        hearing.sound(then, Arrival::InOrder, &next, &sound(true));
        let signs = hearing.signs(at(0), then, HeardBack::Unknown);
        assert_eq!(signs.longest_hole.as_millis(), expected, "{name}");
    }
}

#[test]
fn what_was_missing_before_the_answer_is_no_hole() {
    let mut hearing = Hearing::default();
    for ms in [0, 3000, 4500] {
        hear(&mut hearing, ms, true);
    }
    for (from, to, expected) in [(0, 5000, 3000), (2900, 5000, 1500), (3000, 3200, 200)] {
        let signs = hearing.signs(at(from), at(to), HeardBack::Unknown);
        assert_eq!(signs.longest_hole.as_millis(), expected, "{from}");
    }
    for n in 0..100 {
        hear(&mut hearing, 10_000 + n * 2000, true);
    }
    let signs = hearing.signs(at(0), at(300_000), HeardBack::Unknown);
    assert_eq!(signs.longest_hole.as_millis(), 5500);
}

/// A call that moves leaves its first source; one that comes back beside the second is a second at once.
#[test]
fn two_sources_at_once_are_counted_and_one_is_heard() {
    for (name, sources, second) in [
        ("one", &[(1, 100)][..], 0),
        ("it moves", &[(1, 100), (2, 100)], 0),
        (
            "it moves, and its last comes late",
            &[(1, 100), (2, 3), (1, 2), (2, 100)],
            2,
        ),
        ("it moves back", &[(1, 100), (2, 100), (1, 100)], 10),
    ] {
        let (mut hearing, mut ms) = (Hearing::default(), 0);
        for (ssrc, packets) in sources {
            for _ in 0..*packets {
                hearing.sound(at(ms), Arrival::InOrder, &packet(*ssrc), &sound(true));
                ms += 20;
            }
        }
        assert_eq!(hearing.second_source(), second, "{name}");
    }
    let mut hearing = Hearing::default();
    for n in 0..100 {
        for ssrc in [1, 2] {
            hearing.sound(at(n * 20), Arrival::InOrder, &packet(ssrc), &sound(true));
        }
    }
    assert_eq!(hearing.second_source(), 99);
    assert_eq!(hearing.levels().unwrap().frames, 101);
}

#[test]
fn digits_without_end_fill_no_memory() {
    let mut hearing = Hearing::default();
    let tones = keys::tones("1", 40, 40, -16.0).unwrap();
    for n in 0..1000_u32 {
        let event = dtmf::Event {
            code: 1,
            end: true,
            volume: 10,
            duration: 800,
        };
        let packet = Packet {
            timestamp: n * 1600,
            payload: &event.to_bytes(),
            ..packet(1)
        };
        hearing.event(at(n.into()), Arrival::InOrder, &packet);
        hearing.sound(at(n.into()), Arrival::InOrder, &packet, &tones);
    }
    assert_eq!((hearing.digits().len(), hearing.tones().len()), (256, 256));
}
