//! The state directory, by default `/var/lib/ncf`, mode 0700, root's.
//!
//! ```text
//! lock               flock(2); who holds it is written inside; never deleted
//! transaction/       exists exactly while a change is open (the boot unit's ConditionPathExists)
//!   manifest.json    what the snapshot holds, see change::manifest
//!   manifest.sha256  its digest, as sha256sum(1) writes it
//!   files/copies.tar the copies, see change::copies
//!   journal          the rollback's plan and progress, once rolling back
//!   discarded/       what the rollback replaces: manifest.json, manifest.sha256, files/
//! archive/TIME-ID/   a transaction that was rolled back, whole; the last 20 are kept
//! networks/ qos/     definitions, which a snapshot covers; see vnet::store
//! run/               what only makes sense while the host runs; see vnet::active
//! .begin-*  .gone-*  half-made and done-with transactions; whoever takes the lock next removes them
//! ```
//!
//! State is in renames. `.begin-ID` → `transaction` opens a change, `transaction` → `.gone-ID` commits
//! it, `transaction` → `archive/TIME-ID` ends a rollback. What a rename brings in was synced before,
//! and the directories that it changes are synced after. So a crash at any moment leaves a change
//! open or not open, never in between, and readers need no lock: what they find is complete, and one
//! that finds it gone halfway looks again.

pub mod boot_dir;
mod dir;
mod lock;
pub mod sync;

pub use dir::StateDir;
pub use lock::Lock;
