//! The truth: what became of each packet, one record for each that came.

use serde::{Deserialize, Serialize};

use super::change::{Change, Rtp};
use crate::time::Instant;

/// One packet and its fate. As JSON it is one line of the truth log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number among those of its direction, from 0.
    pub packet: u64,
    /// When it came.
    #[serde(rename = "at_ns")]
    pub at: Instant,
    pub bytes: usize,
    /// Its header as it went on, or would have; `None`: it was no RTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp: Option<Rtp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    #[serde(flatten)]
    pub fate: Fate,
}

/// Exactly one for each packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    Delivered {
        /// When it should leave.
        #[serde(rename = "due_ns")]
        due: Instant,
        /// When it left.
        #[serde(rename = "left_ns")]
        left: Instant,
    },
    Duplicated {
        #[serde(rename = "due_ns")]
        due: Instant,
        #[serde(rename = "left_ns")]
        left: Instant,
        #[serde(rename = "again_due_ns")]
        again_due: Instant,
        #[serde(rename = "again_left_ns")]
        again_left: Instant,
    },
    Lost {
        by: Cause,
    },
}

/// What took a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Settings name its number.
    Outage,
    /// Gilbert–Elliott.
    Loss,
    /// No room in the queue of a slow link.
    Queue,
    /// It could not be sent: nobody to send it to yet, or this machine refused.
    Unsent,
    /// It was still on its way when all ended.
    Ended,
}

impl Fate {
    /// When the packet and its copy left, in the order in which they did.
    #[must_use]
    pub fn left(&self) -> Vec<Instant> {
        match *self {
            Self::Delivered { left, .. } => vec![left],
            Self::Duplicated {
                left, again_left, ..
            } => vec![left, again_left],
            Self::Lost { .. } => Vec::new(),
        }
    }
}

/// Fates, counted: `came` is `delivered` plus `lost` once all has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub came: u64,
    /// Duplicated ones once.
    pub delivered: u64,
    pub duplicated: u64,
    pub lost: u64,
    /// By cause, in the order of [`Cause`]: outage, loss, queue, unsent, ended.
    pub lost_by: [u64; 5],
    pub changed: u64,
}

impl Tally {
    pub(super) fn count(&mut self, record: &Record) {
        self.changed += u64::from(!record.changes.is_empty());
        match record.fate {
            Fate::Delivered { .. } => self.delivered += 1,
            Fate::Duplicated { .. } => {
                self.delivered += 1;
                self.duplicated += 1;
            }
            Fate::Lost { by } => {
                self.lost += 1;
                self.lost_by[by as usize] += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_that_comes_back() {
        let mut record = Record {
            packet: 7,
            at: Instant(u64::MAX),
            bytes: 172,
            rtp: Some(Rtp {
                ssrc: 0xffff_ffff,
                sequence: 1,
                timestamp: 160,
                payload_type: 8,
            }),
            changes: vec![Change::Ssrc],
            fate: Fate::Delivered {
                due: Instant(5),
                left: Instant(6),
            },
        };
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(
            line,
            r#"{"packet":7,"at_ns":18446744073709551615,"bytes":172,"rtp":{"ssrc":4294967295,"sequence":1,"timestamp":160,"payload_type":8},"changes":["ssrc"],"fate":"delivered","due_ns":5,"left_ns":6}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        (record.rtp, record.changes) = (None, Vec::new());
        record.fate = Fate::Lost { by: Cause::Loss };
        let line = serde_json::to_string(&record).unwrap();
        assert!(line.ends_with(r#""bytes":172,"fate":"lost","by":"loss"}"#));
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
    }
}
