//! `qos set` and `qos clear`.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::Done;
use super::super::output::Output;
use super::super::setup::Session;
use super::view::DoneView;
use super::{Limited, TargetArgs, WaitArgs, lock, network};
use crate::error::{Context as _, Error, Result};
use crate::qos::device::View;
use crate::qos::record::Target;
use crate::qos::{Bandwidth, Change, Limit, Qos, Request, State};
use crate::state::Lock;
use crate::vnet::limits::Manner;
use crate::xml::Source;

/// What limits a network or a port, and knows no options of a device's.
const OF_OTHERS: [&str; 2] = ["network", "port"];

/// Set the limits of a device, a network or a port
///
/// What is not named stays as it is. The limit is kept over a boot unless --transient says otherwise, and is part of
/// an open change. A device that is not there yet gets its limit when it appears. A network's limits change where it
/// runs and in its definition; those of a port, which may have a floor, last until it is unplugged.
#[derive(Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// What comes in: AVERAGE[,PEAK[,BURST[,FLOOR]]], or average=…,peak=…,burst=…,floor=…
    #[arg(long, value_name = "SPEC", allow_negative_numbers = true,
        required_unless_present_any = ["outbound", "xml"])]
    inbound: Option<Limit>,

    /// What goes out
    #[arg(long, value_name = "SPEC", allow_negative_numbers = true)]
    outbound: Option<Limit>,

    /// Take the limits from libvirt's <bandwidth> in this file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["inbound", "outbound"])]
    xml: Option<PathBuf>,

    /// Only until the device goes, the network is stopped or the machine reboots
    #[arg(long)]
    transient: bool,

    /// Whose inbound and outbound are meant, where the kind of device does not say it right
    #[arg(long, value_name = "VIEW", value_enum, conflicts_with_all = OF_OTHERS)]
    view: Option<ViewChoice>,

    /// Let what enters the device wait in an ifb, instead of dropping what is beyond the limit
    #[arg(long, conflicts_with_all = OF_OTHERS)]
    shape: bool,

    /// Drop what is beyond the limit again, where that is possible
    #[arg(long, conflicts_with_all = ["shape", "network", "port"])]
    no_shape: bool,

    /// Put the limit in the place of a qdisc that ncf did not make
    #[arg(long, conflicts_with_all = OF_OTHERS)]
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
    let lock = lock(session, "qos set", &args.wait)?;
    let change = Change::Set(request.bandwidth);
    let manner = Manner {
        transient: args.transient,
        rehearsal: args.dry_run,
        here: session.host.has_interfaces(),
    };
    match args.target.limited(session)? {
        Limited::Network(name) => network::change(name, &change, manner, session, &lock, output),
        Limited::Port(id) => network::change_port(id, &change, manner, session, &lock, output),
        Limited::Device(target) => set(&target, &request, args.dry_run, session, &lock, output),
    }
}

fn set(
    target: &Target,
    request: &Request,
    dry_run: bool,
    session: &Session,
    lock: &Lock,
    output: &Output,
) -> Done {
    let host = &session.host;
    let mut qos = Qos::open(&host.state, lock, host.has_interfaces())?;
    if dry_run {
        qos.rehearse();
        let done = qos.set(target, request)?;
        super::view::rehearsed(&done.steps, output);
        return Ok(None);
    }
    let done = qos.set(target, request)?;
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
    super::view::print_steps(&done.steps, output);
    Ok(None)
}

/// Take the limits of a device, a network or a port away
///
/// From the record or the definition, and from the kernel, which then puts its default qdisc back.
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
    let lock = lock(session, "qos clear", &args.wait)?;
    let both = args.inbound == args.outbound;
    let (inbound, outbound) = (both || args.inbound, both || args.outbound);
    let change = Change::Clear { inbound, outbound };
    let manner = Manner {
        transient: false,
        rehearsal: false,
        here: session.host.has_interfaces(),
    };
    let target = match args.target.limited(session)? {
        Limited::Device(target) => target,
        Limited::Network(name) => {
            return network::change(name, &change, manner, session, &lock, output);
        }
        Limited::Port(id) => {
            return network::change_port(id, &change, manner, session, &lock, output);
        }
    };
    let host = &session.host;
    let mut qos = Qos::open(&host.state, &lock, host.has_interfaces())?;
    let done = qos.clear(&target, inbound, outbound)?;
    qos.close()?;
    output.json(&DoneView::from(&done));
    let limits = done.settings.as_ref().map(|it| it.bandwidth.to_string());
    let limits = limits.unwrap_or_else(|| "no limit".to_owned());
    output.say(format!("{target}: {limits}."));
    super::view::print_steps(&done.steps, output);
    Ok(None)
}
