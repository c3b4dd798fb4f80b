//! `net resolve`, `net release`, `net check`.

use super::port::warn_skipped;
use super::port_view::{ReservationView, placed};
use super::{PATIENCE, read};
use crate::cli::Done;
use crate::cli::output::{Output, Tone};
use crate::cli::setup::Session;
use crate::error::{Error, ErrorKind};
use crate::sys::signals::SignalGuard;
use crate::vnet::plug::Placed;
use crate::vnet::resolve::{self, Reserve, Unknown, Verdict};

/// Make a guest's definition this host's
///
/// Reads a libvirt <domain> and prints it with each <interface type='network'> replaced by what the network is here. All
/// else stays byte for byte as it was. Devices that no two guests may have are reserved for the guest until 'net release';
/// a guest that is resolved again gets the same ones.
#[derive(Debug, clap::Args)]
pub(super) struct ResolveArgs {
    /// The definition; - is standard input
    #[arg(value_name = "DOMAIN.xml", default_value = "-")]
    file: String,

    /// Reserve devices that several guests may share, too
    #[arg(long, conflicts_with = "no_reserve")]
    reserve: bool,

    /// Reserve nothing: only to look
    #[arg(long)]
    no_reserve: bool,

    /// Leave an interface as it is whose network is not defined here, instead of failing
    #[arg(long)]
    keep_unknown: bool,
}

/// Give back the devices that are reserved for a guest
#[derive(Debug, clap::Args)]
pub(super) struct ReleaseArgs {
    /// The guest's name or uuid
    #[arg(long, value_name = "GUEST")]
    owner: String,
}

/// Say whether this host would take a guest
///
/// Looks for a place in each network that the guest names: whether the network exists and is active, whether a device
/// is free, and whether the network can promise the guest its floor. Changes nothing. Status 1 says that it would not.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The definition; - is standard input
    #[arg(value_name = "DOMAIN.xml", default_value = "-")]
    file: String,
}

/// Runs `net resolve`.
pub(super) fn resolve(args: &ResolveArgs, session: &Session, output: &Output) -> Done {
    super::must_run_here(session)?;
    let source = read(&args.file)?;
    let lock = session.host.state.lock_within("net resolve", PATIENCE)?;
    super::port::undo_left(session, &lock, output)?;
    let _unbroken = SignalGuard::block()?;
    let reserve = match (args.reserve, args.no_reserve) {
        (_, true) => Reserve::Nothing,
        (true, false) => Reserve::All,
        (false, false) => Reserve::Exclusive,
    };
    let unknown = if args.keep_unknown {
        Unknown::Keep
    } else {
        Unknown::Refuse
    };
    let resolved = resolve::resolve(&session.host.state, &lock, &source, reserve, unknown)?;
    for answer in &resolved.interfaces {
        warn_skipped(&answer.skipped, output);
    }
    let interfaces = resolved.interfaces.iter().map(|answer| {
        let mut view = placed(&answer.network, answer.place.as_ref(), &answer.skipped);
        if let Some(fields) = view.as_object_mut() {
            fields.insert("reserved".to_owned(), answer.reserved.into());
        }
        view
    });
    output.json(&serde_json::json!({
        "interfaces": interfaces.collect::<Vec<_>>(),
        "xml": resolved.text,
    }));
    output.raw(&resolved.text);
    Ok(None)
}

/// Runs `net release`.
pub(super) fn release(args: &ReleaseArgs, session: &Session, output: &Output) -> Done {
    let lock = session.host.state.lock_within("net release", PATIENCE)?;
    let released = resolve::release(&session.host.state, &lock, &args.owner)?;
    output.json(
        &released
            .iter()
            .map(ReservationView::from)
            .collect::<Vec<_>>(),
    );
    for reservation in &released {
        let (device, network) = (&reservation.device, &reservation.network);
        output.say(format!("Released {device} of {network}."));
    }
    if released.is_empty() {
        output.say("Nothing is reserved for that guest.");
    }
    Ok(None)
}

/// Runs `net check`.
pub(super) fn check(args: &CheckArgs, session: &Session, output: &Output) -> Done {
    super::must_run_here(session)?;
    let source = read(&args.file)?;
    let lock = session.host.state.lock_within("net check", PATIENCE)?;
    let (owner, verdicts) = resolve::check(&session.host.state, &lock, &source)?;
    drop(lock);
    let fits = verdicts.iter().all(|verdict| verdict.place.is_ok());
    output.json(&serde_json::json!({
        "domain": owner,
        "fits": fits,
        "interfaces": verdicts.iter().map(view).collect::<Vec<_>>(),
    }));
    for verdict in &verdicts {
        let network = &verdict.network;
        match &verdict.place {
            Ok(Placed { place, skipped }) => {
                let good = output.paint(Tone::Good, "ok");
                output.say(format!("{good}  {network}: {}", place.device().0));
                warn_skipped(skipped, output);
            }
            Err(error) => {
                let bad = output.paint(Tone::Bad, "no");
                output.print(format!("{bad}  {network}: {}", error.one_line()));
            }
        }
    }
    let verdict = match (fits, verdicts.is_empty()) {
        (true, true) => "names no network: this host would take it as it is",
        (true, false) => "would fit on this host",
        (false, _) => "would not fit on this host",
    };
    output.print(format!("The guest {owner} {verdict}."));
    Ok((!fits).then_some(ErrorKind::Failed))
}

fn view(verdict: &Verdict) -> serde_json::Value {
    match &verdict.place {
        Ok(Placed { place, skipped }) => {
            let mut view = placed(&verdict.network, Some(place), skipped);
            if let Some(fields) = view.as_object_mut() {
                fields.insert("fits".to_owned(), true.into());
            }
            view
        }
        Err(error) => serde_json::json!({
            "network": verdict.network,
            "fits": false,
            "reason": Error::one_line(error),
        }),
    }
}
