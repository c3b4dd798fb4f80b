//! Logical networks: guests name a network, and each host decides what that is.
//!
//! | file | what it holds |
//! |---|---|
//! | `name` | [`NetworkName`](name::NetworkName): a name that is safe as a file's |
//! | `model` | what a definition says, as far as ncf acts on it |
//! | `definition` | [`Definition`](definition::Definition): the text, which nothing is lost of, and its model |
//! | `pool` | which device of a pool a port gets (pure) |
//! | `ports` | records of the guests' ports and of reserved devices |
//! | `plug` | ports made real and undone |
//! | `resolve` | guests' definitions for this host |
//! | `define` | whether a definition may stand beside the others |
//! | `connections` | how many guests there are, in the document |
//! | `compose` | definitions from a few words |
//! | `update` | changes to a part of a definition |
//! | `store` | definitions on disk, and which are started at boot |
//! | `active` | the records of what runs |
//! | `lifecycle` | starting, stopping, undoing what was left half done |
//! | `limits` | limits of what runs and is plugged in, changed in place |

pub mod active;
pub mod compose;
pub mod connections;
pub mod define;
pub mod definition;
pub mod lifecycle;
pub mod limits;
pub mod model;
pub mod name;
pub mod plug;
pub mod pool;
pub mod ports;
pub mod resolve;
pub mod store;
pub mod update;
