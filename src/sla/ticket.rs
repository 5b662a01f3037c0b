//! Tickets of the service desk, from its CSV export: text in, rows out.
//!
//! Each line becomes a ticket or a mistake that says what to do; none is lost. Times are instants with an offset,
//! or civil times of Paris without one; the hour of October that comes twice is kept as both readings.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

use super::calendar::{self, Calendar};
use super::clock::Measured;
use super::interval::{Interval, Intervals};
use crate::incident::IncidentId;
use crate::incident::span::Bounds;
use crate::time::Utc;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ticket {
    pub id: String,
    pub kind: Kind,
    pub category: String,
    /// Concerns what all share, not one desk.
    pub infrastructure: bool,
    pub opened: Moment,
    pub taken: Option<Moment>,
    pub solved: Option<Moment>,
    pub pending: Pending,
    /// Our incident that it tells of.
    pub incident: Option<IncidentId>,
    /// In the file, the header being line 1.
    pub line: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Incident,
    Request,
}

/// A time as it was written, and the instants that it can mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Exact, or the first and the second time that hour came.
    pub bounds: Bounds,
    pub raw: String,
    /// In the hour of October that comes twice, without an offset.
    pub ambiguous: bool,
}

/// When it waited for the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    Between(Intervals),
    /// So long in all, nobody knows when: perhaps in closed hours, which then were not counted anyway.
    For(Duration),
}

/// What a file gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Import {
    pub tickets: Vec<Ticket>,
    pub mistakes: Vec<Mistake>,
}

/// A line that gave no ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line}: {words}")]
pub struct Mistake {
    pub line: u64,
    pub words: String,
}

/// Columns that a file has to have; the others may be absent.
const NEEDED: [&str; 4] = ["id", "type", "opened", "solved"];
const OPTIONAL: [&str; 6] = [
    "category",
    "infrastructure",
    "taken",
    "pending",
    "pending_s",
    "incident",
];

/// Civil times as desks export them, ISO first; seconds may be absent.
const CIVIL: [&str; 6] = [
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
];

/// Reads an export: UTF-8, `;` or `,` between the fields, a header with the names of the columns.
#[must_use]
pub fn read(text: &str) -> Import {
    let text = text.trim_start_matches('\u{feff}');
    let header = text.lines().next().unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if header.contains(';') { b';' } else { b',' })
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut import = Import::default();
    let columns = match reader.headers().map_err(|error| error.to_string()) {
        Ok(names) => Columns::named(names),
        Err(words) => Err(words),
    };
    let columns = match columns {
        Ok(columns) => columns,
        Err(words) => {
            import.mistakes.push(Mistake { line: 1, words });
            return import;
        }
    };
    let mut lines = Lines::of(text);
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = lines.at(record.position());
                import.take(&columns, &record, line);
            }
            Err(error) => import.mistakes.push(Mistake {
                line: lines.at(error.position()),
                words: format!("{error}: export the file again as CSV"),
            }),
        }
    }
    import
}

/// Numbers of lines. The reader's own count is one short after CRLF and after empty lines.
struct Lines<'a> {
    text: &'a [u8],
    /// Counted up to this byte.
    byte: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    const fn of(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            byte: 0,
            line: 1,
        }
    }

    /// The line of the first field at or after `position`; positions come in order.
    fn at(&mut self, position: Option<&csv::Position>) -> u64 {
        let until = position.map_or(0, |position| position.byte());
        while let Some(byte) = self.text.get(self.byte) {
            let before = u64::try_from(self.byte).is_ok_and(|at| at < until);
            if !before && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(*byte == b'\n');
            self.byte += 1;
        }
        self.line
    }
}

/// Where each column stands.
struct Columns(Vec<String>);

/// One line, its fields by the names of their columns.
struct Row<'a> {
    columns: &'a Columns,
    record: &'a csv::StringRecord,
}

impl Columns {
    fn named(header: &csv::StringRecord) -> Result<Self, String> {
        let names: Vec<String> = header.iter().map(str::to_lowercase).collect();
        if let Some(missing) = NEEDED
            .iter()
            .find(|need| !names.iter().any(|name| name == *need))
        {
            return Err(format!(
                "there is no column \"{missing}\": the first line names the columns, {}; and if you have them {}",
                NEEDED.join(", "),
                OPTIONAL.join(", ")
            ));
        }
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(format!(
                    "the column \"{name}\" stands there twice: remove one"
                ));
            }
            // A misspelt name would lose what stands below it.
            if !NEEDED.contains(&name.as_str()) && !OPTIONAL.contains(&name.as_str()) {
                return Err(format!(
                    "the column \"{name}\" is not known: remove it, or name it one of {}, {}",
                    NEEDED.join(", "),
                    OPTIONAL.join(", ")
                ));
            }
        }
        Ok(Self(names))
    }
}

impl Import {
    fn take(&mut self, columns: &Columns, record: &csv::StringRecord, line: u64) {
        let ticket = Row { columns, record }.ticket(line).and_then(|ticket| {
            match self.tickets.iter().find(|known| known.id == ticket.id) {
                Some(known) => Err(format!(
                    "ticket {} stands on line {} already: keep the newer line",
                    ticket.id, known.line
                )),
                None => Ok(ticket),
            }
        });
        match ticket {
            Ok(ticket) => self.tickets.push(ticket),
            Err(words) => self.mistakes.push(Mistake { line, words }),
        }
    }
}

impl Row<'_> {
    fn ticket(&self, line: u64) -> Result<Ticket, String> {
        if self.record.len() != self.columns.0.len() {
            return Err(format!(
                "{} fields under {} columns: put texts that hold a separator between quotes",
                self.record.len(),
                self.columns.0.len()
            ));
        }
        let ticket = Ticket {
            id: self
                .field("id")
                .ok_or("the id is empty: write the number of the ticket")?
                .to_owned(),
            kind: self.kind()?,
            category: self.field("category").unwrap_or_default().to_owned(),
            infrastructure: self.flag("infrastructure")?,
            opened: self
                .moment("opened")?
                .ok_or("opened is empty: write when the ticket was opened")?,
            taken: self.moment("taken")?,
            solved: self.moment("solved")?,
            pending: self.pending()?,
            incident: self.incident()?,
            line,
        };
        let opened = ticket.opened.bounds.earliest;
        for (name, later) in [("taken", &ticket.taken), ("solved", &ticket.solved)] {
            if let Some(later) = later
                && later.bounds.latest < opened
            {
                return Err(format!(
                    "{name} {:?} lies before opened {:?}: correct one of them",
                    later.raw, ticket.opened.raw
                ));
            }
        }
        Ok(ticket)
    }

    /// `None` if it is empty or has no column.
    fn field(&self, name: &str) -> Option<&str> {
        let at = self.columns.0.iter().position(|column| column == name)?;
        self.record.get(at).filter(|field| !field.is_empty())
    }

    /// In words or, as GLPI numbers them, 1 and 2.
    fn kind(&self) -> Result<Kind, String> {
        let text = self.field("type").unwrap_or_default();
        match text.to_lowercase().as_str() {
            "incident" | "1" => Ok(Kind::Incident),
            "request" | "demande" | "2" => Ok(Kind::Request),
            _ => Err(format!(
                "the type {text:?} is not known: write incident or request"
            )),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        let text = self.field(name).unwrap_or("no");
        match text.to_lowercase().as_str() {
            "yes" | "oui" | "true" | "1" => Ok(true),
            "no" | "non" | "false" | "0" => Ok(false),
            _ => Err(format!("{name} cannot be {text:?}: write yes or no")),
        }
    }

    fn moment(&self, name: &str) -> Result<Option<Moment>, String> {
        let Some(text) = self.field(name) else {
            return Ok(None);
        };
        let moment = Moment::parse(text).map_err(|words| format!("{name}: {words}"))?;
        Ok(Some(moment))
    }

    fn pending(&self) -> Result<Pending, String> {
        match (self.field("pending"), self.field("pending_s")) {
            (Some(_), Some(_)) => Err(
                "both pending and pending_s are given: keep the intervals, empty the seconds"
                    .to_owned(),
            ),
            (Some(text), None) => pending_between(text).map(Pending::Between),
            (None, seconds) => {
                let text = seconds.unwrap_or("0");
                let seconds = text.parse().map_err(|_| {
                    format!("pending_s cannot be {text:?}: write whole seconds, or nothing")
                })?;
                Ok(Pending::For(Duration::from_secs(seconds)))
            }
        }
    }

    fn incident(&self) -> Result<Option<IncidentId>, String> {
        let Some(text) = self.field("incident") else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(IncidentId(number))),
            Err(_) => Err(format!(
                "incident cannot be {text:?}: write the number that vigie gave it, or nothing"
            )),
        }
    }
}

/// `from/until`, several of them with `|` between.
fn pending_between(text: &str) -> Result<Intervals, String> {
    let part = |part: &str| -> Result<Interval, String> {
        let ends = split_interval(part.trim()).ok_or_else(|| {
            format!("pending {part:?}: write from/until, several with | between them, days first as 2026-10-25")
        })?;
        let [from, until] = [ends.0, ends.1]
            .map(|end| Moment::parse(end).map_err(|words| format!("pending: {words}")));
        let (from, until) = (from?, until?);
        // Of an hour that came twice, the pause that is sure.
        let sure = Interval::new(from.bounds.latest, until.bounds.earliest);
        if sure.until < sure.from && !from.ambiguous && !until.ambiguous {
            return Err(format!(
                "pending {part:?} ends before it begins: correct it"
            ));
        }
        Ok(sure)
    };
    text.split('|').map(part).collect()
}

/// Cut at the one slash; French dates have slashes of their own and are not read here.
fn split_interval(text: &str) -> Option<(&str, &str)> {
    let (from, until) = text.split_once('/')?;
    (!until.contains('/')).then_some((from.trim(), until.trim()))
}

impl Moment {
    /// # Errors
    /// What is wrong with it, and how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let exactly = |at: Utc| Self {
            bounds: Bounds::exactly(at),
            raw: text.to_owned(),
            ambiguous: false,
        };
        if let Ok(stamp) = text.parse::<Timestamp>() {
            return calendar::utc(stamp).map(exactly).ok_or_else(|| far(text));
        }
        let civil = CIVIL
            .iter()
            .find_map(|format| DateTime::strptime(format, text).ok())
            .ok_or_else(|| {
                format!("{text:?} is no time: write 2026-10-25T02:30:00+01:00, or 2026-10-25 02:30:00 for Paris")
            })?;
        Self::in_zone(&calendar::paris(), civil, text)
    }

    fn in_zone(zone: &TimeZone, civil: DateTime, text: &str) -> Result<Self, String> {
        let meant = zone.to_ambiguous_timestamp(civil);
        if let AmbiguousOffset::Gap { .. } = meant.offset() {
            return Err(format!(
                "{text:?} never was in Paris, the clocks went forward over it: write it with its offset"
            ));
        }
        let reading = |stamp: Result<Timestamp, jiff::Error>| stamp.ok().and_then(calendar::utc);
        let (Some(earliest), Some(latest)) = (reading(meant.earlier()), reading(meant.later()))
        else {
            return Err(far(text));
        };
        Ok(Self {
            bounds: Bounds {
                at: earliest,
                earliest,
                latest,
            },
            raw: text.to_owned(),
            ambiguous: earliest != latest,
        })
    }
}

fn far(text: &str) -> String {
    format!("{text:?} is too far away: write a year between 1700 and 2200")
}

impl Ticket {
    /// Open time from its opening to `until`, without what was pending.
    #[must_use]
    pub fn handled_in(&self, calendar: &Calendar, until: Bounds) -> Measured {
        let counted = |time: Interval| calendar.open_within(time);
        match &self.pending {
            Pending::Between(pauses) => Measured::between(self.opened.bounds, until, |time| {
                counted(time).subtract(pauses).total()
            }),
            // All of the pause in open hours at best; at worst it fills the closed hours first.
            Pending::For(pause) => {
                let all_open = Measured::between(self.opened.bounds, until, |time| {
                    counted(time).total().saturating_sub(*pause)
                });
                let closed_first = Measured::between(self.opened.bounds, until, |time| {
                    let open = counted(time).total();
                    let closed = time.length().saturating_sub(open);
                    open.saturating_sub(pause.saturating_sub(closed))
                });
                Measured {
                    worst: closed_first.worst,
                    ..all_open
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
