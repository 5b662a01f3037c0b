//! What a good file would watch, on one screen.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Loaded;
use super::kind::Lane;
use super::probe_sip::holds_channel;
use super::whole::calls_per_hour;
use crate::engine::plant::Probe;
use crate::probe::Check;

impl Loaded {
    /// Targets by group, probes by kind and lane, lines, and the share of each trunk that probes take.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_summary(&mut text);
        text
    }

    fn write_summary(&self, out: &mut String) -> std::fmt::Result {
        let probes: Vec<&Probe> = self
            .plant
            .targets
            .iter()
            .flat_map(|target| &target.probes)
            .collect();
        writeln!(
            out,
            "{}: {}, {}, {}",
            self.plant.name,
            counted(self.plant.targets.len(), "target"),
            counted(probes.len(), "probe"),
            counted(self.plant.lines.len(), "line")
        )?;
        let groups = count(
            self.plant
                .targets
                .iter()
                .map(|target| target.group.as_str()),
        );
        writeln!(out, "targets  {}", list(&groups))?;
        let support = count(
            self.plant
                .targets
                .iter()
                .map(|target| target.support.as_str()),
        );
        let hds = self
            .plant
            .targets
            .iter()
            .filter(|target| target.hds)
            .count();
        writeln!(
            out,
            "support  {}, of which {hds} hold health data (HDS)",
            list(&support)
        )?;
        let kinds = count(probes.iter().map(|probe| probe.check.kind()));
        writeln!(out, "probes   {}", list(&kinds))?;
        let lanes = count(probes.iter().map(|probe| match probe.check.as_ref() {
            Check::Call(_) => "call",
            Check::Register(_)
            | Check::Options(_)
            | Check::Icmp(_)
            | Check::Tcp(_)
            | Check::Http(_)
            | Check::Dns(_)
            | Check::Plugin(_)
            | Check::Heartbeat(_) => Lane::of(probe.every).as_str(),
        }));
        let per_second: f64 = probes
            .iter()
            .map(|probe| calls_per_hour(probe) / 3600.0)
            .sum();
        writeln!(
            out,
            "lanes    {}; {per_second:.1} probes a second",
            list(&lanes)
        )?;
        for line in &self.plant.lines {
            let proofs: Vec<&str> = line.proofs.iter().map(|proof| proof.as_str()).collect();
            writeln!(
                out,
                "line     {}: proven by {}",
                line.name,
                proofs.join(", ")
            )?;
        }
        self.write_trunks(out, &probes)
    }

    fn write_trunks(&self, out: &mut String, probes: &[&Probe]) -> std::fmt::Result {
        let mut load: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for probe in probes {
            if let (Check::Call(settings), Some(trunk)) = (probe.check.as_ref(), &probe.trunk) {
                let (calls, seconds) = load.entry(trunk.as_str()).or_default();
                *calls += calls_per_hour(probe);
                *seconds += calls_per_hour(probe) * holds_channel(settings).as_secs_f64();
            }
        }
        for (id, (calls, seconds)) in load {
            let trunk = self.trunks.iter().find(|trunk| trunk.id.as_str() == id);
            let channels = trunk.map_or(1, |trunk| trunk.channels);
            let share = seconds / 3600.0 * 100.0;
            write!(
                out,
                "trunk    {id}: {calls:.0} calls an hour, {share:.1} % of one channel"
            )?;
            if channels > 1 {
                write!(
                    out,
                    ", {:.2} % of its {channels}",
                    share / f64::from(channels)
                )?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn count<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

fn list(counts: &BTreeMap<&str, usize>) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    parts.join(", ")
}
