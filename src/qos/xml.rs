//! Limits in XML: libvirt's `<bandwidth>`.
//!
//! ```xml
//! <bandwidth>
//!   <inbound average='1000' peak='5000' burst='1024' floor='200'/>
//!   <outbound average='128' peak='256' burst='256'/>
//! </bandwidth>
//! ```
//!
//! Rates are whole kilobytes (1000 bytes) a second, bursts whole KiB, all 32 bits wide, and only `<inbound>` has
//! a floor: `bandwidth-params` in libvirt's `networkcommon.rng`.

use std::fmt::Display;

use super::limit::{Bandwidth, Limit, Parts};
use super::rate::{MAX_KILO, Rate, Size};
use crate::error::{Error, Result};
use crate::xml::{Element, Source, Tree};

/// The most levels that a `<bandwidth>` is looked for in.
const LEVELS: usize = 3;

impl Bandwidth {
    /// From a `<bandwidth>` element. Fails at the place that is wrong, and says what is allowed there.
    pub fn from_xml(element: Element<'_>) -> Result<Self> {
        element.allow_attributes(&[])?;
        element.allow_children(&["inbound", "outbound"])?;
        let inbound = element.child("inbound")?;
        let outbound = element.child("outbound")?;
        Ok(Self {
            inbound: inbound
                .map(|it| limit(it, &["average", "peak", "burst", "floor"]))
                .transpose()?,
            outbound: outbound
                .map(|it| limit(it, &["average", "peak", "burst"]))
                .transpose()?,
        })
    }

    /// From a document that is a `<bandwidth>` or holds exactly one, as an interface, a portgroup or a network
    /// does.
    pub fn from_document(source: &Source) -> Result<Self> {
        let document = source.parse()?;
        let root = document.root();
        let mut found = Vec::new();
        find(root, LEVELS, &mut found);
        match found.as_slice() {
            [one] => Self::from_xml(*one),
            [] => Err(root.error("there is no <bandwidth> in it")),
            [_, second, ..] => Err(second.error("a second <bandwidth>: which is meant?")),
        }
    }

    /// As a `<bandwidth>` element. Fails where a rate is no whole number of kB/s, or a size none of KiB, which
    /// what came from XML always is.
    pub fn to_xml(&self) -> Result<Tree> {
        let mut tree = Tree::new("bandwidth");
        for (name, limit) in [("inbound", &self.inbound), ("outbound", &self.outbound)] {
            if let Some(limit) = limit {
                tree.push(element(name, limit)?);
            }
        }
        Ok(tree)
    }
}

fn find<'a>(element: Element<'a>, levels: usize, found: &mut Vec<Element<'a>>) {
    if element.is("bandwidth") {
        found.push(element);
    } else if levels > 0 {
        for child in element.children() {
            find(child, levels - 1, found);
        }
    }
}

fn limit(element: Element<'_>, attributes: &[&str]) -> Result<Limit> {
    element.allow_attributes(attributes)?;
    element.allow_children(&[])?;
    let rate = |name| element.parsed(name, |text| number(text, "kB/s", Rate::from_kilobytes));
    let parts = Parts {
        average: rate("average")?,
        peak: rate("peak")?,
        burst: element.parsed("burst", |text| number(text, "KiB", Size::from_kib))?,
        floor: rate("floor")?,
    };
    Limit::new(parts).map_err(|why| element.error(format!("<{}>: {why}", element.name())))
}

/// A decimal number, in the form of XML Schema's `unsignedInt`.
fn number<T>(text: &str, unit: &str, make: impl Fn(u64) -> Option<T>) -> Result<T, String> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| text.parse().ok()).flatten();
    value
        .and_then(make)
        .ok_or_else(|| format!("a whole number of {unit} from 1 to {MAX_KILO} is allowed"))
}

fn element(name: &str, limit: &Limit) -> Result<Tree> {
    let rate = |rate: Option<Rate>| {
        let whole = |rate: Rate| {
            let (below, above) = (rate.bytes() / 1000, rate.bytes() / 1000 + 1);
            let nearest = format!("the nearest are {below} and {above} kB/s");
            let whole = rate.kilobytes();
            whole.ok_or_else(|| not_whole(rate, "kB/s").hint(nearest))
        };
        rate.map(whole).transpose()
    };
    let size = |size: Size| size.kib().ok_or_else(|| not_whole(size, "KiB"));
    Ok(Tree::new(name)
        .with_some("average", rate(limit.average())?)
        .with_some("peak", rate(limit.peak())?)
        .with_some("burst", limit.burst().map(size).transpose()?)
        .with_some("floor", rate(limit.floor())?))
}

fn not_whole(value: impl Display, unit: &str) -> Error {
    Error::failed(format!(
        "{value} cannot be written in XML: only whole numbers of {unit} can"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Bandwidth> {
        Bandwidth::from_document(&Source::new("x", text))
    }

    #[test]
    fn libvirts_own_example_comes_back_as_it_was() {
        let text = "<bandwidth>\n  \
                    <inbound average=\"1000\" peak=\"5000\" burst=\"1024\" floor=\"200\"/>\n  \
                    <outbound average=\"128\" peak=\"256\" burst=\"256\"/>\n</bandwidth>\n";
        assert_eq!(read(text).unwrap().to_xml().unwrap().to_string(), text);
    }

    #[test]
    fn it_is_found_inside_an_interface() {
        let text = "<interface type='network'><source network='a'/>\
                    <bandwidth><inbound floor='5'/></bandwidth></interface>";
        let floor = read(text).unwrap().inbound.unwrap().floor();
        assert_eq!(floor, Rate::from_kilobytes(5));
    }

    #[test]
    fn what_is_wrong_is_refused_at_its_place() {
        for (text, words) in [
            ("<a/>", "there is no <bandwidth>"),
            (
                "<a><bandwidth/><bandwidth/></a>",
                "x:1:16: a second <bandwidth>",
            ),
            ("<bandwidth><inbound/></bandwidth>", "an average is needed"),
            (
                "<bandwidth><inbound average='0'/></bandwidth>",
                "x:1:30: inbound average=\"0\" is wrong",
            ),
            (
                "<bandwidth><inbound average='-1'/></bandwidth>",
                "from 1 to 4294967295",
            ),
            (
                "<bandwidth><inbound average='4294967296'/></bandwidth>",
                "from 1 to 4294967295",
            ),
            (
                "<bandwidth><inbound average='1' burst='lots'/></bandwidth>",
                "whole number of KiB",
            ),
            (
                "<bandwidth><inbound average='2' peak='1'/></bandwidth>",
                "is below the average",
            ),
            (
                "<bandwidth><outbound average='2' floor='1'/></bandwidth>",
                "<outbound> has no attribute floor",
            ),
            (
                "<bandwidth><up average='2'/></bandwidth>",
                "<up> is not allowed",
            ),
            (
                "<bandwidth><inbound average='2'/><inbound average='2'/></bandwidth>",
                "a second <inbound>",
            ),
        ] {
            let why = read(text).unwrap_err().to_string();
            assert!(why.contains(words), "{text}: {why}");
        }
    }

    #[test]
    fn what_xml_cannot_say_is_not_rounded() {
        let limit = Limit::average_of("100kbit".parse().unwrap());
        let bandwidth = Bandwidth {
            inbound: Some(limit),
            outbound: None,
        };
        let why = bandwidth.to_xml().unwrap_err().to_string();
        assert!(
            why.starts_with("100 kbit/s cannot be written in XML"),
            "{why}"
        );
    }
}
