//! The truth: what works in the simulated call centre, and what each probe would therefore see.
//!
//! It knows nothing of the engine's states. A probe leaves from one of three vantage points, passes parts,
//! and meets the part it asks. Our own troubles are here too: a vantage without network sees nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plant::{CALL_PATIENCE, PATIENCE};
use crate::probe::{Blame, Failure, Verdict, Word};

/// Where the secret of the simulated account is said to be kept, and what it is. No fact may hold the value.
pub(super) const SECRET_PLACE: &str = "VIGIE_SIM_SECRET";
pub(super) const SECRET: &str = "correct-horse-battery-staple";

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Switch,
    Patton,
    Xivo1,
    Xivo2,
    Trunk,
    Internet,
    Site,
    Sql,
    Files,
    Directory,
}

impl Part {
    pub const ALL: [Self; 10] = [
        Self::Switch,
        Self::Patton,
        Self::Xivo1,
        Self::Xivo2,
        Self::Trunk,
        Self::Internet,
        Self::Site,
        Self::Sql,
        Self::Files,
        Self::Directory,
    ];
}

/// How a part does, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    #[default]
    Up,
    /// It answers badly: a MOS of 3.2, a slow page.
    Limping,
    /// Its process is dead: the machine says so.
    Refusing,
    /// Frozen, or cut off.
    Silent,
}

/// Where probes leave from; each has a link of its own to what it asks. Today one engine asks from all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vantage {
    /// In the computer room, beside the PBXs.
    Room,
    /// Behind the operator, where callers are.
    Outside,
    /// Out on the internet.
    Internet,
}

impl Vantage {
    pub const ALL: [Self; 3] = [Self::Room, Self::Outside, Self::Internet];
}

/// What is asked by a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// A ping or an OPTIONS, a page.
    Sign,
    /// A call straight into a PBX.
    Call(&'static str),
    /// A call by the path of a caller: the gateway hunts from the first PBX to the second.
    Line,
}

/// One probe, as the world meets it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) name: &'static str,
    from: Vantage,
    through: &'static [Part],
    end: Part,
    ask: Ask,
}

/// Every probe that any edition of the plant knows.
pub(super) const ASKED: [Asked; 13] = [
    asked("switch/ping", Vantage::Room, &[], Part::Switch, Ask::Sign),
    asked(
        "patton/options",
        Vantage::Room,
        &[Part::Switch],
        Part::Patton,
        Ask::Sign,
    ),
    asked(
        "patton/call",
        Vantage::Outside,
        &[Part::Trunk],
        Part::Patton,
        Ask::Line,
    ),
    asked(
        "xivo1/options",
        Vantage::Room,
        &[Part::Switch],
        Part::Xivo1,
        Ask::Sign,
    ),
    asked(
        "xivo1/call",
        Vantage::Room,
        &[Part::Switch],
        Part::Xivo1,
        Ask::Call("*1#"),
    ),
    asked(
        "xivo2/options",
        Vantage::Room,
        &[Part::Switch],
        Part::Xivo2,
        Ask::Sign,
    ),
    asked(
        "xivo2/call",
        Vantage::Room,
        &[Part::Switch],
        Part::Xivo2,
        Ask::Call("*2#"),
    ),
    asked(
        "operator/options",
        Vantage::Outside,
        &[],
        Part::Trunk,
        Ask::Sign,
    ),
    asked(
        "internet/ping",
        Vantage::Internet,
        &[],
        Part::Internet,
        Ask::Sign,
    ),
    asked(
        "site/http",
        Vantage::Internet,
        &[Part::Internet],
        Part::Site,
        Ask::Sign,
    ),
    asked(
        "sql/ping",
        Vantage::Room,
        &[Part::Switch],
        Part::Sql,
        Ask::Sign,
    ),
    asked(
        "files/ping",
        Vantage::Room,
        &[Part::Switch],
        Part::Files,
        Ask::Sign,
    ),
    asked(
        "directory/ping",
        Vantage::Room,
        &[Part::Switch],
        Part::Directory,
        Ask::Sign,
    ),
];

const fn asked(
    name: &'static str,
    from: Vantage,
    through: &'static [Part],
    end: Part,
    ask: Ask,
) -> Asked {
    Asked {
        name,
        from,
        through,
        end,
        ask,
    }
}

/// What a probe meets, before chance has its say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Good(Option<&'static str>),
    Limping(Option<&'static str>),
    Refused,
    Silent,
}

impl Fate {
    pub(super) const fn is_down(self) -> bool {
        match self {
            Self::Refused | Self::Silent => true,
            Self::Good(_) | Self::Limping(_) => false,
        }
    }
}

/// How everything does now.
#[derive(Clone, Debug, Default)]
pub struct World {
    parts: [How; Part::ALL.len()],
    cut: [bool; Vantage::ALL.len()],
    /// Chance that one packet is lost, in thousandths.
    pub(super) loss_per_mille: u16,
    /// Names are not resolved in time.
    pub(super) dns_is_slow: bool,
}

/// The answer to a run: after how long, what, and the digits heard.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) after: Duration,
    pub(super) verdict: Verdict,
    pub(super) signature: Option<String>,
}

impl World {
    /// It does at best so well.
    pub(super) fn worsen(&mut self, part: Part, how: How) {
        let present = &mut self.parts[part as usize];
        *present = how.max(*present);
    }

    pub(super) fn cut(&mut self, vantage: Vantage) {
        self.cut[vantage as usize] = true;
    }

    fn how(&self, part: Part) -> How {
        self.parts[part as usize]
    }

    fn is_away(&self, part: Part) -> bool {
        self.how(part) >= How::Refusing
    }

    /// What this probe meets if our own side is whole.
    pub(super) fn fate(&self, asked: &Asked) -> Fate {
        if asked.through.iter().any(|part| self.is_away(*part)) {
            return Fate::Silent;
        }
        match (self.how(asked.end), asked.ask) {
            (How::Silent, _) => Fate::Silent,
            (How::Refusing, _) => Fate::Refused,
            (_, Ask::Line) => self.hunt(),
            (How::Up, Ask::Sign) => Fate::Good(None),
            (How::Up, Ask::Call(signature)) => Fate::Good(Some(signature)),
            // A PBX whose sound is bad answers an OPTIONS as ever.
            (How::Limping, Ask::Sign) if asked.name.ends_with("/options") => Fate::Good(None),
            (How::Limping, Ask::Sign) => Fate::Limping(None),
            (How::Limping, Ask::Call(signature)) => Fate::Limping(Some(signature)),
        }
    }

    fn hunt(&self) -> Fate {
        if self.is_away(Part::Switch) {
            return Fate::Refused;
        }
        for (pbx, signature) in [(Part::Xivo1, "*1#"), (Part::Xivo2, "*2#")] {
            match self.how(pbx) {
                How::Up => return Fate::Good(Some(signature)),
                How::Limping => return Fate::Limping(Some(signature)),
                How::Refusing | How::Silent => {}
            }
        }
        Fate::Refused
    }

    /// What a run that starts now sees.
    pub(super) fn answer(&self, asked: &Asked, chance: &mut fastrand::Rng) -> Answer {
        let is_call = asked.ask != Ask::Sign;
        let blind = |code: &'static str, words: &str, after| Answer {
            after,
            verdict: Verdict::blind(code, words),
            signature: None,
        };
        if self.cut[asked.from as usize] {
            let words = "our own network is unreachable: look at its cable and its switch port";
            return blind("network_unreachable", words, Duration::from_micros(200));
        }
        // Addresses stand in the plant, but a site has a name.
        if self.dns_is_slow && asked.name == "site/http" {
            let words = "our resolver did not answer in 1.5 s";
            return blind("resolver_silent", words, Duration::from_millis(1_500));
        }
        let mut fate = self.fate(asked);
        let mut resends = 0;
        // Three transmissions, each a packet there and one back.
        while !fate.is_down() && self.loses(chance) {
            resends += 1;
            if resends == 3 {
                fate = Fate::Silent;
            }
        }
        let patience = if is_call { CALL_PATIENCE } else { PATIENCE };
        let took = Duration::from_micros(chance.u64(900..6_000)) + RESEND * resends.min(2);
        match fate {
            Fate::Good(signature) => Answer {
                after: if is_call { took + HOLD } else { took },
                verdict: heard(Verdict::good(took), is_call, false, chance),
                signature: signature.map(str::to_owned),
            },
            Fate::Limping(signature) => {
                let failure = Failure::new(Blame::Misbehaved, "mos_cq", "MOS 3.2, limit 3.6");
                Answer {
                    after: if is_call { took + HOLD } else { took },
                    verdict: heard(Verdict::degraded(failure), is_call, true, chance),
                    signature: signature.map(str::to_owned),
                }
            }
            Fate::Refused => Answer {
                after: took,
                verdict: Verdict::down(Failure::new(Blame::Refused, "refused", "it says no")),
                signature: None,
            },
            Fate::Silent => Answer {
                after: patience,
                verdict: Verdict::down(Failure::new(Blame::Silent, "silent", "no answer")),
                signature: None,
            },
        }
    }

    fn loses(&self, chance: &mut fastrand::Rng) -> bool {
        self.loss_per_mille > 0 && chance.u16(..1_000) < 2 * self.loss_per_mille
    }
}

/// A packet that is not answered goes again after this long (timer A of RFC 3261, and much the same elsewhere).
const RESEND: Duration = Duration::from_millis(500);
/// A call is held this long.
const HOLD: Duration = Duration::from_secs(3);

/// With the figures of a call, if it is one.
fn heard(verdict: Verdict, is_call: bool, badly: bool, chance: &mut fastrand::Rng) -> Verdict {
    if !is_call || verdict.word == Word::Down {
        return verdict;
    }
    let mos = if badly { 3.2 } else { 4.3 };
    let wobble = f64::from(chance.u8(..50)) / 1_000.0;
    verdict
        .measuring("mos_cq", mos + wobble)
        .measuring("jitter_ms", 0.4 + wobble * 4.0)
}
