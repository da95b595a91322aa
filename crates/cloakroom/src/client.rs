//! What a session knows of the client that began it: device, network address, and the
//! application's own label; and its one written form.
//!
//! All of it is what the client says of itself, or can be guessed: it helps people to know their
//! sessions apart, and is no secret and no proof of anything.

use std::fmt;

use crate::address::Network;
use crate::device::{Browser, Device, System};

/// The client that began a session, as its user sees it on a page "your devices".
///
/// ```
/// use cloakroom::{AddressPrivacy, Browser, Client, Device, Label, System};
/// let client = Client {
///     device: Device { browser: Browser::Firefox, system: System::Linux },
///     address: AddressPrivacy::Truncated.keep("203.0.113.7".parse()?),
///     label: Some(Label::new("admin")?),
/// };
/// assert_eq!(client.to_text(), "ffx lnx 203.0.113.0/24 admin");
/// assert_eq!(Client::from_text("ffx lnx 203.0.113.0/24 admin"), client);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Browser and system.
    pub device: Device,
    /// Its address, as much as is kept of it; see
    /// [`AddressPrivacy::keep`](crate::address::AddressPrivacy::keep).
    pub address: Option<Network>,
    /// Which of your applications it is, if you have several over one store.
    pub label: Option<Label>,
}

impl Client {
    /// The most bytes that [`to_text`](Self::to_text) makes. Above 64 Redis would turn the whole
    /// hash into a bigger encoding.
    pub const LONGEST_TEXT: usize = 3 + 1 + 3 + 1 + 39 + 1 + Label::LONGEST;

    /// As it is kept in a store: `BROWSER SYSTEM ADDRESS LABEL`, parted by one space; the two codes
    /// of [`Device`] have three letters; `-` stands for an unknown device and no address; without a
    /// label the text ends after the address.
    pub fn to_text(&self) -> String {
        let Device { browser, system } = self.device;
        let mut text = format!("{} {} ", browser.code(), system.code());
        match &self.address {
            Some(address) => text.push_str(&address.to_string()),
            None => text.push('-'),
        }
        if let Some(label) = &self.label {
            text.push(' ');
            text.push_str(label.as_str());
        }
        text
    }

    /// The client whose text this is. A device that this version doesn't know is another one; an
    /// address or a label that is none is left out, and so is what later versions add at the end:
    /// no session is lost because of it.
    pub fn from_text(text: &str) -> Self {
        let mut parts = text.split(' ');
        let mut part = || parts.next().filter(|part| !part.is_empty()).unwrap_or("-");
        Self {
            device: Device::from_codes(part(), part()),
            address: part().parse().ok(),
            label: Label::new(part()).ok(),
        }
    }
}

impl Client {
    /// What is different of a later client, as far as both are known: see [`Difference`].
    ///
    /// ```
    /// use cloakroom::{Client, Difference};
    /// let then = Client::from_text("ffx lnx 203.0.113.0/24");
    /// let now = Client::from_text("ffx win 198.51.100.7");
    /// assert_eq!(then.differences(&now), [Difference::System, Difference::Network]);
    /// // An update, another address of the same network, or silence is no difference.
    /// assert_eq!(then.differences(&Client::from_text("ffx - 203.0.113.7")), []);
    /// ```
    pub fn differences(&self, later: &Self) -> Vec<Difference> {
        let (then, now) = (self.device, later.device);
        let browser = known_and_other(then.browser, now.browser, Browser::Unknown);
        let system = known_and_other(then.system, now.system, System::Unknown);
        let network =
            self.address.zip(later.address).is_some_and(|(then, now)| then.is_far_from(&now));
        let all = [
            (browser, Difference::Browser),
            (system, Difference::System),
            (network, Difference::Network),
        ];
        all.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect()
    }
}

fn known_and_other<T: PartialEq>(then: T, now: T, unknown: T) -> bool {
    then != unknown && now != unknown && then != now
}

/// What a client has no more in common with the one that logged in. Each is told by the client
/// itself and happens to honest people: a signal worth a line in an audit trail or a second look, and
/// alone no reason to end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Difference {
    /// Another family of browsers. A browser does not become another one.
    Browser,
    /// Another family of systems. An iPad that asks for desktop pages says that it is a Mac.
    System,
    /// Another network: the first 24 bits of an IPv4 address, 48 of an IPv6 one. Every phone that
    /// leaves the house changes it. An IPv4 and an IPv6 address can't be compared.
    Network,
}

/// A name that an application gives to the sessions that it begins: 1 to 16 characters of
/// `a-z 0-9 . _ -`, and not `-` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    const LONGEST: usize = 16;

    /// Takes a label, or says what is wrong with it.
    ///
    /// ```
    /// use cloakroom::Label;
    /// assert_eq!(Label::new("admin")?.as_str(), "admin");
    /// assert!(Label::new("Admin pages").is_err());
    /// # Ok::<(), cloakroom::InvalidLabel>(())
    /// ```
    pub fn new(label: impl Into<String>) -> Result<Self, InvalidLabel> {
        let label = label.into();
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let fits = (1..=Self::LONGEST).contains(&label.len()) && label.bytes().all(allowed);
        if fits && label != "-" {
            Ok(Self(label))
        } else {
            Err(InvalidLabel(label.chars().take(40).collect()))
        }
    }

    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no [`Label`].
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{0:?} is no label: it takes 1 to 16 characters of a-z 0-9 . _ - and is not - alone, for \
     example \"admin\""
)]
pub struct InvalidLabel(String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressPrivacy;

    fn client(device: (Browser, System), address: &str, label: &str) -> Client {
        Client {
            device: Device { browser: device.0, system: device.1 },
            address: address.parse().ok(),
            label: Label::new(label).ok(),
        }
    }

    #[test]
    fn the_written_form_never_changes() {
        for (written, client) in [
            ("- - -", Client::default()),
            (
                "chr win 203.0.113.7 shop",
                client((Browser::Chrome, System::Windows), "203.0.113.7", "shop"),
            ),
            (
                "edg mac 203.0.113.0/24",
                client((Browser::Edge, System::MacOs), "203.0.113.0/24", ""),
            ),
            (
                "saf ios 2001:db8:1::/48 a",
                client((Browser::Safari, System::Ios), "2001:db8:1::/48", "a"),
            ),
            ("ffx lnx - admin", client((Browser::Firefox, System::Linux), "", "admin")),
            ("opr ipd ::1", client((Browser::Opera, System::IpadOs), "::1", "")),
            ("sam adr - -.-", client((Browser::SamsungInternet, System::Android), "", "-.-")),
            ("app cro -", client((Browser::App, System::ChromeOs), "", "")),
            ("prg - 127.0.0.1", client((Browser::Program, System::Unknown), "127.0.0.1", "")),
            ("oth oth -", client((Browser::Other, System::Other), "", "")),
        ] {
            assert_eq!(client.to_text(), written);
            assert_eq!(Client::from_text(written), client, "{written}");
        }
    }

    // Proves R72.
    #[test]
    fn only_what_is_known_of_both_can_differ() {
        use Difference::{Browser, Network, System};
        let then = "chr win 203.0.113.7";
        for (now, differences) in [
            ("chr win 203.0.113.7", &[][..]),
            ("chr win 203.0.113.0/24", &[]),
            ("- - -", &[]),
            ("chr win 2001:db8::1", &[]),
            ("chr win 203.0.114.7", &[Network]),
            ("edg win 203.0.113.9", &[Browser]),
            ("chr lnx -", &[System]),
            ("oth oth 10.0.0.0/24 admin", &[Browser, System, Network]),
        ] {
            let [then, now] = [then, now].map(Client::from_text);
            assert_eq!(then.differences(&now), differences, "{now:?}");
            assert_eq!(now.differences(&then), differences, "{now:?}");
        }
        for (then, now, far) in [
            ("2001:db8:1:2::3", "2001:db8:1:ffff::9", false),
            ("2001:db8:1::/48", "2001:db8:2::/48", true),
            ("2002:cb00:7100::/40", "2002:cb00:7142::/48", false),
        ] {
            let [then, now] = [then, now].map(|at| Client::from_text(&format!("- - {at}")));
            assert_eq!(then.differences(&now).contains(&Network), far, "{then:?}");
        }
    }

    #[test]
    fn every_device_is_read_back_and_nothing_is_longer_than_64_bytes() {
        let mut longest = 0;
        for browser in Browser::ALL {
            for system in System::ALL {
                let address = "1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap();
                let written = Client {
                    device: Device { browser, system },
                    address: AddressPrivacy::Full.keep(address),
                    label: Some(Label::new("sixteen-letters.").unwrap()),
                };
                longest = longest.max(written.to_text().len());
                assert_eq!(Client::from_text(&written.to_text()), written);
            }
        }
        assert_eq!((longest, Client::LONGEST_TEXT), (64, 64));
    }

    #[test]
    fn what_a_later_version_or_a_stranger_wrote_is_read_as_far_as_it_goes() {
        let other = Device { browser: Browser::Other, system: System::Other };
        for (written, read) in [
            ("", Client::default()),
            ("new sys - -", Client { device: other, ..Client::default() }),
            (
                "new sys 10.0.0.1 shop more",
                client((Browser::Other, System::Other), "10.0.0.1", "shop"),
            ),
            ("chr win 10.0.0.1/8 SHOP", client((Browser::Chrome, System::Windows), "", "")),
            (
                "\u{0}",
                Client { device: Device { system: System::Unknown, ..other }, ..Client::default() },
            ),
        ] {
            assert_eq!(Client::from_text(written), read, "{written:?}");
        }
    }
}
