//! What this kernel has of what limits need: tried out in a network namespace of its own, so that nothing of the
//! host's is touched. Reading a list of modules would not do: what is built in is not in it, and what is a module is
//! loaded when it is first asked for.

use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::error::{Context as _, Error, Result};
use crate::sys::name::InterfaceName;
use crate::sys::netlink::Socket;
use crate::sys::netlink::link::Link;
use crate::sys::netlink::tc::{Action, Handle, HtbClass, Key, Leaf, U32};

/// One thing that the kernel has or lacks.
#[derive(Debug, Clone)]
pub struct Feature {
    /// As the kernel names it.
    pub name: &'static str,
    /// Why it is not there; `None` where it is.
    pub lacking: Option<String>,
    /// What ncf uses it for.
    pub used_for: &'static str,
    /// What it does without it.
    pub without: &'static str,
}

/// Everything that ncf can use. Needs the right to make a network namespace.
pub fn probe() -> Result<Vec<Feature>> {
    let work = || {
        unshare(CloneFlags::CLONE_NEWNET)
            .context(|| "cannot make a network namespace to try in")?;
        try_all()
    };
    // A thread of its own: it does not come back from that namespace.
    let probed = thread::spawn(work).join();
    let probed = probed.map_err(|_| Error::failed("the thread that tries has ended"))?;
    probed.map_err(|error| error.hint("run it as root"))
}

fn feature(
    name: &'static str,
    tried: Result<()>,
    used_for: &'static str,
    without: &'static str,
) -> Feature {
    Feature {
        name,
        lacking: tried.err().map(|error| error.one_line()),
        used_for,
        without,
    }
}

fn try_all() -> Result<Vec<Feature>> {
    let mut socket = Socket::open()?;
    let name: InterfaceName = "ncfi0"
        .parse()
        .map_err(|why| Error::failed("no name").because(why))?;
    let ifb = socket.create_ifb(&name, "ncf: a try", 1000);
    let have_ifb = ifb.is_ok();
    let used = "shaping what enters a device";
    let mut features = vec![feature("ifb", ifb, used, "it can only be policed")];
    // Without an ifb there is still the loopback to try on.
    let device = if have_ifb {
        name
    } else {
        "lo".parse()
            .map_err(|why| Error::failed("no name").because(why))?
    };
    let link = socket
        .link(&device)?
        .ok_or_else(|| Error::failed("the device to try on is gone"))?;
    try_qdiscs(&mut socket, &link, &mut features);
    try_ingress(&mut socket, &link, &mut features);
    Ok(features)
}

fn try_qdiscs(socket: &mut Socket, link: &Link, features: &mut Vec<Feature>) {
    let (root, class) = (Handle::new(1, 0), Handle::new(1, 1));
    let htb = HtbClass {
        rate: 1_000_000,
        ceil: 1_000_000,
        burst: 16_000,
        cburst: 16_000,
        quantum: 1514,
    };
    let tried = socket
        .add_htb(link, root, 1)
        .and_then(|()| socket.put_class(link, class, root, &htb));
    features.push(feature(
        "htb",
        tried,
        "limiting what leaves a device",
        "nothing that leaves can be limited",
    ));
    let leaves = [
        (
            "fq_codel",
            Leaf::FqCodel {
                target: 5000,
                interval: 100_000,
            },
            "sharing a limit fairly among streams, and keeping delay low",
            "sfq shares it, if that is there",
        ),
        (
            "sfq",
            Leaf::Sfq { perturb: 10 },
            "the same where there is no fq_codel",
            "without both, packets go in the order in which they come",
        ),
    ];
    for (number, (name, leaf, used_for, without)) in (2_u16..).zip(leaves) {
        let tried = socket.add_leaf(link, class, Handle::new(number, 0), leaf);
        features.push(feature(name, tried, used_for, without));
    }
}

fn try_ingress(socket: &mut Socket, link: &Link, features: &mut Vec<Feature>) {
    let everything = |action| U32 {
        keys: vec![Key {
            mask: 0,
            value: 0,
            offset: 0,
        }],
        class: None,
        action,
    };
    features.push(feature(
        "ingress",
        socket.add_ingress(link),
        "limiting what enters a device",
        "nothing that enters can be limited",
    ));
    let parent = Handle::INGRESS_FILTERS;
    let plain = U32 {
        class: Some(Handle::new(0, 1)),
        ..everything(None)
    };
    features.push(feature(
        "u32",
        socket.add_filter(link, parent, 1, &plain),
        "finding packets by their destination",
        "there are no floors, and nothing that enters can be limited",
    ));
    let redirect = everything(Some(Action::Redirect(link.index)));
    features.push(feature(
        "mirred",
        socket.add_filter(link, parent, 2, &redirect),
        "sending what enters a device through an ifb",
        "it can only be policed",
    ));
    let police = match socket.has_police() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::failed("the kernel does not know it")),
        Err(error) => Err(error),
    };
    features.push(feature(
        "police",
        police,
        "limiting what enters a device without a queue",
        "it is shaped in an ifb instead",
    ));
}
