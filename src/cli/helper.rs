//! ncf under the name by which it starts itself to delete the device of a port: see [`delete`].
//!
//! Not a command: it takes no lock and reads no state and no settings, and nobody but ncf has a use for it.

use std::ffi::OsString;

use super::output::Output;
use crate::vnet::plug::delete;

/// Whether the program was started under that name. A path that ends in it is not that.
pub(super) fn is_meant(program: Option<&OsString>) -> bool {
    program.is_some_and(|name| name == delete::HELPER)
}

/// Deletes the device that the arguments name, the program's name not among them. Returns the exit status.
pub(super) fn run(arguments: &[OsString]) -> u8 {
    match delete::help(arguments) {
        Ok(()) => 0,
        Err(error) => {
            Output::complain(error.one_line());
            error.kind().exit_status()
        }
    }
}
