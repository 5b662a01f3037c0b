//! What was seen of one task, as plain figures for a judge.

use std::net::SocketAddr;
use std::time::Duration;

use super::recording::Recording;
use crate::quality::codec::Codec;
use crate::quality::hearing::Hearing;
use crate::quality::media_state::HeardBack;
use crate::rtp::Stream;
use crate::rtp::session::FarEnd;
pub use crate::sip::endpoint::Direction;
use crate::time::Instant;

/// How a task ended, in the words of SIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call was answered and ended by us with BYE (for REGISTER and OPTIONS: a final answer came).
    Completed { status: u16 },
    /// The call was answered, then the far end hung up before we did.
    HungUpByFarEnd { after: Duration, cause: Option<u16> },
    /// A final refusal, with the Q.850 cause of the Reason header (RFC 3326) if any.
    Refused {
        status: u16,
        reason: String,
        cause: Option<u16>,
    },
    /// A redirect sent the call on to an emergency number; nothing went there.
    SentToEmergency { status: u16 },
    /// Nobody answered: nothing at all, or provisional responses only.
    NoAnswer { heard: Option<u16>, after: Duration },
    /// The far end broke the standard so that the task could not go on; the words cite the clause.
    Misbehaved { words: String },
    /// The flow failed under us.
    Flow(super::FlowFault),
    /// We ended it (`Input::Abort`).
    Aborted,
    /// Our own fault: no port, overload.
    Ours { words: String },
}

/// One line of the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the task began.
    pub at: Duration,
    pub direction: Direction,
    pub peer: SocketAddr,
    /// `INVITE sip:… (CSeq 1)`, `180 Ringing`, `RTP first packet, PCMA`, `DTMF *`; no secret, no caller.
    pub what: String,
    /// How many times this message was seen or sent before (0 = first time).
    pub repeat: u32,
}

/// RTP figures of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RtpSeen {
    pub sent: u64,
    pub received: u64,
    /// Expected minus received by sequence numbers (RFC 3550 A.3); negative with duplicates.
    pub lost: i64,
    /// Interarrival jitter (RFC 3550 A.8) at the end, milliseconds.
    pub jitter_ms: f64,
    /// Own send lateness, 99th percentile, microseconds.
    pub send_late_p99_us: u64,
    /// Wake-up to kernel stamp of received packets, 99th percentile, microseconds.
    pub receive_lag_p99_us: u64,
    /// Round trip by RTCP (RFC 3550 §6.4.1), the last one measured.
    pub round_trip: Option<Duration>,
}

/// What a call let us hear, and what the far end says of us, as it was counted.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Each source of the far end.
    pub streams: Vec<Stream>,
    pub hearing: Hearing,
    /// What carried the voice.
    pub codec: Option<Codec>,
    pub far_end: FarEnd,
    /// By RTCP, the last one measured.
    pub round_trip: Option<Duration>,
}

impl Leg {
    /// What their reports say of whether they hear us.
    #[must_use]
    pub const fn heard_back(&self) -> HeardBack {
        match &self.far_end.about_us {
            _ if self.far_end.deaf_reports >= DEAF_AFTER => HeardBack::No,
            Some(_) => HeardBack::Yes,
            None => HeardBack::Unknown,
        }
    }
}

/// Two intervals: the first report may have left before our first packet came.
const DEAF_AFTER: u32 = 2;

/// The echo of our own chirp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Echoed {
    /// From our mouth to our ear, jitter buffers and transcoders of the way included.
    pub round_trip: Duration,
    /// Correlation coefficient with what was sent, 0 to 1.
    pub likeness: f64,
    /// What came back of it against what was sent, decibels.
    pub return_loss_db: f64,
}

/// What became of the announcement that should have played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PromptHeard {
    Right {
        /// From the answer to its beginning; zero when it began before.
        after: Duration,
        /// The part that was heard, from the beginning of the announcement.
        from: Duration,
        to: Duration,
        /// Of the whole announcement.
        length: Duration,
        whole: bool,
        /// Than it was when it was learned, decibels.
        louder_db: f64,
    },
    /// Sound, but not this announcement.
    Wrong,
    /// No sound.
    Nothing,
}

/// A call that is up, at this moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    /// Since the answer.
    pub at: Duration,
    /// Level of the sound heard since the last look, dBov; `None` when none came.
    pub level_dbov: Option<f64>,
    /// Of all that were expected so far.
    pub loss_percent: f64,
    pub jitter_ms: f64,
    /// By the E-model (`quality::emodel`) with the loss and the round trip so far, conversational.
    pub mos: Option<f64>,
}

/// Everything a judge may want to know of one task.
#[derive(Clone, Debug)]
pub struct Observed {
    pub started: Instant,
    pub finished: Instant,
    pub outcome: Outcome,
    /// From the first INVITE (or request) to the first provisional response.
    pub progress_after: Option<Duration>,
    /// To the 2xx (or any final answer of REGISTER and OPTIONS).
    pub answer_after: Option<Duration>,
    /// From the 2xx to the first sound, digits apart; zero when early media came before.
    pub first_media_after: Option<Duration>,
    /// From the 2xx to the first packet of any kind: a digit comes by the same path as a voice.
    pub first_packet_after: Option<Duration>,
    /// From the 2xx to the last RTP packet.
    pub last_media_after: Option<Duration>,
    pub early_media: bool,
    /// Digits heard by RFC 4733, in order.
    pub dtmf: String,
    /// RMS level of our own 1000 Hz tone as it came back, dBov; `None` without echo.
    pub echo_dbov: Option<f64>,
    /// Where our chirp came back; known once the call was examined.
    pub echoed: Option<Echoed>,
    /// The announcement of the plan; known once the call was examined.
    pub prompt: Option<PromptHeard>,
    pub rtp: RtpSeen,
    /// All that was heard; `None` without sound.
    pub leg: Option<Box<Leg>>,
    /// When the 2xx of a call came, and when we began to leave: between them it was to be heard.
    pub answered: Option<Instant>,
    /// Server or User-Agent of the far end.
    pub server: Option<String>,
    /// From the 2xx until we hung up; longer than planned only if we came late ourselves.
    pub held: Option<Duration>,
    /// Our BYE had no answer when the report could not wait any longer.
    pub goodbye_unanswered: bool,
    /// Expires granted by a registrar.
    pub granted: Option<Duration>,
    pub ladder: Vec<Step>,
    /// What the plan asked to keep; none for load.
    pub recording: Option<Box<Recording>>,
}

impl Observed {
    /// How it ended, and nothing else seen.
    #[must_use]
    pub fn nothing(started: Instant, finished: Instant, outcome: Outcome) -> Self {
        Self {
            started,
            finished,
            outcome,
            progress_after: None,
            answer_after: None,
            first_media_after: None,
            first_packet_after: None,
            last_media_after: None,
            early_media: false,
            dtmf: String::new(),
            echo_dbov: None,
            echoed: None,
            prompt: None,
            rtp: RtpSeen::default(),
            leg: None,
            answered: None,
            server: None,
            held: None,
            goodbye_unanswered: false,
            granted: None,
            ladder: Vec::new(),
            recording: None,
        }
    }
}
