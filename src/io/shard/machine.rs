//! What a thread of sockets can run. `Calls` places calls; the embedded lab simulates a plant.

use crate::calls::{Calls, Input, Output};
use crate::time::{Instant, Now};

/// The three verbs of `calls`, and its buffers back.
pub trait Machine {
    fn handle(&mut self, now: Now, input: Input<'_>);
    fn poll_output(&mut self) -> Option<Output>;
    fn deadline(&self) -> Option<Instant>;

    /// Takes back the buffer of a message that was sent. Who writes few messages lets it go.
    fn recycle(&mut self, buffer: Vec<u8>) {
        drop(buffer);
    }
}

impl Machine for Calls {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.handle(now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        self.recycle(buffer);
    }
}
