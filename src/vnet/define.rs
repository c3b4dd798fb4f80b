//! Whether a definition may stand beside the others.

use super::active::Running;
use super::definition::{Definition, generate};
use super::model::{Fill, Forward, Network};
use super::name::NetworkName;
use super::store::Store;
use crate::error::{Error, Result};
use crate::state::StateDir;
use crate::sys::name::InterfaceName;
use crate::xml::Source;

/// The networks that a new definition must not collide with: the defined ones and those that run.
#[derive(Debug, Default)]
pub struct Known {
    networks: Vec<Network>,
}

impl Known {
    /// All of a host. Definitions that cannot be read are passed over: nothing is known of them.
    pub fn of(state: &StateDir) -> Result<Self> {
        let all = Store::new(state).all()?.into_iter();
        let defined = all.filter_map(|(_, definition)| definition.ok());
        let running = Running::new(state).records()?.into_iter();
        let running = running.filter_map(|record| record.definition().ok());
        let networks = defined.chain(running).map(|it| it.network().clone());
        Ok(Self {
            networks: networks.collect(),
        })
    }

    /// What is generated for a definition where it lacks it. `links` has the names that the kernel has taken.
    pub fn fill(&self, links: impl Fn(&InterfaceName) -> bool) -> Result<Fill> {
        let used = |name: &InterfaceName| {
            let mut bridges = self
                .networks
                .iter()
                .filter_map(|network| network.forward.bridge());
            links(name) || bridges.any(|bridge| bridge == name)
        };
        generate(used)
    }

    /// Reads a definition that is to be defined here, and completes it.
    ///
    /// To define what is there already, without its uuid, is to define the same.
    pub fn read(&self, source: &Source, fill: &Fill) -> Result<Definition> {
        let definition = Definition::read(source, fill)?;
        let network = definition.network();
        let before = self
            .networks
            .iter()
            .find(|known| known.name == network.name);
        if let Some(before) = before.filter(|before| before.uuid != network.uuid)
            && network.uuid == fill.uuid
        {
            let same = Definition::read_like(source, before, fill)?;
            if same.network() == before {
                return Ok(same);
            }
        }
        Ok(definition)
    }

    /// Fails where another network has the name, the uuid, or the name of a bridge that is ncf's own.
    pub fn admit(&self, network: &Network) -> Result<()> {
        for known in &self.networks {
            let refusal = |what: String| {
                Error::failed(format!(
                    "cannot define the network {}: {what}",
                    network.name
                ))
            };
            if known.name == network.name && known.uuid != network.uuid {
                let error = refusal(format!(
                    "there is one of that name, with the uuid {}",
                    known.uuid
                ));
                let name = &network.name;
                return Err(error.hint(format!(
                    "'ncf net edit {name}' changes it; so does a definition with its <uuid>, as 'ncf net dumpxml {name}' prints it"
                )));
            }
            if known.name != network.name && known.uuid == network.uuid {
                let error = refusal(format!(
                    "the network {} has its uuid, {}",
                    known.name, known.uuid
                ));
                return Err(error.hint("leave <uuid> out for a new one"));
            }
            if known.name != network.name
                && let Some(bridge) = common_bridge(known, network)
            {
                let error = refusal(format!(
                    "the network {} has the bridge {bridge}",
                    known.name
                ));
                return Err(error.hint("leave the name of the <bridge> out for a new one"));
            }
        }
        Ok(())
    }

    /// Whether a network of that name is known.
    pub fn has(&self, name: &NetworkName) -> bool {
        self.networks.iter().any(|known| known.name == *name)
    }
}

/// The bridge that both would have, where at least one makes it: several may lie over one of the host's.
fn common_bridge<'a>(one: &'a Network, other: &Network) -> Option<&'a InterfaceName> {
    let makes = |network: &Network| matches!(network.forward, Forward::Virtual(_));
    let bridge = one.forward.bridge()?;
    let common = other.forward.bridge() == Some(bridge) && (makes(one) || makes(other));
    common.then_some(bridge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(texts: &[&str]) -> Known {
        let mut known = Known::default();
        for text in texts {
            let definition = read(&known, text).unwrap();
            known.networks.push(definition.network().clone());
        }
        known
    }

    fn read(known: &Known, text: &str) -> Result<Definition> {
        let fill = known.fill(|name| name.as_str() == "virbr1")?;
        let definition = known.read(&Source::new("x", text), &fill)?;
        known.admit(definition.network())?;
        Ok(definition)
    }

    const ONE: &str =
        "<network><name>one</name><uuid>00000000-0000-0000-0000-000000000001</uuid></network>";

    #[test]
    fn generated_bridges_are_nobody_elses() {
        let known = known(&[ONE, "<network><name>two</name></network>"]);
        let bridges: Vec<_> = known
            .networks
            .iter()
            .filter_map(|it| it.forward.bridge())
            .collect();
        assert_eq!(
            bridges.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
            ["virbr0", "virbr2"]
        );
    }

    #[test]
    fn name_uuid_and_bridge_belong_to_one_network() {
        let known = known(&[
            ONE,
            "<network><name>host</name><forward mode='bridge'/><bridge name='br0'/></network>",
        ]);
        for (text, words) in [
            (ONE.replace(">one<", ">other<"), "has its uuid"),
            (ONE.replace("0001<", "0002<"), "there is one of that name"),
            (
                "<network><name>a</name><bridge name='virbr0'/></network>".to_owned(),
                "one has the bridge virbr0",
            ),
            (
                "<network><name>a</name><bridge name='br0'/></network>".to_owned(),
                "host has the bridge br0",
            ),
        ] {
            let error = read(&known, &text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let shared =
            "<network><name>a</name><forward mode='bridge'/><bridge name='br0'/></network>";
        assert!(read(&known, shared).is_ok());
    }

    #[test]
    fn the_same_again_is_the_same() {
        let text = "<network><name>a</name><bridge stp='off'/></network>";
        let known = known(&[text]);
        assert_eq!(read(&known, text).unwrap().network(), &known.networks[0]);
        let error = read(&known, "<network><name>a</name></network>").unwrap_err();
        assert!(
            error.to_string().contains("there is one of that name"),
            "{error}"
        );
    }
}
