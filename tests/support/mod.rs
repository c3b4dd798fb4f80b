//! What the tests that need a real kernel share.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test crate takes in this module and uses a part of it; a test may panic"
)]

pub mod netns;
