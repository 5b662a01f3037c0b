//! A capture explained: the calls in it as ladders, and one row of figures per RTP source.
//!
//! Pure: bytes in, an [`Analysis`](self) out. Only `vigie analyse` and tests use it.
