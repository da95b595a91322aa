//! All that the pages say, each language in a file of its own. A language that lacks a text does not
//! compile: the texts are the fields of [`Texts`], and what goes wrong is an enum.
//!
//! Where a page puts a value into a sentence, the sentence is an [`Around`], because the value is
//! escaped and marked up by the template.

mod english;
mod japanese;

use std::time::Duration;

use cloakroom::Device;

use crate::language::Language;

pub(crate) struct Texts {
    pub(crate) frame: FrameTexts,
    pub(crate) index: IndexTexts,
    pub(crate) kept: KeptTexts,
    pub(crate) devices: DevicesTexts,
    pub(crate) login: LoginTexts,
    pub(crate) logout: LogoutTexts,
    pub(crate) about: AboutTexts,
    pub(crate) failure: fn(Trouble) -> FailureTexts,
    pub(crate) time: fn(Time) -> String,
    pub(crate) ago: fn(Ago) -> String,
    pub(crate) device: fn(Device) -> String,
}

impl Texts {
    pub(crate) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &english::TEXTS,
            Language::Japanese => &japanese::TEXTS,
        }
    }
}

/// What stands before and after a value.
#[derive(Clone, Copy)]
pub(crate) struct Around(pub(crate) &'static str, pub(crate) &'static str);

/// On every page.
pub(crate) struct FrameTexts {
    /// What the links at the top are, for those who hear the page.
    pub(crate) pages: &'static str,
    pub(crate) about: &'static str,
    pub(crate) devices: &'static str,
    pub(crate) back: &'static str,
}

pub(crate) struct IndexTexts {
    pub(crate) welcome: &'static str,
    pub(crate) logged_in_as: Around,
    pub(crate) visits: Around,
    pub(crate) ends_in: Around,
    pub(crate) ends_in_any_case: Around,
    pub(crate) ended: &'static str,
    pub(crate) not_logged_in: &'static str,
    pub(crate) what_happens: &'static str,
}

/// What the curious see of their session.
pub(crate) struct KeptTexts {
    pub(crate) title: &'static str,
    pub(crate) in_server: &'static str,
    pub(crate) in_folder: &'static str,
    pub(crate) in_memory: &'static str,
    pub(crate) look_yourself: &'static str,
    pub(crate) id: &'static str,
    pub(crate) about_id: Around,
    pub(crate) key: &'static str,
    pub(crate) about_key: &'static str,
    pub(crate) fields: &'static str,
    pub(crate) reserved: &'static str,
    pub(crate) layout: &'static str,
    pub(crate) created: &'static str,
    pub(crate) absolute: &'static str,
    pub(crate) idle: &'static str,
    pub(crate) seen: &'static str,
    pub(crate) cookie_goes: &'static str,
    pub(crate) cookie_stays: &'static str,
    pub(crate) user: &'static str,
    /// Around the link to the devices.
    pub(crate) client: Around,
    pub(crate) visits: &'static str,
    pub(crate) other: &'static str,
    pub(crate) left: &'static str,
    pub(crate) about_left: &'static str,
}

pub(crate) struct DevicesTexts {
    pub(crate) title: &'static str,
    pub(crate) what_to_do: &'static str,
    pub(crate) this: &'static str,
    pub(crate) in_use: &'static str,
    pub(crate) used: &'static str,
    pub(crate) logged_in: &'static str,
    pub(crate) remembered: &'static str,
    pub(crate) address: &'static str,
    pub(crate) label: &'static str,
    pub(crate) end: &'static str,
    pub(crate) end_others: &'static str,
    pub(crate) end_all: &'static str,
    pub(crate) more: &'static str,
}

pub(crate) struct LoginTexts {
    pub(crate) title: &'static str,
    pub(crate) name: &'static str,
    /// Around the time.
    pub(crate) remember: Around,
    pub(crate) problem_name: &'static str,
    pub(crate) problem_full: &'static str,
    pub(crate) button: &'static str,
    pub(crate) note: &'static str,
}

pub(crate) struct LogoutTexts {
    pub(crate) title: &'static str,
    pub(crate) question: &'static str,
    pub(crate) why: &'static str,
    pub(crate) button: &'static str,
    pub(crate) stay: &'static str,
}

pub(crate) struct AboutTexts {
    pub(crate) title: &'static str,
    pub(crate) ticket: &'static str,
    pub(crate) free: &'static str,
    pub(crate) free_title: &'static str,
    pub(crate) cookies_title: &'static str,
    pub(crate) cookies: &'static str,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    NoAddress,
    FromAnotherSite,
    NotFound,
    /// Never comes from a status alone.
    NoSuchSession,
    NotAllowed,
    TooSlow,
    SessionEnded,
    TooLarge,
    NoForm,
    Unusable,
    StoreAway,
    Other(u16),
}

impl Trouble {
    pub(crate) fn of(status: u16) -> Self {
        match status {
            400 => Self::NoAddress,
            403 => Self::FromAnotherSite,
            404 => Self::NotFound,
            405 => Self::NotAllowed,
            408 => Self::TooSlow,
            409 => Self::SessionEnded,
            413 => Self::TooLarge,
            415 => Self::NoForm,
            422 => Self::Unusable,
            503 => Self::StoreAway,
            other => Self::Other(other),
        }
    }
}

pub(crate) struct FailureTexts {
    pub(crate) title: &'static str,
    pub(crate) what: String,
    pub(crate) way_out: WayOut,
}

/// What the visitor can do then.
#[derive(Clone, Copy)]
pub(crate) enum WayOut {
    /// Go to the start page.
    Start,
    /// Look at the devices.
    Devices(&'static str),
    /// Log in.
    LogIn(&'static str),
    /// Ask for the same page again.
    Again(&'static str),
}

/// A time as a person says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) number: u64,
    pub(crate) unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

/// How long ago something was, as a person says it. Not "yesterday": nobody knows where the
/// visitor's midnight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ago {
    JustNow,
    Before(Time),
}

impl Ago {
    /// In whole units: what is 119 seconds ago is a minute ago.
    pub(crate) fn of(time: Duration) -> Self {
        let seconds = time.as_secs();
        let (unit, length) = match seconds {
            0..60 => return Self::JustNow,
            60..3_600 => (Unit::Minute, 60),
            3_600..86_400 => (Unit::Hour, 3_600),
            _ => (Unit::Day, 86_400),
        };
        Self::Before(Time { number: seconds / length, unit })
    }
}

impl Time {
    /// To the nearest unit of which there are two or more.
    pub(crate) fn about(time: Duration) -> Self {
        let seconds = (time.as_millis() + 500) / 1000;
        let (unit, length) = match seconds {
            0..120 => (Unit::Second, 1),
            120..7_200 => (Unit::Minute, 60),
            7_200..172_800 => (Unit::Hour, 3_600),
            _ => (Unit::Day, 86_400),
        };
        let number = u64::try_from((seconds + length / 2) / length).unwrap_or(u64::MAX);
        Self { number, unit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloakroom::{Browser, System};

    #[test]
    fn what_is_past_is_said_as_a_person_says_it() {
        for (seconds, english, japanese) in [
            (0, "just now", "たった今"),
            (59, "just now", "たった今"),
            (60, "1 minute ago", "1 分前"),
            (119, "1 minute ago", "1 分前"),
            (120, "2 minutes ago", "2 分前"),
            (3_599, "59 minutes ago", "59 分前"),
            (3_600, "1 hour ago", "1 時間前"),
            (7_200, "2 hours ago", "2 時間前"),
            (86_399, "23 hours ago", "23 時間前"),
            (86_400, "1 day ago", "1 日前"),
            (172_799, "1 day ago", "1 日前"),
            (400 * 86_400, "400 days ago", "400 日前"),
        ] {
            let ago = Ago::of(Duration::from_secs(seconds));
            assert_eq!((Texts::of(Language::English).ago)(ago), english, "{seconds}");
            assert_eq!((Texts::of(Language::Japanese).ago)(ago), japanese, "{seconds}");
        }
    }

    #[test]
    fn a_device_is_named_in_both_languages() {
        use Browser::{App, Firefox, Other, Program, SamsungInternet, Unknown};
        for (browser, system, english, japanese) in [
            (Firefox, System::Linux, "Firefox on Linux", "Firefox（Linux）"),
            (
                SamsungInternet,
                System::Android,
                "Samsung Internet on Android",
                "Samsung Internet（Android）",
            ),
            (Firefox, System::Unknown, "Firefox", "Firefox"),
            (App, System::Ios, "App on iOS", "アプリ（iOS）"),
            (Program, System::Unknown, "Program", "プログラム"),
            (
                Other,
                System::Other,
                "Other browser on another system",
                "その他のブラウザー（その他の OS）",
            ),
            (Unknown, System::Windows, "Unknown browser on Windows", "不明なブラウザー（Windows）"),
            (Unknown, System::Unknown, "Unknown device", "不明なデバイス"),
        ] {
            let device = Device { browser, system };
            assert_eq!((Texts::of(Language::English).device)(device), english);
            assert_eq!((Texts::of(Language::Japanese).device)(device), japanese);
        }
    }

    #[test]
    fn a_time_is_said_as_a_person_says_it() {
        for (millis, english, japanese) in [
            (400, "0 seconds", "0 秒"),
            (999, "1 second", "1 秒"),
            (9_998, "10 seconds", "10 秒"),
            (119_400, "119 seconds", "119 秒"),
            (119_900, "2 minutes", "2 分"),
            (1_799_995, "30 minutes", "30 分"),
            (28_799_000, "8 hours", "8 時間"),
            (400 * 86_400_000, "400 days", "400 日"),
        ] {
            let time = Time::about(Duration::from_millis(millis));
            assert_eq!((Texts::of(Language::English).time)(time), english);
            assert_eq!((Texts::of(Language::Japanese).time)(time), japanese);
        }
    }
}
