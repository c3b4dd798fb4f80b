//! `qos set` and `qos clear`.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::view::DoneView;
use super::{TargetArgs, WaitArgs, lock};
use crate::error::{Context as _, Error, Result};
use crate::qos::device::View;
use crate::qos::{Bandwidth, Limit, Qos, Request, State};
use crate::xml::Source;

/// Set the limits of a device
///
/// What is not named stays as it is. The limit is kept over a boot unless --transient says otherwise, and is part of
/// an open change. A device that is not there yet gets its limit when it appears.
#[derive(Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// What comes in: AVERAGE[,PEAK[,BURST]], or average=…,peak=…,burst=…
    #[arg(long, value_name = "SPEC", required_unless_present_any = ["outbound", "xml"])]
    inbound: Option<Limit>,

    /// What goes out
    #[arg(long, value_name = "SPEC")]
    outbound: Option<Limit>,

    /// Take the limits from libvirt's <bandwidth> in this file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["inbound", "outbound"])]
    xml: Option<PathBuf>,

    /// Only until the device goes or the machine reboots
    #[arg(long)]
    transient: bool,

    /// Whose inbound and outbound are meant, where the kind of device does not say it right
    #[arg(long, value_name = "VIEW", value_enum)]
    view: Option<ViewChoice>,

    /// Let what enters the device wait in an ifb, instead of dropping what is beyond the limit
    #[arg(long)]
    shape: bool,

    /// Drop what is beyond the limit again, where that is possible
    #[arg(long, conflicts_with = "shape")]
    no_shape: bool,

    /// Put the limit in the place of a qdisc that ncf did not make
    #[arg(long)]
    replace: bool,

    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Whose inbound and outbound are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ViewChoice {
    /// Those of a guest at the far end: its inbound is what leaves the device
    Guest,
    /// Those of the device: inbound is what enters it
    Host,
}

impl Args {
    fn request(&self) -> Result<Request> {
        let bandwidth = match &self.xml {
            Some(file) => read(file)?,
            None => Bandwidth {
                inbound: self.inbound,
                outbound: self.outbound,
            },
        };
        Ok(Request {
            bandwidth,
            view: self.view.map(|view| match view {
                ViewChoice::Guest => View::Guest,
                ViewChoice::Host => View::Host,
            }),
            shape: (self.shape || self.no_shape).then_some(self.shape),
            replace: self.replace,
            transient: self.transient,
        })
    }
}

fn read(file: &Path) -> Result<Bandwidth> {
    let source = if file == Path::new("-") {
        Source::read("standard input", std::io::stdin().lock())?
    } else {
        let name = file.display().to_string();
        let open = File::open(file).context(|| format!("cannot read {name}"))?;
        Source::read(name, open)?
    };
    let bandwidth = Bandwidth::from_document(&source)?;
    if bandwidth.is_empty() {
        let message = format!("{}: there is no limit in it", source.name());
        return Err(Error::failed(message).hint("'ncf qos clear' takes limits away"));
    }
    Ok(bandwidth)
}

/// Runs `qos set`.
pub(super) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let request = args.request()?;
    let target = args.target.target();
    let host = &session.host;
    let lock = lock(session, "qos set", &args.wait)?;
    let mut qos = Qos::open(&host.state, &lock, host.has_interfaces())?;
    if args.dry_run {
        let steps = qos.preview(&target, &request)?;
        output.json(&serde_json::json!({ "steps": steps }));
        if steps.is_empty() {
            output.print("There is nothing to do.");
        }
        for step in steps {
            output.print(format!("  {step}"));
        }
        return Ok(None);
    }
    let done = qos.set(&target, &request)?;
    qos.close()?;
    output.json(&DoneView::from(&done));
    let limits = done.settings.as_ref().map(|it| it.bandwidth.to_string());
    output.say(format!("{target}: {}.", limits.unwrap_or_default()));
    if done.state == State::Absent {
        output.say(if host.has_interfaces() {
            "There is no such device now: the limit is applied when it appears."
        } else {
            "Only recorded: interfaces are left alone here."
        });
    }
    super::view::print_steps(&done, output);
    Ok(None)
}

/// Take the limits of a device away
///
/// From the record and from the kernel, which then puts its default qdisc back.
#[derive(Debug, clap::Args)]
pub(super) struct ClearArgs {
    #[command(flatten)]
    target: TargetArgs,

    /// Only what comes in
    #[arg(long)]
    inbound: bool,

    /// Only what goes out
    #[arg(long)]
    outbound: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Runs `qos clear`.
pub(super) fn clear(args: &ClearArgs, session: &Session, output: &Output) -> Done {
    let target = args.target.target();
    let host = &session.host;
    let lock = lock(session, "qos clear", &args.wait)?;
    let mut qos = Qos::open(&host.state, &lock, host.has_interfaces())?;
    let both = args.inbound == args.outbound;
    let done = qos.clear(&target, both || args.inbound, both || args.outbound)?;
    qos.close()?;
    output.json(&DoneView::from(&done));
    let limits = done.settings.as_ref().map(|it| it.bandwidth.to_string());
    let limits = limits.unwrap_or_else(|| "no limit".to_owned());
    output.say(format!("{target}: {limits}."));
    super::view::print_steps(&done, output);
    Ok(None)
}
