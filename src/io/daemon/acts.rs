//! Acts of people on their way through the engine; each is answered once its fact is on disk.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use crate::engine::input::{ActToken, Input};
use crate::incident::act::Refusal;
use crate::io::control::Request;

#[derive(Debug)]
pub(super) struct Acts {
    requests: mpsc::Receiver<Request>,
    last: u64,
    /// With the engine.
    asked: BTreeMap<ActToken, Reply>,
    /// With the disk, by the number of their fact.
    recorded: BTreeMap<u64, Reply>,
}

type Reply = oneshot::Sender<Result<u64, Refusal>>;

impl Acts {
    pub(super) const fn new(requests: mpsc::Receiver<Request>) -> Self {
        Self {
            requests,
            last: 0,
            asked: BTreeMap::new(),
            recorded: BTreeMap::new(),
        }
    }

    /// The next act; never, once the door is closed.
    pub(super) async fn next(&mut self) -> Input {
        let Some(request) = self.requests.recv().await else {
            return std::future::pending().await;
        };
        self.last += 1;
        let token = ActToken(self.last);
        self.asked.insert(token, request.reply);
        Input::Act {
            token,
            act: request.act,
        }
    }

    pub(super) fn answer(&mut self, token: ActToken, outcome: Result<u64, Refusal>) {
        let Some(reply) = self.asked.remove(&token) else {
            return;
        };
        match outcome {
            Ok(fact) => {
                self.recorded.insert(fact, reply);
            }
            // Who asked may be gone; so below.
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
    }

    pub(super) fn committed(&mut self, up_to: u64) {
        while let Some(entry) = self.recorded.first_entry() {
            let fact = *entry.key();
            if fact > up_to {
                break;
            }
            drop(entry.remove().send(Ok(fact)));
        }
    }
}
