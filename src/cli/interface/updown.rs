//! `ifup` and `ifdown`.

use serde::Serialize;

use super::name;
use crate::apply::schedule::{StepReport, Verb};
use crate::change::updown;
use crate::cli::Done;
use crate::cli::change::print_step;
use crate::cli::output::{Output, Tone};
use crate::cli::setup::Session;
use crate::cli::view::{StepView, op};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::name::InterfaceName;

/// Bring an interface up, with its ports
///
/// By its files as they are now. An interface that is as it should be already is not disturbed by the built-in applier.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct UpArgs {
    /// The interface
    #[arg(value_name = "NAME")]
    name: String,
}

/// Take an interface down, with its ports
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DownArgs {
    /// The interface
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Serialize)]
struct Ran<'a> {
    name: &'a InterfaceName,
    interfaces: Vec<StepView>,
    errors: Vec<String>,
}

/// Runs `ifup`.
pub(in crate::cli) fn up(args: &UpArgs, session: &Session, output: &Output) -> Done {
    command(Verb::Up, &name(&args.name)?, session, output)
}

/// Runs `ifdown`.
pub(in crate::cli) fn down(args: &DownArgs, session: &Session, output: &Output) -> Done {
    command(Verb::Down, &name(&args.name)?, session, output)
}

fn command(verb: Verb, name: &InterfaceName, session: &Session, output: &Output) -> Done {
    warn_operator(verb, name, session, output);
    let mut watch = |step: &StepReport| print_step(output, step);
    let (steps, result) = run(verb, name, session, &mut watch)?;
    let failed = steps.iter().filter(|step| step.result.is_err());
    let mut errors: Vec<_> = failed.filter_map(|it| it.result.as_ref().err()).collect();
    errors.extend(result.as_ref().err());
    output.json(&Ran {
        name,
        interfaces: steps.iter().map(StepView::from).collect(),
        errors: errors.iter().map(|error| error.one_line()).collect(),
    });
    let done = if verb == Verb::Up { "up" } else { "down" };
    if let Err(error) = &result {
        output.warn(error);
    }
    if errors.is_empty() {
        let name = output.paint(Tone::Strong, name);
        output.say(format!("Interface {name} successfully brought {done}"));
        Ok(None)
    } else {
        output.print(format!("Interface {name} bring-{done} failed!"));
        Ok(Some(ErrorKind::Failed))
    }
}

/// Does it: the steps with what became of each, and whether the interface works after `ifup`.
pub(in crate::cli) fn run(
    verb: Verb,
    name: &InterfaceName,
    session: &Session,
    watch: &mut dyn FnMut(&StepReport),
) -> Result<(Vec<StepReport>, Result<()>)> {
    let host = &session.host;
    let lock = host.state.lock(op(verb))?;
    let steps = updown::run(host, &lock, verb, name, watch)?;
    let worked = steps.iter().all(|step| step.result.is_ok());
    let result = if worked && verb == Verb::Up {
        updown::wait_until_active(host, name)
    } else {
        Ok(())
    };
    Ok((steps, result))
}

/// Says, before it happens, that the way in leads over the interface.
fn warn_operator(verb: Verb, name: &InterfaceName, session: &Session, output: &Output) {
    if verb == Verb::Down && session.host.operator_path().contains(name) {
        let warning = format!("your connection runs over {name}: this cuts it");
        output.warn(&Error::failed(warning));
    }
}
