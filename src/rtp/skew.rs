//! How much the far end's clock runs slow against ours, from the slope of the least transit.
//!
//! The quickest packet of each second met no queue: what is left in it is the drift of two clocks.

use super::delay::milliseconds;
use super::log::Heard;

const WINDOW_NS: u64 = 1_000_000_000;
/// With less the slope says more about the network than about the clocks.
const WINDOWS_MIN: usize = 10;

/// Parts per million; positive when packets come later and later. `None` for less than ten seconds of
/// sound on one clock.
pub(super) fn skew_ppm(log: &[Heard], timed: &[usize]) -> Option<f64> {
    let sound: Vec<&Heard> = timed.iter().map(|line| &log[*line]).collect();
    // A far end that set its clock anew is judged by its longest stretch.
    let longest = sound
        .chunk_by(|a, b| a.epoch == b.epoch)
        .max_by_key(|stretch| stretch.len())?;
    let first = longest.first()?.at.0;
    let window = |heard: &Heard| heard.at.0.saturating_sub(first) / WINDOW_NS;
    let points: Vec<(f64, f64)> = longest
        .chunk_by(|a, b| window(a) == window(b))
        .filter_map(|packets| packets.iter().min_by_key(|heard| heard.transit_ns))
        .map(|quickest| {
            let at = quickest.at.0.saturating_sub(first);
            let at = milliseconds(i64::try_from(at).unwrap_or(i64::MAX));
            (at, milliseconds(quickest.transit_ns))
        })
        .collect();
    (points.len() >= WINDOWS_MIN).then(|| slope(&points) * 1e6)
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count: f64 = points.iter().map(|_| 1.0).sum();
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let (mut product, mut square) = (0.0, 0.0);
    for (x, y) in points {
        product += (x - mean_x) * (y - mean_y);
        square += (x - mean_x) * (x - mean_x);
    }
    if square == 0.0 { 0.0 } else { product / square }
}
