//! Changing qdiscs, classes, filters and policers.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use nix::errno::Errno;

use super::super::Socket;
use super::super::link::Link;
use super::super::raw::{Attributes, Raw};
use super::handle::gone_is_done;
use super::{
    Action, Filter, Handle, Header, HtbClass, Leaf, Police, RTM_DELACTION, RTM_DELQDISC,
    RTM_DELTCLASS, RTM_DELTFILTER, RTM_NEWACTION, RTM_NEWQDISC, RTM_NEWTCLASS, RTM_NEWTFILTER, U32,
    of_kind, wire,
};
use crate::error::{Context as _, Result};

/// The number of the policer that is made to see whether one can be; `nc` in ASCII and one.
const PROBE: u32 = 0x6e63_0001;

impl Socket {
    /// Puts HTB at the root of a device, in the place of what is there, and sends what no filter places to the class
    /// `handle:default`.
    pub fn add_htb(&mut self, link: &Link, handle: Handle, default: u16) -> Result<()> {
        let attributes = of_kind("htb").with_nest(wire::TCA_OPTIONS, &wire::htb(default));
        let request = Header::new(link.index, handle, Handle::ROOT);
        self.change(
            request.message(RTM_NEWQDISC, &attributes),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
        .map_err(|refusal| {
            refusal.during(format!(
                "cannot make the qdisc htb {handle} of {}",
                link.name
            ))
        })
    }

    /// Gives a class the qdisc that shares it out.
    pub fn add_leaf(
        &mut self,
        link: &Link,
        class: Handle,
        handle: Handle,
        leaf: Leaf,
    ) -> Result<()> {
        let attributes = of_kind(leaf.kind());
        let attributes = match leaf {
            Leaf::FqCodel { target, interval } => {
                attributes.with_nest(wire::TCA_OPTIONS, &wire::fq_codel(target, interval))
            }
            Leaf::Sfq { perturb } => attributes.with(wire::TCA_OPTIONS, &wire::sfq(perturb)),
            // struct tc_fifo_qopt: the limit alone.
            Leaf::Pfifo { limit } => attributes.with(wire::TCA_OPTIONS, &limit.to_ne_bytes()),
        };
        let request = Header::new(link.index, handle, class);
        self.change(
            request.message(RTM_NEWQDISC, &attributes),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
        .map_err(|refusal| {
            let kind = leaf.kind();
            refusal.during(format!(
                "cannot make the qdisc {kind} in class {class} of {}",
                link.name
            ))
        })
    }

    /// Gives a device an ingress qdisc, where filters for what it receives hang.
    pub fn add_ingress(&mut self, link: &Link) -> Result<()> {
        let request = Header::new(link.index, Handle::INGRESS_FILTERS, Handle::INGRESS);
        self.change(
            request.message(RTM_NEWQDISC, &of_kind("ingress")),
            NLM_F_CREATE | NLM_F_EXCL,
        )
        .map_err(|refusal| {
            refusal.during(format!("cannot make the ingress qdisc of {}", link.name))
        })
    }

    /// Deletes the qdisc that hangs on `parent` with all that is in it, after which the kernel puts its default
    /// there. One that is gone already is no error.
    pub fn delete_qdisc(&mut self, link: &Link, parent: Handle) -> Result<()> {
        let request = Header::new(link.index, Handle::NONE, parent);
        let done = self.change(request.message(RTM_DELQDISC, &Attributes::default()), 0);
        gone_is_done(done.map_err(|refusal| {
            let what = if parent == Handle::INGRESS {
                "ingress"
            } else {
                "root"
            };
            refusal.during(format!("cannot delete the {what} qdisc of {}", link.name))
        }))
    }

    /// Makes a class, or changes the one that is there: its counters and what waits in it stay.
    pub fn put_class(
        &mut self,
        link: &Link,
        handle: Handle,
        parent: Handle,
        class: &HtbClass,
    ) -> Result<()> {
        let failed = || format!("cannot set the class {handle} of {}", link.name);
        let options = wire::htb_class(class).context(failed)?;
        let attributes = of_kind("htb").with_nest(wire::TCA_OPTIONS, &options);
        let request = Header::new(link.index, handle, parent);
        self.change(request.message(RTM_NEWTCLASS, &attributes), NLM_F_CREATE)
            .map_err(|refusal| refusal.during(failed()))
    }

    /// Deletes a class that nothing is classified to. One that is gone already is no error.
    pub fn delete_class(&mut self, link: &Link, handle: Handle) -> Result<()> {
        let request = Header::new(link.index, handle, Handle::NONE);
        let done = self.change(request.message(RTM_DELTCLASS, &Attributes::default()), 0);
        gone_is_done(done.map_err(|refusal| {
            refusal.during(format!("cannot delete the class {handle} of {}", link.name))
        }))
    }

    /// Adds a filter of this priority for every protocol.
    pub fn add_filter(
        &mut self,
        link: &Link,
        parent: Handle,
        priority: u16,
        filter: &U32,
    ) -> Result<()> {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.put_filter(
            link,
            Header::filter(link.index, parent, priority, 0),
            filter,
            flags,
        )
    }

    /// Gives a filter that is there another action, with no packet in between that has neither.
    pub fn change_filter(&mut self, link: &Link, old: &Filter, new: &U32) -> Result<()> {
        let header = Header::filter(link.index, old.parent, old.priority, old.handle);
        self.put_filter(link, header, new, 0)
    }

    fn put_filter(&mut self, link: &Link, header: Header, filter: &U32, flags: u16) -> Result<()> {
        let failed = || format!("cannot set a filter of {}", link.name);
        let options = wire::u32(filter).context(failed)?;
        let attributes = of_kind("u32").with_nest(wire::TCA_OPTIONS, &options);
        self.change(header.message(RTM_NEWTFILTER, &attributes), flags)
            .map_err(|refusal| refusal.during(failed()))
    }

    /// Deletes a filter. One that is gone already is no error.
    pub fn delete_filter(&mut self, link: &Link, filter: &Filter) -> Result<()> {
        let header = Header {
            info: u32::from(filter.priority) << 16 | u32::from(filter.protocol.to_be()),
            ..Header::filter(link.index, filter.parent, filter.priority, filter.handle)
        };
        let message = header.message(RTM_DELTFILTER, &of_kind(&filter.kind));
        let done = self.change(message, 0);
        gone_is_done(
            done.map_err(|refusal| {
                refusal.during(format!("cannot delete a filter of {}", link.name))
            }),
        )
    }

    /// Changes the policer with the index that it has, whichever filters use it. Its counters stay.
    pub fn change_police(&mut self, link: &Link, police: &Police) -> Result<()> {
        let failed = || format!("cannot change the policer of {}", link.name);
        let action = wire::action(&Action::Police(*police)).context(failed)?;
        self.change(
            about_action(RTM_NEWACTION, &action),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
        .map_err(|refusal| refusal.during(failed()))
    }

    /// Whether this kernel has policers. One that no filter uses is made and deleted.
    pub fn has_police(&mut self) -> Result<bool> {
        let police = Police {
            index: PROBE,
            rate: 1_000_000,
            burst: 65_536,
            peak: None,
            mtu: 65_536,
            overhead: 0,
        };
        let action = wire::action(&Action::Police(police))?;
        let made = self.change(about_action(RTM_NEWACTION, &action), NLM_F_CREATE);
        match made {
            Ok(()) => {
                let action = wire::police_number(PROBE);
                self.change(about_action(RTM_DELACTION, &action), 0)
                    .map_err(|refusal| refusal.during("cannot delete a policer"))?;
                Ok(true)
            }
            Err(refusal) if refusal.is_any(&[Errno::EEXIST]) => Ok(true),
            Err(refusal) if refusal.is_any(&[Errno::ENOENT, Errno::EOPNOTSUPP]) => Ok(false),
            Err(refusal) => Err(refusal.during("cannot see whether the kernel has policers")),
        }
    }
}

/// `struct tcamsg`, a family and padding, and one action.
fn about_action(kind: u16, action: &Attributes) -> Raw {
    let mut payload = vec![0; 4];
    payload.extend(Attributes::default().with_nest(wire::TCA_ACT_TAB, action).0);
    Raw { kind, payload }
}
