//! Timers of thousands of calls: insert, expire in order, cancel by generation (stub).
