//! Brings a service up and runs it until a signal ends it: what `run` and `demo` have in common.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

use crate::io::daemon::{Command, Service};

/// Runs `service` on a runtime of its own; `ready` is told where the page is.
pub(super) fn serve(service: Service, ready: impl FnOnce(SocketAddr)) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads of the service")?;
    runtime.block_on(Box::pin(async move {
        // Before anything is opened: a signal during the start must not leave a half-open journal.
        let signals = Signals::new().context("cannot listen for signals")?;
        let open = service.open().await?;
        ready(open.address());
        let (sender, commands) = mpsc::channel(8);
        tokio::spawn(signals.forward(sender));
        open.watch(commands).await?;
        Ok(ExitCode::SUCCESS)
    }))
}

/// Logs to standard error in the words of `tracing` (`info`, `vigie::io=debug,info`).
pub(super) fn log(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("log = \"{filter}\" is no filter; write \"info\" or \"vigie=debug\"")
    })?;
    // A second subscriber is only possible in tests, where the first may stay.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
    Ok(())
}

/// The signals that a service understands.
struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn forward(mut self, commands: mpsc::Sender<Command>) {
        loop {
            let command = tokio::select! {
                _ = self.reload.recv() => Command::Reload,
                _ = self.terminate.recv() => Command::Stop,
                _ = self.interrupt.recv() => Command::Stop,
            };
            if commands.send(command).await.is_err() {
                return;
            }
        }
    }
}
