//! SR-IOV cards as sysfs shows them: which virtual functions a physical one has, and what each is used for.
//!
//! Source: `Documentation/PCI/pci-iov-howto.rst` and `Documentation/ABI/testing/sysfs-bus-pci`. Links named `virtfn0`,
//! `virtfn1`, … in a physical function's directory lead to its functions; `physfn` leads back.

use std::io;
use std::path::{Path, PathBuf};

use super::name::InterfaceName;
use super::pci::PciAddress;
use crate::error::{Context, Error, Result};

/// A mounted sysfs, normally `/sys`.
#[derive(Debug, Clone)]
pub struct Sysfs {
    path: PathBuf,
}

/// A function that can be given to a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciFunction {
    /// Where it is.
    pub address: PciAddress,
    /// The name of its driver; `None` where it has none.
    pub driver: Option<String>,
    /// Its network device, where its driver made one and it is in this namespace.
    pub device: Option<InterfaceName>,
    /// The physical function that it is a virtual one of.
    pub physical: Option<Physical>,
}

/// Whose virtual function a function is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Physical {
    /// The physical function's network device.
    pub device: Option<InterfaceName>,
    /// The number of the virtual function, from 0.
    pub number: u32,
}

impl Sysfs {
    /// The one at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The addresses of the virtual functions of a card, in the order of their numbers; none where there are none.
    ///
    /// Fails where the card is not there, or cannot have any.
    pub fn virtual_functions(&self, physical: &InterfaceName) -> Result<Vec<PciAddress>> {
        let device = self.device_of(physical);
        if !device.exists() {
            let card = self.path.join("class/net").join(physical.as_str());
            let why = if card.exists() {
                format!("{physical} is no PCI device")
            } else {
                format!("there is no {physical}")
            };
            return Err(Error::failed(format!(
                "cannot list the virtual functions of {physical}: {why}"
            )));
        }
        if !device.join("sriov_totalvfs").exists() {
            return Err(Error::failed(format!(
                "cannot list the virtual functions of {physical}: it has no SR-IOV"
            )));
        }
        let numbered = numbered_functions(&device)
            .context(|| format!("cannot list the virtual functions of {physical}"))?;
        Ok(numbered.into_iter().map(|(_, address)| address).collect())
    }

    /// The function at `address`; `None` where there is none.
    pub fn function(&self, address: PciAddress) -> Result<Option<PciFunction>> {
        let directory = self.directory_of(address);
        if !directory.exists() {
            return Ok(None);
        }
        let failed = || format!("cannot look up the PCI device {address}");
        let physical = directory.join("physfn");
        let physical = if physical.exists() {
            let numbered = numbered_functions(&physical).context(failed)?;
            let number = numbered.iter().find(|(_, it)| *it == address);
            number.map(|(number, _)| Physical {
                device: network_device(&physical),
                number: *number,
            })
        } else {
            None
        };
        Ok(Some(PciFunction {
            address,
            driver: file_name_of_target(&directory.join("driver")),
            device: network_device(&directory),
            physical,
        }))
    }

    /// The function that a network device belongs to; `None` where it is no PCI device.
    pub fn function_of(&self, device: &InterfaceName) -> Result<Option<PciFunction>> {
        let address = file_name_of_target(&self.device_of(device));
        match address.and_then(|name| name.parse().ok()) {
            Some(address) => self.function(address),
            None => Ok(None),
        }
    }

    /// A device on top of a network device, such as a VLAN or a macvlan of it, by name the first. `index` is the network device's
    /// number: where this sysfs shows another namespace's device of that name, nothing is known.
    pub fn upper_of(&self, device: &InterfaceName, index: u32) -> Option<String> {
        let directory = self.path.join("class/net").join(device.as_str());
        if !shows(&directory, index) {
            return None;
        }
        let entries = std::fs::read_dir(directory).ok()?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let uppers =
            names.filter_map(|name| Some(name.to_str()?.strip_prefix("upper_")?.to_owned()));
        uppers.min()
    }

    /// The number of a macvtap device's character device, major and minor, as `mknod(2)` takes it. `index` as for
    /// [`Sysfs::upper_of`].
    pub fn character_device(&self, macvtap: &InterfaceName, index: u32) -> Option<(u64, u64)> {
        let directory = self.path.join("class/net").join(macvtap.as_str());
        if !shows(&directory, index) {
            return None;
        }
        let below = directory.join("macvtap").join(format!("tap{index}"));
        let number = std::fs::read_to_string(below.join("dev")).ok()?;
        let (major, minor) = number.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    /// The IOMMU group that a device is in, as a file name below `/dev/vfio`.
    pub fn iommu_group(&self, address: PciAddress) -> Option<String> {
        file_name_of_target(&self.directory_of(address).join("iommu_group"))
    }

    fn device_of(&self, device: &InterfaceName) -> PathBuf {
        let class = self.path.join("class/net");
        class.join(device.as_str()).join("device")
    }

    fn directory_of(&self, address: PciAddress) -> PathBuf {
        let devices = self.path.join("bus/pci/devices");
        devices.join(address.to_string())
    }
}

/// Whether a network device's directory is that of the device with this number.
fn shows(directory: &Path, index: u32) -> bool {
    let shown = std::fs::read_to_string(directory.join("ifindex"));
    shown.is_ok_and(|shown| shown.trim().parse() == Ok(index))
}

/// The virtual functions below a physical one's directory, with their numbers, in order.
fn numbered_functions(physical: &Path) -> io::Result<Vec<(u32, PciAddress)>> {
    let mut functions = Vec::new();
    for entry in std::fs::read_dir(physical)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("virtfn"));
        let Some(number) = number.and_then(|number| number.parse().ok()) else {
            continue;
        };
        let address = file_name_of_target(&entry.path());
        if let Some(address) = address.and_then(|address| address.parse().ok()) {
            functions.push((number, address));
        }
    }
    functions.sort_unstable();
    Ok(functions)
}

/// The first network device of a PCI device, by name.
fn network_device(directory: &Path) -> Option<InterfaceName> {
    let entries = std::fs::read_dir(directory.join("net")).ok()?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let names = names.filter_map(|name| name.to_str()?.parse().ok());
    names.min()
}

/// The last part of what a symbolic link points to.
fn file_name_of_target(link: &Path) -> Option<String> {
    let target = std::fs::read_link(link).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A card `eth2` with `count` virtual functions, as sysfs shows it.
    fn card(sys: &Path, count: u32) {
        let devices = sys.join("devices/pci0000:00");
        let physical = devices.join("0000:03:00.0");
        fs::create_dir_all(physical.join("net/eth2")).unwrap();
        fs::write(physical.join("sriov_totalvfs"), "16\n").unwrap();
        fs::create_dir_all(sys.join("class/net")).unwrap();
        fs::create_dir_all(sys.join("bus/pci/devices")).unwrap();
        fs::create_dir_all(sys.join("bus/pci/drivers/igbvf")).unwrap();
        let class = sys.join("class/net/eth2");
        fs::create_dir_all(&class).unwrap();
        symlink(&physical, class.join("device")).unwrap();
        for number in 0..count {
            let name = format!("0000:03:{:02x}.0", 0x10 + number);
            let function = devices.join(&name);
            fs::create_dir_all(function.join(format!("net/eth2v{number}"))).unwrap();
            symlink(&physical, function.join("physfn")).unwrap();
            symlink(sys.join("bus/pci/drivers/igbvf"), function.join("driver")).unwrap();
            symlink(
                format!("../{name}"),
                physical.join(format!("virtfn{number}")),
            )
            .unwrap();
            symlink(&function, sys.join("bus/pci/devices").join(&name)).unwrap();
        }
    }

    #[test]
    fn functions_come_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        card(dir.path(), 12);
        let sysfs = Sysfs::new(dir.path());
        let found = sysfs.virtual_functions(&"eth2".parse().unwrap()).unwrap();
        let slots: Vec<_> = found.iter().map(|address| address.slot).collect();
        assert_eq!(slots, (0x10..0x1c).collect::<Vec<_>>());
        let function = sysfs.function(found[11]).unwrap().unwrap();
        assert_eq!(function.driver.as_deref(), Some("igbvf"));
        assert_eq!(function.device.unwrap().as_str(), "eth2v11");
        let physical = function.physical.unwrap();
        assert_eq!(physical.number, 11);
        assert_eq!(physical.device.unwrap().as_str(), "eth2");
    }

    #[test]
    fn what_has_no_functions_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let sysfs = Sysfs::new(dir.path());
        let eth2 = "eth2".parse().unwrap();
        let error = sysfs.virtual_functions(&eth2).unwrap_err();
        assert!(error.to_string().ends_with("there is no eth2"), "{error}");
        card(dir.path(), 0);
        assert_eq!(sysfs.virtual_functions(&eth2).unwrap(), []);
        let physical = dir.path().join("devices/pci0000:00/0000:03:00.0");
        fs::remove_file(physical.join("sriov_totalvfs")).unwrap();
        let error = sysfs.virtual_functions(&eth2).unwrap_err();
        assert!(error.to_string().ends_with("no SR-IOV"), "{error}");
        let nowhere = sysfs.function("0000:09:00.0".parse().unwrap()).unwrap();
        assert_eq!(nowhere, None);
    }
}
