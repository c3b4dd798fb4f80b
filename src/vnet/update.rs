//! Changes to a part of a definition, as `net-update` in `virsh(1)` makes them.

use super::definition::{Definition, generate};
use super::model::Forward;
use crate::error::{Error, Result};
use crate::xml::{Document, Edit, Element, Source, Tree};

/// What is done to the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is added before the others of its kind.
    AddFirst,
    /// It is added behind the others of its kind.
    AddLast,
    /// It goes.
    Delete,
    /// It takes the place of the one with the same name.
    Modify,
}

/// The part that is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// An `<interface>`, or in a pool of PCI devices an `<address>`, in `<forward>`.
    Interface,
    /// A `<portgroup>`.
    Portgroup,
    /// The `<bridge>`.
    Bridge,
}

/// A change to a part.
#[derive(Debug)]
pub struct Update<'a> {
    /// What is done.
    pub action: Action,
    /// To what.
    pub section: Section,
    /// The part as XML.
    pub part: &'a Source,
}

impl Update<'_> {
    /// The definition with the change made, everything else as it was.
    ///
    /// Fails where there is nothing to delete or to modify, something is there already, or what comes of it is no
    /// valid definition.
    pub fn apply(&self, definition: &Definition) -> Result<Definition> {
        let part = self.part.parse()?;
        let source = Source::new(definition.network().name.to_string(), definition.text());
        let text = match self.section {
            Section::Portgroup => self.portgroup(&source, &part)?,
            Section::Bridge => self.bridge(&source, &part)?,
            Section::Interface => {
                let text = spelled_out(&source, definition)?;
                self.device(&Source::new(source.name(), text), &part)?
            }
        };
        let changed = Definition::read_like(
            &Source::new(source.name(), text),
            definition.network(),
            &generate(|_| false)?,
        )?;
        let (before, after) = (definition.network(), changed.network());
        if before.name != after.name || before.uuid != after.uuid {
            return Err(Error::failed(
                "name and uuid of a network cannot be changed",
            ));
        }
        Ok(changed)
    }

    fn portgroup(&self, source: &Source, part: &Document<'_>) -> Result<String> {
        let group = expect(part, &["portgroup"])?;
        let name = group.required("name")?;
        let document = source.parse()?;
        let root = document.root();
        let all: Vec<_> = root.children_named("portgroup").collect();
        let found = all
            .iter()
            .copied()
            .find(|it| it.attribute("name") == Some(name));
        self.change(
            source,
            root,
            &all,
            found,
            &format!("portgroup {name:?}"),
            group,
        )
    }

    fn device(&self, source: &Source, part: &Document<'_>) -> Result<String> {
        let device = expect(part, &["interface", "address"])?;
        let document = source.parse()?;
        let root = document.root();
        let forward = root.child("forward")?.ok_or_else(|| {
            Error::failed(format!(
                "the network {} is isolated: it has no devices",
                source.name()
            ))
        })?;
        let all: Vec<_> = forward.children_named(device.name()).collect();
        let (found, what) = if device.is("interface") {
            let dev = device.required("dev")?;
            let same = all
                .iter()
                .copied()
                .find(|it| it.attribute("dev") == Some(dev));
            (same, format!("interface {dev}"))
        } else {
            let address = super::model::pci::from_xml(device)?;
            let is_it = |it: &Element<'_>| {
                super::model::pci::from_xml(*it).is_ok_and(|other| other == address)
            };
            (
                all.iter().copied().find(is_it),
                format!("address {address}"),
            )
        };
        if self.action == Action::Modify {
            let what = "a device of a pool is nothing but its name: delete it and add another";
            return Err(Error::failed(what));
        }
        self.change(source, forward, &all, found, &what, device)
    }

    fn bridge(&self, source: &Source, part: &Document<'_>) -> Result<String> {
        let bridge = expect(part, &["bridge"])?;
        let document = source.parse()?;
        let root = document.root();
        let all: Vec<_> = root.children_named("bridge").collect();
        let found = all.first().copied();
        match (self.action, found) {
            (Action::Delete, Some(_)) => Err(Error::failed(
                "the bridge of a network can be modified, and not be deleted",
            )),
            _ => self.change(source, root, &all, found, "bridge", bridge),
        }
    }

    /// Adds the part to `all` of its kind in `parent`, or takes away or replaces the one that was `found`.
    fn change(
        &self,
        source: &Source,
        parent: Element<'_>,
        all: &[Element<'_>],
        found: Option<Element<'_>>,
        what: &str,
        part: Element<'_>,
    ) -> Result<String> {
        let mut edit = Edit::new(source);
        let written = part.written();
        match (self.action, found) {
            (Action::AddFirst | Action::AddLast, Some(_)) => {
                return Err(Error::failed(format!(
                    "the network {} has the {what} already",
                    source.name()
                )));
            }
            (Action::AddFirst, None) => match all.first() {
                Some(first) => edit.insert_before(*first, written),
                None => edit.append(parent, written),
            },
            (Action::AddLast, None) => match all.last() {
                Some(last) => edit.insert_after(*last, written),
                None => edit.append(parent, written),
            },
            (Action::Delete, Some(found)) => edit.remove(found),
            (Action::Modify, Some(found)) => edit.replace(found, written),
            (Action::Delete | Action::Modify, None) => {
                return Err(Error::failed(format!(
                    "the network {} has no {what}",
                    source.name()
                )));
            }
        }
        Ok(edit.finish())
    }
}

/// The outermost element of the part, which must be one of these.
fn expect<'a>(part: &'a Document<'_>, names: &[&str]) -> Result<Element<'a>> {
    let root = part.root();
    if names.iter().any(|name| root.is(name)) {
        return Ok(root);
    }
    let names: Vec<_> = names.iter().map(|name| format!("<{name}>")).collect();
    Err(root.error(format!("{} is needed here", names.join(" or "))))
}

/// The text with `<forward dev='a'>` of a pool written as the `<interface dev='a'/>` that it stands for.
fn spelled_out(source: &Source, definition: &Definition) -> Result<String> {
    let document = source.parse()?;
    let forward = document.root().child("forward")?;
    let is_pool = matches!(definition.network().forward, Forward::Macvtap(_));
    let Some((forward, dev)) = forward.and_then(|it| Some((it, it.attribute("dev")?))) else {
        return Ok(source.text().to_owned());
    };
    if !is_pool {
        return Ok(source.text().to_owned());
    }
    let mut edit = Edit::new(source);
    edit.remove_attribute(forward, "dev");
    let text = edit.finish();
    if forward.children_named("interface").next().is_some() {
        return Ok(text);
    }
    let source = Source::new(source.name(), text);
    let document = source.parse()?;
    let mut edit = Edit::new(&source);
    if let Some(forward) = document.root().child("forward")? {
        edit.append(
            forward,
            &Tree::new("interface").with("dev", dev).to_string(),
        );
    }
    Ok(edit.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vnet::define::Known;

    fn definition(text: &str) -> Definition {
        let fill = Known::default().fill(|_| false).unwrap();
        Definition::read(&Source::new("x", text), &fill).unwrap()
    }

    fn update(text: &str, action: Action, section: Section, part: &str) -> Result<String> {
        let part = Source::new("part", part);
        let update = Update {
            action,
            section,
            part: &part,
        };
        Ok(update.apply(&definition(text))?.text().to_owned())
    }

    const POOL: &str = "<network>\n  <name>a</name>\n  \
        <uuid>00000000-0000-0000-0000-000000000001</uuid>\n  \
        <forward mode='vepa' dev='eth1'>\n    <interface dev='eth1'/>\n    <!-- spare -->\n    \
        <interface dev='eth2'/>\n  </forward>\n  <portgroup name='p' default='yes'/>\n</network>\n";

    #[test]
    fn devices_come_and_go() {
        let plain = POOL.replace(" dev='eth1'>\n    <int", ">\n    <int");
        let part = "<interface dev='eth0'/>";
        let first = update(POOL, Action::AddFirst, Section::Interface, part).unwrap();
        assert_eq!(
            first,
            plain.replace(
                "<interface dev='eth1'/>",
                "<interface dev='eth0'/>\n    <interface dev='eth1'/>"
            )
        );
        let last = update(POOL, Action::AddLast, Section::Interface, part).unwrap();
        assert_eq!(
            last,
            plain.replace(
                "<interface dev='eth2'/>",
                "<interface dev='eth2'/>\n    <interface dev='eth0'/>"
            )
        );
        let gone = update(
            POOL,
            Action::Delete,
            Section::Interface,
            "<interface dev='eth1'/>",
        )
        .unwrap();
        assert_eq!(gone, plain.replace("\n    <interface dev='eth1'/>", ""));
        let short = "<network><name>a</name><forward mode='vepa' dev='eth1'/></network>";
        let both = update(
            short,
            Action::AddLast,
            Section::Interface,
            "<interface dev='eth2'/>",
        )
        .unwrap();
        assert!(
            both.contains(
                "<forward mode='vepa'><interface dev=\"eth1\"/><interface dev='eth2'/></forward>"
            ) || both.contains("<interface dev=\"eth1\"/>"),
            "{both}"
        );
    }

    #[test]
    fn portgroups_and_the_bridge_are_modified() {
        let new = "<portgroup name='p'><virtualport type='802.1Qbg'/></portgroup>";
        let text = update(POOL, Action::Modify, Section::Portgroup, new).unwrap();
        assert_eq!(
            text,
            POOL.replace("<portgroup name='p' default='yes'/>", new)
        );
        let own = "<network><name>a</name><uuid>00000000-0000-0000-0000-000000000001</uuid>\
                   <bridge name='b0'/><mac address='52:54:00:00:00:01'/></network>";
        let text = update(own, Action::Modify, Section::Bridge, "<bridge stp='off'/>").unwrap();
        assert_eq!(
            text,
            own.replace("<bridge name='b0'/>", "<bridge name=\"b0\" stp='off'/>")
        );
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        use Action::{AddLast, Delete, Modify};
        use Section::{Bridge, Interface, Portgroup};
        for (action, section, part, words) in [
            (
                AddLast,
                Interface,
                "<interface dev='eth1'/>",
                "has the interface eth1 already",
            ),
            (
                Delete,
                Interface,
                "<interface dev='eth9'/>",
                "has no interface eth9",
            ),
            (
                Modify,
                Interface,
                "<interface dev='eth1'/>",
                "nothing but its name",
            ),
            (
                AddLast,
                Interface,
                "<address type='pci' bus='1'/>",
                "exclude each other",
            ),
            (AddLast, Interface, "<interface/>", "part:1:1"),
            (
                AddLast,
                Interface,
                "<x/>",
                "<interface> or <address> is needed",
            ),
            (AddLast, Portgroup, "<portgroup name='p'/>", "already"),
            (
                AddLast,
                Portgroup,
                "<portgroup name='q' default='yes'/>",
                "only one portgroup",
            ),
            (
                Delete,
                Portgroup,
                "<portgroup name='q'/>",
                "has no portgroup",
            ),
            (AddLast, Bridge, "<bridge name='b'/>", "has no bridge"),
            (Modify, Bridge, "<bridge name='b'/>", "has no bridge"),
            (Delete, Portgroup, "<portgroup>", "part:1:"),
        ] {
            let error = update(POOL, action, section, part).unwrap_err().to_string();
            assert!(error.contains(words), "{part}: {error}");
        }
    }
}
