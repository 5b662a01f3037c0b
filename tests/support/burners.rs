//! Busy neighbours: threads that take all the processor they are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// They burn until this is dropped.
#[derive(Debug)]
pub(crate) struct Burners {
    ending: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Burners {
    pub(crate) fn light(count: usize) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let threads = (0..count)
            .map(|_| {
                let ending = Arc::clone(&ending);
                std::thread::spawn(move || {
                    while !ending.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        Self { ending, threads }
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
