//! A capture explained: the calls in it as ladders, and one row of figures per RTP source.
//!
//! Pure: a capture in, an [`Analysis`] out. SIP that was seen says what each stream is; ports that the engineer names,
//! or the look of the packets, find the others. Only `vigie analyse` and tests use it.

pub mod dialogs;
mod media;
mod messages;
mod privacy;
pub mod reports;
mod sources;
pub mod streams;

use crate::capture::Capture;
use crate::time::Utc;
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
    /// The first moment of the capture; times are told from it.
    pub began: Utc,
}

/// Explains a capture.
#[must_use]
pub fn analyse(capture: &Capture<'_>, options: &Options) -> Analysis {
    let began = capture.pieces.iter().map(|piece| piece.at).min();
    let began = began.unwrap_or(Utc(0));
    let messages = messages::of(capture);
    let mut media = MediaMap::default();
    let privacy = Privacy {
        show_numbers: options.show_numbers,
    };
    let mut dialogs = Dialogs::new(began, privacy);
    for message in &messages {
        dialogs.read(message, &mut media);
    }
    let mut sources = Sources::new(began, &media, &options.rtp_ports);
    for piece in &capture.pieces {
        sources.read(piece);
    }
    let streams = sources.rows(&dialogs, privacy);
    Analysis {
        dialogs: dialogs.finish(&streams),
        streams,
        began,
    }
}

#[cfg(test)]
mod tests;
