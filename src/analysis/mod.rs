//! A capture explained: the calls in it as ladders, and one row of figures per RTP source.
//!
//! Pure: a capture in, an [`Analysis`] out. SIP that was seen says what each stream is; ports that the engineer names,
//! or the look of the packets, find the others. Only `vigie analyse` and tests use it.

mod beginning;
pub mod dialogs;
mod media;
mod messages;
mod privacy;
pub mod reports;
mod sources;
pub mod streams;

use crate::capture::Capture;
use crate::time::Utc;
use beginning::Beginning;
use dialogs::{Dialog, Dialogs};
use media::MediaMap;
use privacy::Privacy;
use sources::Sources;
use streams::Row;

/// What the engineer knows better than the packets.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// UDP ports whose packets are RTP, although no SIP says so.
    pub rtp_ports: Vec<u16>,
    /// Print telephone numbers in full; they are personal data.
    pub show_numbers: bool,
}

/// Everything that was understood of a capture.
#[derive(Debug)]
pub struct Analysis {
    pub dialogs: Vec<Dialog>,
    /// In the order of their first packet.
    pub streams: Vec<Row>,
}

/// Explains a capture.
#[must_use]
pub fn analyse(capture: &Capture<'_>, options: &Options) -> Analysis {
    let first = capture.pieces.iter().map(|piece| piece.at).min();
    let beginning = Beginning(first.unwrap_or(Utc(0)));
    let mut media = MediaMap::default();
    let privacy = Privacy {
        show_numbers: options.show_numbers,
    };
    let mut dialogs = Dialogs::new(beginning, privacy);
    for message in messages::of(capture) {
        dialogs.read(&message, &mut media);
    }
    let mut sources = Sources::new(beginning, &media, &options.rtp_ports);
    for piece in &capture.pieces {
        sources.read(piece);
    }
    let streams = sources.rows(&dialogs, privacy);
    Analysis {
        dialogs: dialogs.finish(&media, &streams),
        streams,
    }
}

#[cfg(test)]
mod tests;
