//! The verbs of the command line: one file per verb, arguments in, exit code out.
//!
//! Exit codes, the same for every verb, so that scripts and Nagios read them alike:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | good: the probe saw what it expected, the file is right, the service stopped as asked |
//! | 1 | degraded (`probe`, `call`, `status`); another announcement (`prompt test`); a good file whose secrets, authorities or plug-ins are missing (`check`) |
//! | 2 | down (`probe`, `call`, `status`) |
//! | 3 | blind, our own fault or bad input: wrong arguments, a bad file, no socket, no service to ask |
//!
//! Wrong arguments are 3 as well: clap's own 2 would read as "the line is down".

mod address;
mod alert;
mod analyse;
mod call;
mod check;
mod demo;
mod dial;
mod impair;
mod incident;
mod incidents;
mod indicators;
mod journal;
mod lab;
mod ledger;
mod probe;
mod prompt;
mod reload;
mod run;
mod serve;
mod sim;
mod status;
mod verify;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::probe::Account;
use crate::secret::SecretRef;

/// Bad input or a fault of our own; never mistaken for a line that is down.
const OWN_FAULT: u8 = 3;

#[derive(Debug, Parser)]
#[command(name = "vigie", version, about = "A watchdog that calls the line.")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch a plant: the service
    Run(run::Arguments),
    /// Check a configuration file and say what it would watch
    Check(check::Arguments),
    /// Ask the running service to read its configuration again
    Reload(reload::Arguments),
    /// Make one measurement now and explain it
    #[command(subcommand)]
    Probe(probe::Arguments),
    /// Place a call from here and watch it
    Call(call::Arguments),
    /// Learn, approve and test the announcements that calls must hear
    #[command(subcommand)]
    Prompt(prompt::Arguments),
    /// List what happened: outages and their length
    Incidents(incidents::Arguments),
    /// Tell one incident, fact by fact, or do something about it
    Incident(incident::Arguments),
    /// What was promised and what was kept: IC1 to IC7 of a month
    Indicators(indicators::Arguments),
    /// Planned work, time not counted, corrections: by two people where a figure changes
    Ledger(ledger::Arguments),
    /// Hold the journal against its own facts
    Verify(verify::Arguments),
    /// Try the channels that alerts leave by
    #[command(subcommand)]
    Alert(alert::Arguments),
    /// Explain a capture: ladders, and every figure of every RTP stream
    Analyse(analyse::Arguments),
    /// Start a simulated plant, watch it and show its page
    Demo(demo::Arguments),
    /// Break and mend the simulated plant of `vigie demo`
    #[command(subcommand)]
    Lab(lab::Arguments),
    /// Be a bad network between two ends, and write down what became of each packet
    Impair(impair::Arguments),
    /// Live through random days of a call centre, and check what must hold on any
    Sim(sim::Arguments),
    /// Say in one word how the watched plant is
    Status(status::Arguments),
}

/// Reads the arguments and runs the verb they name.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(refusal) => {
            // Help and version are answers; everything else is bad input.
            let code = if refusal.use_stderr() { OWN_FAULT } else { 0 };
            // Nobody is left to tell when the terminal itself is gone.
            let _ = refusal.print();
            return ExitCode::from(code);
        }
    };
    let done = match arguments.verb {
        Verb::Run(arguments) => run::run(arguments),
        Verb::Check(arguments) => check::run(arguments),
        Verb::Reload(arguments) => reload::run(arguments),
        Verb::Probe(arguments) => probe::run(arguments),
        Verb::Call(arguments) => call::run(arguments),
        Verb::Prompt(arguments) => prompt::run(arguments),
        Verb::Incidents(arguments) => incidents::run(arguments),
        Verb::Incident(arguments) => incident::run(arguments),
        Verb::Indicators(arguments) => indicators::run(arguments),
        Verb::Ledger(arguments) => ledger::run(arguments),
        Verb::Verify(arguments) => verify::run(arguments),
        Verb::Alert(arguments) => alert::run(arguments),
        Verb::Analyse(arguments) => analyse::run(arguments),
        Verb::Demo(arguments) => demo::run(arguments),
        Verb::Lab(arguments) => lab::run(arguments),
        Verb::Impair(arguments) => impair::run(arguments),
        Verb::Sim(arguments) => sim::run(arguments),
        Verb::Status(arguments) => status::run(arguments),
    };
    done.unwrap_or_else(|error| {
        complain(&format!("vigie: {error:#}"));
        ExitCode::from(OWN_FAULT)
    })
}

/// Where one verb waits for a socket or a signal.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The account that arguments name.
fn account(user: String, secret: &str) -> anyhow::Result<Account> {
    let secret: SecretRef = secret.parse().context("--secret")?;
    Ok(Account { user, secret })
}

/// Writes a line for the reader of the result. A closed pipe (`vigie check f | head`) is not a fault.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes a line for whoever has to mend something.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        Arguments::command().debug_assert();
    }
}
