//! `kill -9` of the running service at moments of chance, while a real PBX is out: nothing that was known is lost,
//! nobody is told twice without a reason, and the end is told once.
//!
//! One PBX hangs and comes back, again and again. Each of its outages meets four kills: two while it is found and told,
//! one while it lasts, one while its end is. `VIGIE_KILLS=200` goes on until so many; `VIGIE_KILLS_SEED` chooses the
//! moments. Whether a message may come twice is asked of the journal: only if its delivery was not on disk at a kill.
#![expect(clippy::print_stdout, reason = "the figures are what one runs it for")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use vigie::alert::notice::Reason;
use vigie::alert::record::Record;
use vigie::engine::fact::Event;
use vigie::engine::history::History;
use vigie::health::standing::Subject;
use vigie::incident::span::Span;
use vigie::io::clock;
use vigie::io::store::Journal;

use crate::support::namespace::enter_own_network;
use crate::support::patience::{hold_for, look_for};
use crate::support::plant::RealPlant;
use crate::support::told::{self, Told};
use crate::support::vigie::Service;

const PLANT: &str = r#"
[plant]
name = "Asterisk"
[vantage]
local = "127.0.1.50"
[target.xivo3]
name = "XIVO 3"
group = "Téléphonie"
address = "127.0.1.3"
probes = [{ kind = "options", every = "1s", timeout = "500ms" }]
# A message is on its way there for a second, so that kills meet it.
[alert.lente]
kind = "webhook"
url = "http://127.0.0.1:8080/slow"
secret = "env:HOOK"
"#;

/// The time-out of that probe: a request that was on its way when the PBX froze is the first to fail.
const TIMEOUT: Duration = Duration::from_millis(500);
/// An outage is found, committed and told within this, if nobody kills us; so kills fall before, in and after it all.
const FOUND_WITHIN: Duration = Duration::from_secs(4);
/// Two restarts, the first run of a probe after each, and the digest.
const TOLD_WITHIN: Duration = Duration::from_secs(40);

/// One PBX, watched, and somebody to tell.
struct Watched {
    plant: RealPlant,
    told: Told,
    service: Service,
    chance: Rng,
    kills: u32,
}

impl Watched {
    fn start(seed: u64) -> Self {
        enter_own_network();
        let told = Told::start();
        let plant = RealPlant::start_here(&["xivo3"], &[]);
        let configuration = format!(
            "[service]\nlisten = \"127.0.0.1:8119\"\ndata = \"@DATA@\"\n{}{PLANT}{}",
            told.tls_ca(),
            told.channels()
        );
        let service = Service::run(&configuration, "127.0.0.1:8119", &told::SECRETS);
        let watched = Self {
            plant,
            told,
            service,
            chance: Rng::with_seed(seed),
            kills: 0,
        };
        let well = look_for(TOLD_WITHIN, || {
            let status = watched.service.status();
            (status["targets"][0]["verdict"] == "good").then_some(())
        });
        well.unwrap_or_else(|| panic!("not well:\n{}", watched.service.log()));
        watched
    }

    /// After a moment of chance, at most so long.
    fn killed_within(&mut self, most: Duration) {
        let moment = most.mul_f64(self.chance.f64());
        hold_for("until the kill", moment, Duration::from_millis(1), || None);
        self.service.killed_and_back();
        self.kills += 1;
    }

    /// From the freeze to the word that all is well.
    fn outage(&mut self) {
        let began = clock::now().utc;
        self.plant.hang("xivo3");
        self.killed_within(FOUND_WITHIN);
        self.killed_within(FOUND_WITHIN);
        self.told.wait_for("firing", "XIVO 3", TOLD_WITHIN);
        let known = self.last_span();
        assert!(
            known.start.earliest <= began && began <= known.start.latest + TIMEOUT,
            "{began:?} is not within {known:#?}"
        );
        self.killed_within(FOUND_WITHIN);
        self.assert_start(&known);
        self.plant.unhang("xivo3");
        self.killed_within(FOUND_WITHIN);
        self.told.wait_for("resolved", "XIVO 3", TOLD_WITHIN);
        self.assert_start(&known);
        assert!(self.last_span().end.is_some());
    }

    /// To the nanosecond, in the journal and on the page.
    fn assert_start(&self, known: &Span) {
        let span = self.last_span();
        assert_eq!(span.start, known.start, "after {} kills", self.kills);
        let (incident, _) = look_for(TOLD_WITHIN, || {
            let status = self.service.status();
            let incident = status["incidents"].get(0).cloned();
            incident.filter(|incident| incident["since"].is_string())
        })
        .expect("the incident is on the page");
        let history = self.journal().history;
        let book = history
            .book()
            .incidents()
            .next()
            .and_then(|one| one.started());
        let started = book.expect("it began").at.rfc3339();
        assert_eq!(incident["since"], started.as_str(), "{incident:#}");
    }

    fn journal(&self) -> Read {
        Read::of(&self.service.data())
    }

    fn last_span(&self) -> Span {
        let history = self.journal().history;
        let incidents: Vec<_> = history.book().incidents().collect();
        let [incident] = incidents.as_slice() else {
            panic!("one PBX, one cause: {incidents:#?}");
        };
        let subject = Subject::Target("xivo3".into());
        incident.span_of(&subject).expect("it fails").clone()
    }
}

/// The journal, read beside the service that writes it.
#[derive(Default)]
struct Read {
    history: History,
    /// What became of each message, by its key: `vigie-CHANNEL-NUMBER-MOMENT`.
    messages: BTreeMap<u64, Message>,
    /// Ids of the notices that began and ended outages.
    alarms: Vec<String>,
    ends: Vec<String>,
}

/// A message in the journal.
#[derive(Clone, Debug, Default)]
struct Message {
    /// The service was started so often between its record and its delivery.
    starts: u32,
    delivered: u32,
}

impl Read {
    fn of(folder: &Path) -> Self {
        let mut read = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime
            .block_on(Journal::read(folder, |fact| {
                read.take(fact.event().expect("a fact of ours"));
                read.history.take(fact)
            }))
            .expect("a whole journal");
        read
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::ServiceStarted { .. } => {
                let open = self.messages.values_mut().filter(|one| one.delivered == 0);
                open.for_each(|one| one.starts += 1);
            }
            Event::Alert(Record::Taken { notice, .. }) => match notice.reason {
                Reason::Opened | Reason::Relapsed => self.alarms.push(notice.id),
                Reason::Restored => self.ends.push(notice.id),
                other => panic!("{other:?} of {}", notice.id),
            },
            Event::Alert(Record::Queued { id, .. }) => {
                self.messages.insert(id, Message::default());
            }
            Event::Alert(Record::Delivered { id }) => {
                self.messages.entry(id).or_default().delivered += 1;
            }
            _ => {}
        }
    }
}

/// The number in `vigie-equipe-12-1795525100000`.
fn number_of(key: &str) -> u64 {
    let number = key.split('-').nth(2).expect("channel, number, moment");
    number.parse().expect("a number")
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

#[test]
#[ignore = "needs Asterisk, Exim and Python: tests/run peers"]
fn a_service_that_is_killed_in_a_real_outage_keeps_its_start_and_tells_each_thing_once() {
    let kills = setting("VIGIE_KILLS", 8);
    let mut watched = Watched::start(setting("VIGIE_KILLS_SEED", 119));
    let mut outages = 0;
    while u64::from(watched.kills) < kills {
        watched.outage();
        outages += 1;
    }

    let all_delivered = look_for(TOLD_WITHIN, || {
        let journal = watched.journal();
        let mut messages = journal.messages.values();
        messages
            .all(|message| message.delivered > 0)
            .then_some(journal)
    });
    let (journal, _) = all_delivered.expect("every message arrives, and is known to");
    assert_eq!(
        journal.history.differences(),
        [],
        "decided anew from the facts"
    );
    assert_eq!(journal.alarms.len(), outages, "{:#?}", journal.alarms);
    assert_eq!(journal.ends.len(), outages, "{:#?}", journal.ends);
    for (id, message) in &journal.messages {
        assert_eq!(message.delivered, 1, "message {id}: {message:?}");
    }

    let posts = watched.told.all_posts();
    let by_webhook = |channel: &str| {
        let channel = format!("vigie-{channel}-");
        let keys = posts.iter().map(|post| post.id.clone());
        keys.filter(|key| key.starts_with(&channel)).collect()
    };
    let channels: [(&str, Vec<String>); 3] = [
        ("webhook", by_webhook("equipe")),
        ("slow webhook", by_webhook("lente")),
        ("mail", watched.told.message_ids()),
    ];
    for (what, keys) in channels {
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for key in keys {
            *times.entry(key).or_default() += 1;
        }
        // One alarm and one end for each outage, whatever came twice.
        assert_eq!(times.len(), 2 * outages, "{what}: {times:#?}");
        let mut again = 0;
        for (key, times) in &times {
            let message = &journal.messages[&number_of(key)];
            assert!(
                *times <= 1 + message.starts,
                "{what} {key}: {times} times, {message:?}"
            );
            again += times - 1;
        }
        println!(
            "kills: {what}: {} messages, {again} came again, each under its key and on its way at a kill",
            times.len()
        );
    }
    println!(
        "kills: {} in {outages} outages: every start kept to the nanosecond, every alarm and every end told",
        watched.kills
    );
}
