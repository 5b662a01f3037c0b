//! From a story that fails to the shortest one that still fails the same property.
//!
//! Delta debugging: whole halves of the happenings are left out first, then quarters, then single ones; then
//! what is left is made shorter.

use super::property::Broken;
use super::story::Story;

/// The shortest story that `fails` with the same property, and how it fails. `budget` bounds the tries.
pub fn shrink(
    story: &Story,
    broken: &Broken,
    budget: usize,
    fails: impl Fn(&Story) -> Option<Broken>,
) -> (Story, Broken) {
    let mut best = (story.clone(), broken.clone());
    let mut tries = 0;
    let mut still = |story: &Story| {
        tries += 1;
        if tries > budget {
            return None;
        }
        fails(story).filter(|found| found.property == broken.property)
    };
    // What happens after it broke has no part in it.
    let end_ms = u64::try_from(broken.after.as_millis()).unwrap_or(u64::MAX);
    let mut early = story.clone();
    early.happenings.retain(|one| one.at_ms <= end_ms);
    keep_if(&mut best, early, &mut still);
    let mut size = best.0.happenings.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < best.0.happenings.len() {
            let mut shorter = best.0.clone();
            let to = (from + size).min(shorter.happenings.len());
            shorter.happenings.drain(from..to);
            if !keep_if(&mut best, shorter, &mut still) {
                from += size;
            }
        }
        size /= 2;
    }
    for one in 0..best.0.happenings.len() {
        loop {
            let mut shorter = best.0.clone();
            shorter.happenings[one].for_ms /= 2;
            if best.0.happenings[one].for_ms < 2_000 || !keep_if(&mut best, shorter, &mut still) {
                break;
            }
        }
    }
    best
}

fn keep_if(
    best: &mut (Story, Broken),
    shorter: Story,
    still: &mut impl FnMut(&Story) -> Option<Broken>,
) -> bool {
    match still(&shorter) {
        Some(broken) => {
            *best = (shorter, broken);
            true
        }
        None => false,
    }
}
