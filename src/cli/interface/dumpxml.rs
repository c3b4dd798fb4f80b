//! `dumpxml`.

use serde::Serialize;

use super::name;
use crate::change::files::Present;
use crate::change::running::Running;
use crate::change::tree::Tree;
use crate::cli::Done;
use crate::cli::output::Output;
use crate::cli::setup::Session;
use crate::error::{Error, Result};
use crate::iface::backend::{Backend, Files};
use crate::iface::model::{Interface, Kind};
use crate::iface::xml;
use crate::sys::name::{InterfaceName, MacAddress};
use crate::xml::Tree as Xml;

/// Print an interface as XML
///
/// What the files say; what they say beyond netcf's schema is left out, and 'define' leaves it alone.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Take NAME for a hardware address
    #[arg(long)]
    mac: bool,

    /// Print what the kernel has now, instead of what the files say
    #[arg(long)]
    live: bool,

    /// The interface, or with --mac its hardware address
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Serialize)]
struct Dumped {
    name: InterfaceName,
    live: bool,
    xml: String,
    warnings: Vec<String>,
}

/// Runs `dumpxml`.
pub(in crate::cli) fn run(args: &Args, session: &Session, output: &Output) -> Done {
    let running = Running::of(&session.host);
    let tree = Tree::now(&session.host.root, &session.host.scope)?;
    let files = Present(&tree);
    let backend = session.host.backend.as_ref();
    let name = if args.mac {
        let (name, others) = by_mac(&args.name, backend, &files, &running)?;
        if others > 0 {
            let all = others + 1;
            output.warn(&Error::failed(format!(
                "{all} interfaces have MAC {}, only showing one",
                args.name
            )));
        }
        name
    } else {
        name(&args.name)?
    };
    let (xml, warnings) = dump(&name, args.live, backend, &files, &running)?;
    for warning in &warnings {
        output.warn(warning);
    }
    output.print(xml.to_string().trim_end());
    output.json(&Dumped {
        name,
        live: args.live,
        xml: xml.to_string(),
        warnings: warnings.iter().map(Error::one_line).collect(),
    });
    Ok(None)
}

/// The document, and what the files say that is not in it.
pub(in crate::cli) fn dump(
    name: &InterfaceName,
    live: bool,
    backend: &dyn Backend,
    files: &dyn Files,
    running: &Running,
) -> Result<(Xml, Vec<Error>)> {
    let described = backend.describe(name, files, &running.cards())?;
    if !live {
        return Ok((xml::write(&described.interface), described.warnings));
    }
    let found = running.live(name)?.ok_or_else(|| {
        Error::failed(format!("the kernel has no {name} now")).hint(format!(
            "'ncf ifup {name}' would bring it up, 'ncf dumpxml {name}' shows its files"
        ))
    })?;
    Ok((xml::live(&found), Vec::new()))
}

/// The interface with a hardware address, and how many others have it: by the kernel, else by the files.
pub(in crate::cli) fn by_mac(
    text: &str,
    backend: &dyn Backend,
    files: &dyn Files,
    running: &Running,
) -> Result<(InterfaceName, usize)> {
    let mac: MacAddress = text.parse().map_err(|bad| Error::usage(format!("{bad}")))?;
    let all = backend.describe_all(files, &running.cards())?;
    let has = running.with_mac(mac);
    let mut found: Vec<_> = all
        .iter()
        .filter(|it| has.contains(&it.interface.name))
        .collect();
    if found.is_empty() {
        found = all.iter().filter(|it| says(&it.interface, mac)).collect();
    }
    match found.split_first() {
        Some((first, others)) => Ok((first.interface.name.clone(), others.len())),
        None => Err(Error::failed(format!(
            "no interface that is configured and no part of another has the address {mac}"
        ))),
    }
}

fn says(interface: &Interface, mac: MacAddress) -> bool {
    matches!(&interface.kind, Kind::Ethernet(ethernet) if ethernet.mac == Some(mac))
}
