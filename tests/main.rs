//! The promises of vigie, one file each, all in one binary.

mod architecture;
mod pages;
