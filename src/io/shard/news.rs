//! What was found out between two turns: news that `deliver` will tell, faults of our own that wait to be
//! taken. `flows` and `media` write here; `sockets` reads.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::calls::{FlowFault, Input, MediaId};
use crate::probe::{Blame, Failure};
use crate::sip::FlowId;

/// News and faults in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Found {
    news: VecDeque<News>,
    faults: VecDeque<Failure>,
}

/// What `Calls` is to hear of its flows and media.
#[derive(Debug)]
pub(super) enum News {
    FlowOpened { flow: FlowId, local: SocketAddr },
    FlowFailed { flow: FlowId, fault: FlowFault },
    MediaOpened { media: MediaId, local: SocketAddr },
    MediaFailed { media: MediaId, words: String },
    MediaSent { media: MediaId, late: Duration },
}

impl News {
    pub(super) fn as_input(&self) -> Input<'static> {
        match self {
            Self::FlowOpened { flow, local } => Input::FlowOpened {
                flow: *flow,
                local: *local,
            },
            Self::FlowFailed { flow, fault } => Input::FlowFailed {
                flow: *flow,
                fault: fault.clone(),
            },
            Self::MediaOpened { media, local } => Input::MediaOpened {
                media: *media,
                local: *local,
            },
            Self::MediaFailed { media, words } => Input::MediaFailed {
                media: *media,
                words: words.clone(),
            },
            Self::MediaSent { media, late } => Input::MediaSent {
                media: *media,
                late: *late,
            },
        }
    }
}

impl Found {
    pub(super) fn push(&mut self, news: News) {
        self.news.push_back(news);
    }

    pub(super) fn take_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    pub(super) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    pub(super) fn own_fault(&mut self, code: &'static str, words: String) {
        // One of a kind is enough until it is taken: a flood of faults must not become a fault.
        if !self.faults.iter().any(|known| known.code == code) {
            self.faults
                .push_back(Failure::new(Blame::Ours, code, words));
        }
    }

    pub(super) fn take_fault(&mut self) -> Option<Failure> {
        self.faults.pop_front()
    }
}
