//! What the pages and the API say, and since when they know it.

pub mod answer;
pub mod view;
pub mod words_fr;
