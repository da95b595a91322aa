//! What a session knows of the client that began it: device, network address, and the
//! application's own label; and its one written form.
//!
//! All of it is what the client says of itself, or can be guessed: it helps people to know their
//! sessions apart, and is no secret and no proof of anything.

use std::fmt;

use crate::address::Network;
use crate::device::Device;

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
    use crate::device::{Browser, System};

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
