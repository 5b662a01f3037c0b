//! What was promised and what was kept: civil hours, the profile of the contract, restoration clocks, the
//! indicators IC1 to IC7, and the ledger of every second.
//!
//! Values in, values out: outages, tickets and `now` give figures with the numbers of the facts they rest on.
//! It knows no engine, no file, no database; who calls it has read the facts. Words for the customer are
//! chosen where they are shown.

pub mod calendar;
pub mod clock;
pub mod contract;
pub mod exclusion;
pub mod extent;
pub mod holiday;
pub mod indicator;
pub mod interval;
pub mod ledger;
pub mod outage;
pub mod period;
pub mod ticket;
