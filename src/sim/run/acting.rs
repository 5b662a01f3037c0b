//! People in a story: an act is given to the engine, and what it changed is looked at. Facts about incidents are read.

use std::time::Duration;

use super::{Run, check};
use crate::alert::notice::Notice;
use crate::alert::record::Record;
use crate::engine::fact::{Event, Fact};
use crate::engine::input::{ActToken, Input};
use crate::health::standing::Subject;
use crate::incident::IncidentId;
use crate::incident::act::{Act, What};
use crate::incident::step;
use crate::sim::oracle;
use crate::sim::people::deed;
use crate::sim::plant::terms;
use crate::sim::post::Read;
use crate::sim::property::Moment;
use crate::sla::contract::Indicator;
use crate::time::Utc;

/// Incidents whose clocks are looked at before and after an act that is about figures.
const RECOUNTED: usize = 8;

/// What a clock counts, raw and net.
type Figures = Vec<((IncidentId, Indicator), (Duration, Duration))>;

impl Run<'_> {
    pub(super) fn somebody_acts(&mut self, choice: u64) {
        if self.engine.is_none() {
            return;
        }
        // What time brings comes first: what is left is what the act does.
        self.give(Input::Wake);
        let now = self.now();
        let plant = self.plant();
        let targets = plant.targets.iter().map(|one| one.id.clone());
        let lines = plant.lines.iter().map(|one| one.id.clone());
        let watched: Vec<Subject> = targets
            .map(Subject::Target)
            .chain(lines.map(Subject::Line))
            .collect();
        let deed = deed(choice, now.utc, &self.auditor.book, &watched);
        let act = deed.act;
        let of_figures = matches!(
            act.what,
            What::Exclude { .. }
                | What::Correct { .. }
                | What::Approve { .. }
                | What::Reject { .. }
        );
        let before = of_figures.then(|| self.figures(now.utc));
        let made = self.journal.last().map_or(0, |fact| fact.seq);
        self.auditor.last_act = None;
        let outcome = self.settings.sabotage.acts(act.clone(), made, |act| {
            self.answered = None;
            let token = ActToken(choice);
            self.give(Input::Act { token, act });
            self.answered.take()
        });
        let Some(outcome) = outcome else { return };
        let facts_made = self.journal.last().map_or(0, |fact| fact.seq) - made;
        let fact = self.auditor.last_act.take();
        self.summary.refusals += u64::from(outcome.is_err());
        self.tell(&Moment::Acted {
            act: &act,
            must_be_refused: deed.must_be_refused,
            outcome: &outcome,
            fact: fact.as_ref().map(|(seq, author)| (*seq, author.as_str())),
            facts_made,
        });
        if outcome.is_ok() {
            self.hear(&act, now.utc);
        }
        if let Some(before) = before {
            let after = self.figures(now.utc);
            for ((key, before), (_, after)) in before.into_iter().zip(after) {
                self.tell(&Moment::Recounted {
                    act: &act,
                    incident: key.0,
                    before,
                    after,
                });
            }
        }
    }

    /// What the far ends of alerts may expect from now on.
    fn hear(&mut self, act: &Act, now: Utc) {
        match &act.what {
            What::Acknowledge { incident } => self.post.acknowledged(*incident),
            What::Maintain {
                subjects,
                from,
                until,
                ..
            } => {
                self.works.retain(|(_, _, until)| *until > now - FORGOTTEN);
                self.works.push((subjects.clone(), *from, *until));
            }
            What::Comment { .. }
            | What::Cause { .. }
            | What::Attach { .. }
            | What::Merge { .. }
            | What::Split { .. }
            | What::Publish { .. }
            | What::Show { .. }
            | What::Declare { .. }
            | What::Exclude { .. }
            | What::Correct { .. }
            | What::Approve { .. }
            | What::Reject { .. } => {}
        }
    }

    fn figures(&self, now: Utc) -> Figures {
        let Some(engine) = &self.engine else {
            return Vec::new();
        };
        let recent = engine.book().incidents().rev().take(RECOUNTED);
        let terms = terms();
        recent
            .flat_map(|incident| engine.outages(incident, now))
            .filter_map(|outage| {
                let (counted, _) = oracle::counted(&outage, &terms, self.settings.sabotage, now)?;
                let key = (outage.incident, outage.indicator);
                Some((key, (counted.raw.value, counted.net.value)))
            })
            .collect()
    }

    /// A fact is read as it is made.
    pub(super) fn audit(&mut self, fact: &Fact, event: &Event) {
        let sabotage = self.settings.sabotage;
        for event in sabotage.reads_fact(event) {
            let (broken, at) = (&mut self.broken, self.now);
            let mut tell = |moment: &Moment<'_>| check(broken, at, moment);
            self.auditor.reads(fact.seq, fact.utc, &event, &mut tell);
            if let Event::Alert(record) = &*event {
                self.audit_alert(fact.seq, record);
            }
        }
        if let Event::Incident(step) = event
            && step.what == step::What::Closed
            && let Some(engine) = &self.engine
            && let Some(incident) = self.auditor.book.incident(step.incident)
        {
            let (broken, at) = (&mut self.broken, self.now);
            let mut tell = |moment: &Moment<'_>| check(broken, at, moment);
            for outage in engine.outages(incident, fact.utc) {
                self.summary.clocks += 1;
                oracle::audit(&outage, &terms(), sabotage, fact.utc, &mut tell);
            }
        }
    }

    fn audit_alert(&mut self, fact: u64, record: &Record) {
        let notice = match record {
            Record::Taken { notice, .. } => Some(notice),
            Record::Queued { .. } | Record::Delivered { .. } | Record::Failed { .. } => None,
        };
        let read = Read {
            fact,
            record,
            planned_until: notice.and_then(|notice| self.planned_until(notice)),
        };
        let now = self.now();
        let (broken, at) = (&mut self.broken, self.now);
        self.post
            .reads(now, &read, &mut |moment| check(broken, at, moment));
    }

    /// Until when work is planned on all that fails there, by what people said.
    fn planned_until(&self, notice: &Notice) -> Option<Utc> {
        let incident = self.auditor.book.incident(notice.incident?)?;
        let ends: Option<Vec<Utc>> = incident
            .members
            .keys()
            .map(|member| {
                let going_on = self.works.iter().filter(|(subjects, from, until)| {
                    *from <= notice.at && notice.at < *until && subjects.contains(member)
                });
                going_on.map(|(_, _, until)| *until).max()
            })
            .collect();
        ends?.into_iter().min()
    }
}

/// Work that is over for so long is remembered no more, whatever the clock on the wall does meanwhile.
const FORGOTTEN: Duration = Duration::from_secs(86_400);
