//! The figures of a run, as many and as long as real ones are: what a fact weighs depends on them.

use vigie::probe::Measure;

pub(crate) fn measures(count: usize) -> Vec<Measure> {
    let names = [
        "answer_ms",
        "first_media_ms",
        "rtp_sent_packets",
        "rtp_received_packets",
        "own_send_late_p99_us",
        "own_receive_lag_p99_us",
        "echo_dbov",
        "mos_cq",
        "loss_percent",
        "loss_run",
        "discard_percent",
        "pdv_p99_ms",
        "jitter_ms",
        "audio_round_trip_ms",
        "greeting_delay_ms",
        "level_low_dbov",
        "clip_percent",
    ];
    names[..count]
        .iter()
        .map(|name| Measure {
            name: (*name).into(),
            value: 4.123_456 / 3.0,
        })
        .collect()
}
