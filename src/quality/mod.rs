//! What a caller would hear, in figures and in one word (ITU-T G.107, RFC 3611): the E-model, the state of the sound, limits.
//!
//! It reads the statistics of `rtp` and the samples of `audio`; it knows no call. `calls` and `analysis` use it.

pub mod average;
pub mod baseline;
pub mod codec;
pub mod emodel;
pub mod hearing;
pub mod leg;
pub mod limits;
pub mod media_state;
pub mod metric;
pub mod mouth_to_ear;
pub mod opinion;
pub mod scale;
pub mod voice_report;
pub mod voipmonitor;
pub mod wide;
