//! Lossless reading and writing of the files that network-scripts source: `ifcfg-*`, `route-*`.
//!
//! To the host these are shell scripts: `ifup` sources them with bash. A reader that splits lines at
//! `=` gets `DEVICE="eth0" # uplink`, `A=1 B=2` or a value over two lines wrong, and a reader that runs
//! them executes, as root, a file that may be what broke the host. So the part of the shell's grammar that
//! assigns values is parsed here as bash parses it, nothing is ever executed, and what cannot be known
//! without executing is said to be so: a value is [`Content::Static`] or [`Content::Dynamic`], and lines
//! that are other than assignments are listed by [`File::code`].
//!
//! Files are bytes. The parsed form points into them and edits splice them, so that what an edit does
//! not touch cannot change; a tree that is printed again was rejected, since each kind of white space,
//! comment and quotation would need its own field to come back as it was.
//!
//! | file | what it holds |
//! |---|---|
//! | `cursor`, `word`, `skip` | one word: quoting, escapes, what is not static |
//! | `lexer` | words, operators, comments, here-documents |
//! | `compound` | where a command that is no assignment ends |
//! | `file` | statements, and what a key's value is |
//! | `edit` | setting and removing a key |
//! | [`plain`] | values of plain files, without parsing |
//! | [`address`], `place` | values of keys, and where they stand |
//! | `arguments` | lines that are the arguments of `ip(8)` |
//! | [`routes`] | `route-*` and `route6-*` in both syntaxes |
//! | [`rules`] | `rule-*` and `rule6-*` |

pub mod address;
mod arguments;
mod compound;
mod cursor;
mod edit;
mod file;
mod lexer;
mod place;
pub mod plain;
pub mod routes;
pub mod rules;
mod skip;
mod word;

pub use file::{Content, File, Value};
pub use place::Place;
