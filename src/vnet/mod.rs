//! Logical networks: guests name a network, and each host decides what that is.
//!
//! | file | what it holds |
//! |---|---|
//! | `name` | [`NetworkName`](name::NetworkName): a name that is safe as a file's |
//! | `model` | what a definition says, as far as ncf acts on it |
//! | `definition` | [`Definition`](definition::Definition): the text, which nothing is lost of, and its model |
//! | `pool` | which device of a pool a port gets (pure) |
//! | `ports` | records of the guests' ports and of reserved devices |
//! | `store` | definitions on disk, and which are started at boot |
//! | `active` | the records of what runs |

pub mod active;
pub mod definition;
pub mod model;
pub mod name;
pub mod plug;
pub mod pool;
pub mod ports;
pub mod store;
