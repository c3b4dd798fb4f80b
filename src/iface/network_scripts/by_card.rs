//! Files that are a card's by its address, seen as if they named it.
//!
//! The scripts let a file have `HWADDR` and no `DEVICE` (`source_config` in `network-functions` looks for the device
//! then), and NetworkManager used to write such files under the names of its connections. Here each of them has a
//! `DEVICE` more, so that whatever asks for files by the names of interfaces need not know of cards.

use std::ffi::{OsStr, OsString};

use super::config;
use super::definition::entry::{Cards, Entry};
use crate::Result;
use crate::iface::backend::{Card, Files};
use crate::ifcfg::File;

const KEY: &[u8] = b"HWADDR";

/// The files `inner` on a host with `cards`.
pub(super) struct ByCard<'a> {
    inner: &'a dyn Files,
    cards: Cards<'a>,
}

impl<'a> ByCard<'a> {
    pub(super) fn new(inner: &'a dyn Files, cards: &'a [Card]) -> Self {
        Self {
            inner,
            cards: Cards::of(cards),
        }
    }

    /// What the file `name` holds, which is `bytes`, and the device that they leave out.
    fn with_device(&self, name: &OsStr, bytes: Vec<u8>) -> Vec<u8> {
        let has_address = || bytes.windows(KEY.len()).any(|it| it == KEY);
        if self.cards.is_empty() || !config::is_ifcfg(name) || !has_address() {
            return bytes;
        }
        let Some(entry) = Entry::of(name.to_owned(), bytes.clone(), &self.cards) else {
            return bytes;
        };
        let device = entry.interface().filter(|_| entry.is_by_address());
        let Some(device) = device else {
            return bytes;
        };
        let mut file = File::parse(&bytes);
        // What cannot be edited stays as it is: then the file is an interface's by its name.
        match file.set("DEVICE", device.as_str().as_bytes()) {
            Ok(()) => file.to_bytes(),
            Err(_) => bytes,
        }
    }
}

impl Files for ByCard<'_> {
    fn names(&self) -> Result<Vec<OsString>> {
        self.inner.names()
    }

    fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        let bytes = self.inner.read(name)?;
        Ok(bytes.map(|bytes| self.with_device(name, bytes)))
    }

    fn is_link(&self, name: &OsStr) -> bool {
        self.inner.is_link(name)
    }

    fn matching(
        &self,
        wanted: &(dyn Fn(&OsStr) -> bool + Sync),
    ) -> Result<Vec<(OsString, Result<Vec<u8>>)>> {
        let found = self.inner.matching(wanted)?.into_iter();
        Ok(found
            .map(|(name, bytes)| {
                let bytes = bytes.map(|bytes| self.with_device(&name, bytes));
                (name, bytes)
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(&'static str, &'static [u8]);

    impl Files for One {
        fn names(&self) -> Result<Vec<OsString>> {
            Ok(vec![self.0.into()])
        }

        fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
            Ok((name == self.0).then(|| self.1.to_vec()))
        }
    }

    #[test]
    fn only_a_file_that_is_a_cards_by_its_address_alone_names_it() {
        let cards = [Card {
            name: "eth5".parse().unwrap(),
            mac: "52:54:00:00:00:05".parse().unwrap(),
        }];
        let by_address = b"HWADDR=52:54:00:00:00:05\nMTU=1400\n";
        let named = b"HWADDR=52:54:00:00:00:05\nMTU=1400\nDEVICE=eth5\n";
        let mut cases: Vec<(_, &[u8], &[u8])> = vec![("ifcfg-Profile_1", by_address, named)];
        let others: [(_, &[u8]); 7] = [
            ("ifcfg-x", b"HWADDR=$(mac)\n"),
            ("ifcfg-x", b"HWADDR=52:54:00:00:00:06\n"),
            ("ifcfg-x", b"DEVICE=x\nHWADDR=52:54:00:00:00:05\n"),
            ("ifcfg-x", b"MACADDR=52:54:00:00:00:05\n"),
            // The quotation would swallow what is appended.
            ("ifcfg-x", b"HWADDR=52:54:00:00:00:05\nX='"),
            ("ifcfg-x.bak", by_address),
            ("route-x", by_address),
        ];
        cases.extend(others.map(|(name, has)| (name, has, has)));
        for (name, has, seen) in cases {
            let one = One(name, has);
            let files = ByCard::new(&one, &cards);
            let read = files.read(name.as_ref()).unwrap().unwrap();
            assert_eq!(read, seen, "{name}");
            let (_, matching) = files.matching(&|_| true).unwrap().remove(0);
            assert_eq!(matching.unwrap(), seen, "{name}");
            assert_eq!(files.read("absent".as_ref()).unwrap(), None);
        }
    }
}
