//! What the tests share that need a real kernel or run the program itself.

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

pub mod host;
pub mod memory;
pub mod need;
pub mod netns;
pub mod networks;
pub mod picture;
pub mod sweep;
pub mod traffic;
pub mod wire;
