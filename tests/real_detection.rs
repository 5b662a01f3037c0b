//! From the fault of a real Asterisk to the alert in the mail box and at the HTTP receiver, in seconds.
//!
//! Every run is one whole story: the service watches a PBX and finds it good, the PBX breaks at a moment that chance
//! takes from the five seconds of the cadence, the alert comes, the PBX is mended, its recovery is told. The three kinds
//! of fault run side by side, each in a network of its own. `VIGIE_DETECTION_RUNS=20` makes so many of each kind, and
//! holds the median as well; the tests alone make one. `VIGIE_DETECTION_SEED` chooses the moments.
#![expect(clippy::print_stdout, reason = "the figures are what one runs it for")]

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use vigie::alert::settings::DIGEST;
use vigie::io::clock;
use vigie::time::Utc;

use crate::support::namespace::enter_own_network;
use crate::support::patience::{hold_for, look_for, wait_for};
use crate::support::plant::{FastAgi, RealPlant};
use crate::support::sipp::Caller;
use crate::support::spread::Spread;
use crate::support::told::{self, Arrival, Told};
use crate::support::vigie::Service;

/// OPTIONS every 5 s, 2 s until silence is silence, and two confirmations of 0.5 s and 2 s.
const SILENT_WITHIN: Duration = Duration::from_secs(12);
/// Who says no is heard at once: 5 s, one confirmation, and the way of the message.
const REFUSED_WITHIN: Duration = Duration::from_secs(6);
/// Half of all faults are told within this.
const MEDIAN_WITHIN: Duration = Duration::from_secs(9);
/// A median of fewer runs says little.
const RUNS_OF_A_MEDIAN: usize = 20;
/// The cadence of the fast lane, which the moment of the fault must not follow.
const CADENCE: Duration = Duration::from_secs(5);
/// Three outages in ten minutes are told as any other; from the next on the PBX is shown as unstable and its calls are
/// spared, which is another story. So the service begins anew after these.
const OUTAGES_OF_A_SERVICE: usize = 3;
/// A start of everything, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Until a PBX that was booted again is seen good and told so.
const MENDED_WITHIN: Duration = Duration::from_secs(40);

/// Name in the lab, name for people, account, number and signature of the call.
type Pbx = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);
const PBXS: [Pbx; 3] = [
    ("xivo1", "XIVO 1", "4001", "0199001195", "*1#"),
    ("xivo2", "XIVO 2", "4002", "0199001195", "*2#"),
    // The older one, chan_sip.
    ("xivo3", "XIVO 3", "4003", "0199001199", "*3#"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// `kill -9`: the kernel answers for it, port unreachable.
    Killed,
    /// SIGSTOP: its sockets are open, and nobody reads them.
    Frozen,
    /// `core stop gracefully` while a caller waits: OPTIONS and INVITE are answered by 503.
    Refusing,
}

impl Fault {
    const ALL: [Self; 3] = [Self::Killed, Self::Frozen, Self::Refusing];

    const fn words(self) -> &'static str {
        match self {
            Self::Killed => "killed (port unreachable)",
            Self::Frozen => "frozen (silence)",
            Self::Refusing => "stopping gracefully (503)",
        }
    }

    const fn told_within(self) -> Duration {
        match self {
            Self::Frozen => SILENT_WITHIN,
            Self::Killed | Self::Refusing => REFUSED_WITHIN,
        }
    }
}

/// One PBX, watched and well, and somebody to tell.
struct Watched {
    pbx: &'static str,
    called: &'static str,
    plant: RealPlant,
    _fastagi: FastAgi,
    told: Told,
    service: Service,
    /// Keeps a server that stops gracefully from being done.
    caller: Option<Caller>,
}

impl Watched {
    fn start((pbx, called, account, number, signature): Pbx) -> Self {
        let told = Told::start();
        let plant = RealPlant::start_here(&[pbx], &[]);
        let address = address_of(pbx);
        let fastagi = FastAgi::on(&address);
        let configuration = format!(
            "[plant]\nname = \"Asterisk\"\n[service]\nlisten = \"127.0.0.1:8119\"\ndata = \"@DATA@\"\n{}\
             [vantage]\nlocal = \"127.0.1.50\"\n[sip]\ncaller = \"0199001197\"\n{}\
             [target.{pbx}]\nname = \"{called}\"\ngroup = \"Téléphonie\"\naddress = \"{address}\"\nlane = \"fast\"\n\
             probes = [\"ping\", \"options\",\n\
             {{ kind = \"register\", user = \"{account}\", secret = \"env:ACCOUNT\" }},\n\
             {{ kind = \"call\", number = \"{number}\", signatures = [\"{signature}\"] }}]\n",
            told.tls_ca(),
            told.channels()
        );
        let secret = format!("s3cret-{account}");
        let mut secrets = told::SECRETS.to_vec();
        secrets.push(("ACCOUNT", secret.as_str()));
        let service = Service::run(&configuration, "127.0.0.1:8119", &secrets);
        let watched = Self {
            pbx,
            called,
            plant,
            _fastagi: fastagi,
            told,
            service,
            caller: None,
        };
        let well = look_for(READY_WITHIN, || watched.is_well().then_some(()));
        well.unwrap_or_else(|| panic!("{pbx} is not well:\n{}", watched.service.log()));
        watched
    }

    /// Good, and every probe of it has been so once.
    fn is_well(&self) -> bool {
        let status = self.service.status();
        let Some(target) = status["targets"].get(0) else {
            return false;
        };
        let probes = target["probes"].as_array().expect("probes");
        target["verdict"] == "good"
            && target["confirmed"] == true
            && probes.iter().all(|probe| probe["verdict"] == "good")
    }

    /// One fault, from a moment of chance to its alert; then the repair, to the word that all is well.
    fn suffers(&mut self, fault: Fault, chance: &mut Rng) -> Outage {
        if fault == Fault::Refusing {
            self.somebody_calls();
        }
        let phase = CADENCE.mul_f64(chance.f64());
        let (told, service) = (&mut self.told, &self.service);
        // An alert within the digest of the last message would wait for its end.
        hold_for(
            "before the fault",
            DIGEST + phase,
            Duration::from_millis(20),
            || {
                let posts = told.new_posts();
                (!posts.is_empty()).then(|| format!("{posts:#?}\n{}", service.log()))
            },
        );
        let began = clock::now().utc;
        match fault {
            Fault::Killed => self.plant.kill(self.pbx),
            Fault::Frozen => self.plant.hang(self.pbx),
            Fault::Refusing => self.plant.stop_gracefully(self.pbx),
        }
        let patience = fault.told_within() * 4;
        let arrival = self.told.wait_for("firing", self.called, patience);
        match fault {
            Fault::Killed => self.plant.boot(self.pbx),
            Fault::Frozen => self.plant.unhang(self.pbx),
            Fault::Refusing => {
                self.plant.console(self.pbx, "core abort shutdown");
                self.caller = None;
            }
        }
        self.told.wait_for("resolved", self.called, MENDED_WITHIN);
        Outage { began, arrival }
    }

    fn somebody_calls(&mut self) {
        let at = format!("{}:5060", address_of(self.pbx));
        self.caller = Some(Caller::waits_at("127.0.0.1:5080", "0199001190", &at));
        wait_for("the caller waits", Duration::from_secs(10), || {
            let queue = self.plant.console(self.pbx, "queue show preaccueil");
            (!queue.contains("has 0 calls")).then_some(())
        });
    }
}

fn address_of(pbx: &str) -> String {
    format!("127.0.1.{}", pbx.trim_start_matches("xivo"))
}

/// When it began, and when it was heard of.
#[derive(Clone, Copy, Debug)]
struct Outage {
    began: Utc,
    arrival: Arrival,
}

impl Outage {
    /// Until the later of both had it.
    fn told_after(&self) -> Duration {
        self.arrival
            .mailed
            .max(self.arrival.posted)
            .since(self.began)
    }

    /// Where the time went, in seconds. What a relapse tells is since when the incident lasts: not this failure.
    fn story(&self) -> String {
        let Arrival {
            mailed,
            posted,
            since,
            decided,
            queued,
        } = self.arrival;
        let mut text = String::new();
        let mut before = self.began;
        if since > self.began {
            let sent = since.since(self.began).as_secs_f64();
            let _ = write!(text, "  first failure sent +{sent:.2}");
            before = since;
        }
        for (what, from, to) in [
            ("confirmed", before, decided),
            ("put together", decided, queued),
            ("HTTP", queued, posted),
            ("mail", queued, mailed),
        ] {
            let _ = write!(text, "  {what} +{:.2}", to.since(from).as_secs_f64());
        }
        text
    }
}

/// So many outages of one kind, in a network of their own.
fn rehearse(fault: Fault, at: usize, runs: usize, seed: u64) -> Vec<Outage> {
    enter_own_network();
    let mut chance = Rng::with_seed(seed + at as u64);
    let mut outages = Vec::with_capacity(runs);
    for service in 0.. {
        let left = runs - outages.len();
        if left == 0 {
            break;
        }
        let mut watched = Watched::start(PBXS[(at + service) % PBXS.len()]);
        for _ in 0..left.min(OUTAGES_OF_A_SERVICE) {
            let outage = watched.suffers(fault, &mut chance);
            println!(
                "{}, {}: told after {:.2} s:{}",
                watched.called,
                fault.words(),
                outage.told_after().as_secs_f64(),
                outage.story()
            );
            outages.push(outage);
        }
    }
    outages
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

#[test]
#[ignore = "needs Asterisk, Exim, Python and SIPp: tests/run peers"]
fn a_real_fault_reaches_the_mail_box_and_the_receiver_in_time() {
    let runs = usize::try_from(number("VIGIE_DETECTION_RUNS", 1)).expect("a count");
    let seed = number("VIGIE_DETECTION_SEED", 119);
    println!("detection: {runs} of each kind, moments from seed {seed}");
    let measured: Vec<(Fault, Vec<Outage>)> = thread::scope(|scope| {
        let labs: Vec<_> = Fault::ALL
            .into_iter()
            .enumerate()
            .map(|(at, fault)| (fault, scope.spawn(move || rehearse(fault, at, runs, seed))))
            .collect();
        labs.into_iter()
            .map(|(fault, lab)| (fault, lab.join().expect("its story is printed above")))
            .collect()
    });
    for (fault, outages) in &measured {
        let of = |until: fn(&Arrival) -> Utc| {
            Spread::of(
                outages
                    .iter()
                    .map(|one| until(&one.arrival).since(one.began))
                    .collect(),
            )
        };
        let mail = of(|arrival| arrival.mailed);
        let http = of(|arrival| arrival.posted);
        println!("detection: {}: mail {mail}", fault.words());
        println!("detection: {}: HTTP {http}", fault.words());
    }
    for (fault, outages) in measured {
        let told = Spread::of(outages.iter().map(Outage::told_after).collect());
        assert!(told.worst() <= fault.told_within(), "{fault:?}: {told}");
        if told.count() >= RUNS_OF_A_MEDIAN {
            assert!(told.median() <= MEDIAN_WITHIN, "{fault:?}: {told}");
        }
    }
}
