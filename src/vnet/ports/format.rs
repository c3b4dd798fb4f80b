//! What a hypervisor needs to know of a port: QEMU's arguments, libvirt's `<interface>`.

use std::path::Path;

use super::record::{Connection, Hostdev, Port};
use crate::vnet::model::{NativeMode, Vlan, pci};
use crate::xml::Tree;

/// The MTU that a guest takes for granted.
const USUAL_MTU: u32 = 1500;

/// How QEMU is to attach.
#[derive(Debug, Clone, Copy)]
pub struct QemuOptions {
    /// Whether packets go through the kernel's vhost.
    pub vhost: bool,
    /// The first file descriptor that a macvtap's device is opened as.
    pub fd: u16,
}

impl Port {
    /// QEMU's arguments, as words of a shell's command line: `-netdev … -device …`.
    ///
    /// A macvtap is opened by whoever starts QEMU: redirections such as `3<>/dev/tap7` follow the arguments.
    pub fn qemu(&self, options: QemuOptions) -> String {
        let id = self.id;
        match &self.connection {
            Connection::Tap(tap) => {
                let netdev = format!("tap,id={id},ifname={id},script=no,downscript=no");
                let queues = match tap.queues {
                    1 => String::new(),
                    queues => format!(",queues={queues}"),
                };
                let mtu = (tap.mtu != USUAL_MTU).then_some(tap.mtu);
                self.virtio(&format!("{netdev}{queues}"), tap.queues, options, mtu)
            }
            Connection::Macvtap(macvtap) => {
                let fds: Vec<_> = (0..macvtap.queues)
                    .map(|queue| options.fd.saturating_add(queue))
                    .collect();
                let words: Vec<_> = fds.iter().map(ToString::to_string).collect();
                let name = if fds.len() == 1 { "fd" } else { "fds" };
                let netdev = format!("tap,id={id},{name}={}", words.join(":"));
                let node = macvtap.node.as_deref().unwrap_or(Path::new("/dev/tap"));
                let opened = words.iter().map(|fd| format!(" {fd}<>{}", node.display()));
                let virtio = self.virtio(&netdev, macvtap.queues, options, None);
                format!("{virtio}{}", opened.collect::<String>())
            }
            Connection::Hostdev(hostdev) => {
                format!("-device vfio-pci,id={id},host={}", hostdev.address)
            }
        }
    }

    fn virtio(&self, netdev: &str, queues: u16, options: QemuOptions, mtu: Option<u32>) -> String {
        let (id, mac) = (self.id, self.mac);
        let vhost = if options.vhost { ",vhost=on" } else { "" };
        let many = match queues {
            1 => String::new(),
            // One to receive and one to send for each, one for the configuration and one for control.
            queues => format!(",mq=on,vectors={}", 2 * u32::from(queues) + 2),
        };
        let mtu = mtu.map_or_else(String::new, |mtu| format!(",host_mtu={mtu}"));
        format!("-netdev {netdev}{vhost} -device virtio-net-pci,netdev={id},mac={mac}{many}{mtu}")
    }

    /// libvirt's `<interface>`. A device that ncf has made is not made again (`managed='no'`, libvirt 5.7).
    pub fn libvirt(&self) -> Tree {
        let mac = Tree::new("mac").with("address", self.mac);
        let with_device = |queues: u16, mtu: Option<u32>| {
            let target = Tree::new("target")
                .with("dev", self.id)
                .with("managed", "no");
            let mut tree = Tree::new("interface")
                .with("type", "ethernet")
                .and(mac.clone())
                .and(target)
                .and(Tree::new("model").with("type", "virtio"));
            if queues > 1 {
                tree.push(
                    Tree::new("driver")
                        .with("name", "vhost")
                        .with("queues", queues),
                );
            }
            if let Some(mtu) = mtu.filter(|mtu| *mtu != USUAL_MTU) {
                tree.push(Tree::new("mtu").with("size", mtu));
            }
            tree
        };
        match &self.connection {
            Connection::Tap(tap) => with_device(tap.queues, Some(tap.mtu)),
            Connection::Macvtap(macvtap) => with_device(macvtap.queues, None),
            Connection::Hostdev(hostdev) => Self::libvirt_hostdev(hostdev, mac.clone()),
        }
    }

    fn libvirt_hostdev(hostdev: &Hostdev, mac: Tree) -> Tree {
        let managed = if hostdev.managed { "yes" } else { "no" };
        let mut tree = Tree::new("interface")
            .with("type", "hostdev")
            .with("managed", managed)
            .and(mac);
        if let Some(driver) = &hostdev.driver {
            tree.push(Tree::new("driver").with("name", driver));
        }
        tree.push(Tree::new("source").and(pci::to_xml(hostdev.address)));
        if let Some(function) = hostdev.function.as_ref().filter(|it| it.wanted.vlan != 0) {
            let tag = Tree::new("tag").with("id", function.wanted.vlan);
            tree.push(Tree::new("vlan").and(tag));
        }
        tree
    }
}

/// Tags as libvirt writes them.
pub(in crate::vnet) fn vlan(vlan: &Vlan) -> Tree {
    let tags = vlan.tags.iter().map(|tag| {
        let native = tag.native.map(|native| match native {
            NativeMode::Tagged => "tagged",
            NativeMode::Untagged => "untagged",
        });
        Tree::new("tag")
            .with("id", tag.id)
            .with_some("nativeMode", native)
    });
    Tree::new("vlan")
        .with_some("trunk", vlan.trunk.then_some("yes"))
        .and_all(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::macvtap::Mode;
    use crate::vnet::ports::{Macvtap, PortId, Tap};

    const PLAIN: QemuOptions = QemuOptions {
        vhost: false,
        fd: 3,
    };

    fn port(connection: Connection) -> Port {
        Port {
            id: PortId(7),
            network: "net".parse().unwrap(),
            owner: "guest".parse().unwrap(),
            mac: "52:54:00:00:00:01".parse().unwrap(),
            portgroup: None,
            bandwidth: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            connection,
        }
    }

    fn tap(queues: u16, mtu: u32) -> Port {
        port(Connection::Tap(Tap {
            bridge: "br0".parse().unwrap(),
            isolated: false,
            vlan: None,
            managed: false,
            queues,
            mtu,
        }))
    }

    fn macvtap(queues: u16) -> Port {
        port(Connection::Macvtap(Macvtap {
            lower: "eth1".parse().unwrap(),
            mode: Mode::Private,
            exclusive: false,
            queues,
            node: Some("/dev/tap9".into()),
            made_node: false,
            function: None,
        }))
    }

    #[test]
    fn qemu_gets_a_tap_by_name_and_a_macvtap_as_open_files() {
        assert_eq!(
            tap(1, 1500).qemu(PLAIN),
            "-netdev tap,id=ncf7,ifname=ncf7,script=no,downscript=no \
             -device virtio-net-pci,netdev=ncf7,mac=52:54:00:00:00:01"
        );
        let vhost = QemuOptions {
            vhost: true,
            ..PLAIN
        };
        assert_eq!(
            tap(4, 9000).qemu(vhost),
            "-netdev tap,id=ncf7,ifname=ncf7,script=no,downscript=no,queues=4,vhost=on \
             -device virtio-net-pci,netdev=ncf7,mac=52:54:00:00:00:01,mq=on,vectors=10,host_mtu=9000"
        );
        assert_eq!(
            macvtap(1).qemu(PLAIN),
            "-netdev tap,id=ncf7,fd=3 \
             -device virtio-net-pci,netdev=ncf7,mac=52:54:00:00:00:01 3<>/dev/tap9"
        );
        assert!(
            macvtap(2)
                .qemu(QemuOptions { fd: 10, ..PLAIN })
                .ends_with("10<>/dev/tap9 11<>/dev/tap9")
        );
    }

    #[test]
    fn libvirt_is_told_not_to_make_the_device() {
        assert_eq!(
            macvtap(1).libvirt().to_string(),
            "<interface type=\"ethernet\">\n  <mac address=\"52:54:00:00:00:01\"/>\n  \
             <target dev=\"ncf7\" managed=\"no\"/>\n  <model type=\"virtio\"/>\n</interface>\n"
        );
        let hostdev = port(Connection::Hostdev(Hostdev {
            address: "0000:03:10.1".parse().unwrap(),
            managed: true,
            driver: Some("vfio".to_owned()),
            function: None,
        }));
        let text = hostdev.libvirt().to_string();
        assert!(text.contains("type=\"hostdev\" managed=\"yes\""), "{text}");
        assert!(
            text.contains("bus=\"0x03\" slot=\"0x10\" function=\"0x1\""),
            "{text}"
        );
        assert!(hostdev.qemu(PLAIN).ends_with("host=0000:03:10.1"));
    }
}
