//! Times for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where the host's time zone is (`localtime(5)`).
const LOCALTIME: &str = "/etc/localtime";

/// A time of this host's, to the second: "2026-11-23 02:13:05".
pub fn local(time: Timestamp) -> String {
    time.to_zoned(zone())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// The host's time zone, or what `TZ` says. jiff's own way to it looks through the whole database of
/// time zones for the name, which takes longer than the rest of a `status`.
fn zone() -> TimeZone {
    if std::env::var_os("TZ").is_some() {
        return TimeZone::system();
    }
    let local = std::fs::read(LOCALTIME).ok();
    let zone = local.and_then(|bytes| TimeZone::tzif("Local", &bytes).ok());
    zone.unwrap_or(TimeZone::UTC)
}
