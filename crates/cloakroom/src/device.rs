//! The device: which family of browser on which family of system, as far as its headers say.
//!
//! Enough for a person to find "Firefox on Linux" in a list of sessions, and no more: no versions,
//! no models, nothing that would make a fingerprint. A small table of our own, because a complete
//! one has hundreds of kilobytes and tells no more of this.
//!
//! 1. Client hints (`Sec-CH-UA`, `Sec-CH-UA-Platform`) win over the `User-Agent`, each for what it
//!    says. Only browsers made from Chromium send them, and only over https.
//! 2. A brand that is there to be ignored ("Not A;Brand", GREASE) is ignored.
//! 3. At most [`LOOKED_AT`] bytes of each header are looked at.
//!
//! Any client can say anything here: nothing may be allowed or refused because of it.

use std::borrow::Cow;
use std::fmt;

/// How many bytes of a header are looked at.
pub const LOOKED_AT: usize = 1024;

/// A browser, on a system. [`Display`](fmt::Display) says it in English; an application words the
/// two families in its own language.
///
/// ```
/// use cloakroom::{Browser, Device, DeviceHeaders, System};
/// let device = Device::from_headers(&DeviceHeaders {
///     user_agent: b"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
///     ..DeviceHeaders::default()
/// });
/// assert_eq!(device, Device { browser: Browser::Firefox, system: System::Linux });
/// assert_eq!(device.to_string(), "Firefox on Linux");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Device {
    /// What was used.
    pub browser: Browser,
    /// What it ran on.
    pub system: System,
}

/// A family of browsers, or what was used in the place of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Browser {
    /// Google Chrome, and Chromium under its own name.
    Chrome,
    /// Microsoft Edge.
    Edge,
    /// Firefox, Firefox Focus.
    Firefox,
    /// Safari.
    Safari,
    /// Opera.
    Opera,
    /// Samsung Internet.
    SamsungInternet,
    /// An app: its own client, or a page that it shows in itself.
    App,
    /// A program without a person before it, as far as it says so: curl, a library, a crawler.
    Program,
    /// Another browser.
    Other,
    /// It does not say.
    #[default]
    Unknown,
}

/// A family of systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum System {
    /// Windows.
    Windows,
    /// macOS; also an iPad that asks for desktop pages, as Safari there does by default, and which
    /// can't be told from a Mac.
    MacOs,
    /// Linux, but for Android and ChromeOS.
    Linux,
    /// ChromeOS.
    ChromeOs,
    /// Android.
    Android,
    /// iOS: iPhone and iPod.
    Ios,
    /// iPadOS.
    IpadOs,
    /// Another system.
    Other,
    /// It does not say.
    #[default]
    Unknown,
}

/// The headers of a request that tell its device; empty where a header is absent.
///
/// `Sec-CH-UA-Mobile` is not among them: it tells a form, never a family.
#[derive(Clone, Copy, Default)]
pub struct DeviceHeaders<'a> {
    /// `User-Agent`.
    pub user_agent: &'a [u8],
    /// `Sec-CH-UA`: the brands.
    pub brands: &'a [u8],
    /// `Sec-CH-UA-Platform`: the system.
    pub platform: &'a [u8],
}

// Not derived: a log of numbers helps nobody.
impl fmt::Debug for DeviceHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceHeaders")
            .field("user_agent", &text_of(self.user_agent))
            .field("brands", &text_of(self.brands))
            .field("platform", &text_of(self.platform))
            .finish()
    }
}

impl Device {
    /// The device that these headers tell of. Takes anything; costs some microseconds, so ask when
    /// a session begins and not at every request.
    pub fn from_headers(headers: &DeviceHeaders<'_>) -> Self {
        let user_agent = text_of(headers.user_agent);
        let system = system_of_platform(&text_of(headers.platform))
            .unwrap_or_else(|| system_of_user_agent(&user_agent));
        let browser = browser_of_brands(&text_of(headers.brands))
            .unwrap_or_else(|| browser_of_user_agent(&user_agent, system));
        Self { browser, system }
    }

    /// The device whose codes these are; a code that is none stands for another one.
    pub(crate) fn from_codes(browser: &str, system: &str) -> Self {
        let browser = Browser::ALL.into_iter().find(|known| known.code() == browser);
        let system = System::ALL.into_iter().find(|known| known.code() == system);
        Self { browser: browser.unwrap_or(Browser::Other), system: system.unwrap_or(System::Other) }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { browser: Browser::Unknown, system: System::Unknown } => {
                f.write_str("Unknown device")
            }
            Self { browser, system: System::Unknown } => write!(f, "{browser}"),
            Self { browser, system } => write!(f, "{browser} on {system}"),
        }
    }
}

impl Browser {
    /// All families.
    pub const ALL: [Self; 10] = [
        Self::Chrome,
        Self::Edge,
        Self::Firefox,
        Self::Safari,
        Self::Opera,
        Self::SamsungInternet,
        Self::App,
        Self::Program,
        Self::Other,
        Self::Unknown,
    ];

    /// As it is kept in a store: never changed, never used anew, at most three letters.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Chrome => "chr",
            Self::Edge => "edg",
            Self::Firefox => "ffx",
            Self::Safari => "saf",
            Self::Opera => "opr",
            Self::SamsungInternet => "sam",
            Self::App => "app",
            Self::Program => "prg",
            Self::Other => "oth",
            Self::Unknown => "-",
        }
    }
}

impl fmt::Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chrome => "Chrome",
            Self::Edge => "Edge",
            Self::Firefox => "Firefox",
            Self::Safari => "Safari",
            Self::Opera => "Opera",
            Self::SamsungInternet => "Samsung Internet",
            Self::App => "App",
            Self::Program => "Program",
            Self::Other => "Other browser",
            Self::Unknown => "Unknown browser",
        })
    }
}

impl System {
    /// All families.
    pub const ALL: [Self; 9] = [
        Self::Windows,
        Self::MacOs,
        Self::Linux,
        Self::ChromeOs,
        Self::Android,
        Self::Ios,
        Self::IpadOs,
        Self::Other,
        Self::Unknown,
    ];

    /// As it is kept in a store: never changed, never used anew, at most three letters.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Windows => "win",
            Self::MacOs => "mac",
            Self::Linux => "lnx",
            Self::ChromeOs => "cro",
            Self::Android => "adr",
            Self::Ios => "ios",
            Self::IpadOs => "ipd",
            Self::Other => "oth",
            Self::Unknown => "-",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Windows => "Windows",
            Self::MacOs => "macOS",
            Self::Linux => "Linux",
            Self::ChromeOs => "ChromeOS",
            Self::Android => "Android",
            Self::Ios => "iOS",
            Self::IpadOs => "iPadOS",
            Self::Other => "another system",
            Self::Unknown => "an unknown system",
        })
    }
}

/// What `Sec-CH-UA-Platform` says; `None` if it says nothing.
fn system_of_platform(platform: &str) -> Option<System> {
    let name = platform.trim().strip_prefix('"')?.strip_suffix('"')?;
    match name {
        "" | "Unknown" => None,
        "Windows" => Some(System::Windows),
        "macOS" | "Mac OS X" => Some(System::MacOs),
        "Linux" => Some(System::Linux),
        "Chrome OS" | "Chromium OS" => Some(System::ChromeOs),
        "Android" => Some(System::Android),
        "iOS" => Some(System::Ios),
        _ => Some(System::Other),
    }
}

/// The brands of `Sec-CH-UA` that we know, the more telling first: every Edge is a Chromium.
const BRANDS: [(&str, Browser); 9] = [
    ("HeadlessChrome", Browser::Program),
    ("Android WebView", Browser::App),
    ("Microsoft Edge WebView2", Browser::App),
    ("Microsoft Edge", Browser::Edge),
    ("Opera", Browser::Opera),
    ("Opera GX", Browser::Opera),
    ("OperaMobile", Browser::Opera),
    ("Samsung Internet", Browser::SamsungInternet),
    ("Google Chrome", Browser::Chrome),
];

/// What `Sec-CH-UA` says, such as `"Chromium";v="140", "Not=A?Brand";v="24"`; `None` if nothing.
fn browser_of_brands(header: &str) -> Option<Browser> {
    let brands = || {
        let items = header.split(',').map(str::trim_start);
        items.filter_map(|item| Some(item.strip_prefix('"')?.split_once('"')?.0))
    };
    let known = BRANDS.iter().find(|(known, _)| brands().any(|brand| brand == *known));
    if let Some((_, browser)) = known {
        return Some(*browser);
    }
    let is_grease =
        |brand: &str| brand.chars().filter(char::is_ascii_alphabetic).eq("NotABrand".chars());
    if brands().any(|brand| brand != "Chromium" && !is_grease(brand)) {
        return Some(Browser::Other);
    }
    brands().any(|brand| brand == "Chromium").then_some(Browser::Chrome)
}

/// Which words of a `User-Agent` tell the system; the first that is found decides, so iPhones
/// ("like Mac OS X") come before Macs and Android (a Linux) before Linux.
const SYSTEM_WORDS: [(&[&str], System); 9] = [
    (&["Windows"], System::Windows),
    (&["CrOS "], System::ChromeOs),
    (&["Tizen", "Web0S", "KAIOS", "HarmonyOS", "OpenHarmony"], System::Other),
    (&["Android"], System::Android),
    (&["iPad"], System::IpadOs),
    (&["iPhone", "iPod"], System::Ios),
    (&["Macintosh", "Mac OS X", "macOS"], System::MacOs),
    (&["PlayStation", "Nintendo", "FreeBSD", "OpenBSD", "NetBSD", "SunOS", "Haiku"], System::Other),
    (&["Linux", "Ubuntu", "X11;"], System::Linux),
];

fn system_of_user_agent(user_agent: &str) -> System {
    find(&SYSTEM_WORDS, user_agent).unwrap_or_default()
}

/// Which words of a `User-Agent` tell the browser; the first that is found decides, for nearly all
/// of them also claim to be Chrome, Safari or both.
const BROWSER_WORDS: [(&[&str], Browser); 8] = [
    // Crawlers say where to read about them. Not "bot" alone, which is also in a phone's name.
    (
        &["+http", "bot/", "Bot/", "HeadlessChrome/", "Chrome-Lighthouse", "PhantomJS/"],
        Browser::Program,
    ),
    (
        &[
            "; wv)",
            "Version/4.0 Chrome/",
            "FBAN/",
            "FBAV/",
            "[FB",
            "Instagram ",
            " Line/",
            "GSA/",
            "MicroMessenger/",
            "Snapchat",
            "Pinterest",
            "BytedanceWebview",
            "musical_ly",
            "Electron/",
            "Twitter",
            "LinkedInApp",
            "CFNetwork/",
            "okhttp/",
            "Dalvik/",
        ],
        Browser::App,
    ),
    (&["SamsungBrowser/"], Browser::SamsungInternet),
    (&["OPR/", "Opera", "OPT/", "OPiOS/", "OPX/"], Browser::Opera),
    (&["Edg/", "EdgA/", "EdgiOS/", "Edge/"], Browser::Edge),
    (
        &[
            "YaBrowser/",
            "Vivaldi/",
            "UCBrowser/",
            "Whale/",
            "DuckDuckGo/",
            "Ddg/",
            "Brave/",
            "HuaweiBrowser/",
            "MiuiBrowser/",
            "QQBrowser/",
            "Silk/",
            "SeaMonkey/",
            "PaleMoon/",
            "Epiphany/",
            "MSIE ",
            "Trident/",
        ],
        Browser::Other,
    ),
    (&["Firefox/", "FxiOS/", "Focus/"], Browser::Firefox),
    (&["Chrome/", "Chromium/", "CriOS/"], Browser::Chrome),
];

fn browser_of_user_agent(user_agent: &str, system: System) -> Browser {
    if let Some(browser) = find(&BROWSER_WORDS, user_agent) {
        return browser;
    }
    let apple = matches!(system, System::MacOs | System::Ios | System::IpadOs);
    if !user_agent.starts_with("Mozilla/") {
        // Nobody but browsers claims to be Mozilla: what names a product and doesn't is a program.
        return if user_agent.contains('/') { Browser::Program } else { Browser::Unknown };
    }
    if user_agent.contains("Safari/") && user_agent.contains("Version/") {
        // Other browsers made from WebKit say the same elsewhere.
        return if apple { Browser::Safari } else { Browser::Other };
    }
    if apple && user_agent.contains("Mobile/") {
        // A page in an app, or one that was added to the home screen.
        return Browser::App;
    }
    let engine = ["AppleWebKit/", "Gecko/", "KHTML"];
    if engine.iter().any(|word| user_agent.contains(word)) {
        Browser::Other
    } else {
        Browser::Unknown
    }
}

fn find<T: Copy>(words: &[(&[&str], T)], text: &str) -> Option<T> {
    words.iter().find(|(words, _)| words.iter().any(|word| text.contains(word))).map(|(_, it)| *it)
}

/// The part of a header that is looked at, as text.
fn text_of(header: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&header[..header.len().min(LOOKED_AT)])
}
