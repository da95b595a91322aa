//! English.

use super::{
    AboutTexts, Ago, Around, DevicesTexts, FailureTexts, FrameTexts, IndexTexts, KeptTexts,
    LoginTexts, LogoutTexts, Texts, Time, Trouble, Unit, WayOut,
};

pub(super) static TEXTS: Texts = Texts {
    frame: FrameTexts {
        pages: "Pages",
        about: "About",
        devices: "Devices",
        back: "Back to the start",
    },
    index: IndexTexts {
        welcome: "Welcome",
        logged_in_as: Around("Logged in as ", ""),
        visits: Around("Visits: ", ""),
        ends_in: Around("This session ends in ", " unless you come back before."),
        ends_in_any_case: Around(
            "This session ends in ",
            ", even if you come back before: it has a limit.",
        ),
        ended: "This session has ended. Log in again to begin a new one.",
        not_logged_in: "You are not logged in.",
        what_happens: "Hand over your coat: log in with any name, and your visits are counted until you log out or stay away.",
    },
    kept: KeptTexts {
        title: "What the server keeps",
        in_server: "This is what Redis has: one hash, which any Redis client can read.",
        in_folder: "This is what the server has, in a file of its own: it survives a restart and a crash.",
        in_memory: "This is what the server has, in the memory of its process: it ends with it.",
        look_yourself: "See for yourself:",
        id: "Session id",
        about_id: Around(
            "The hash of the token that your browser has in the cookie ",
            ". The token itself is not kept anywhere, and cannot be found from this.",
        ),
        key: "Key",
        about_key: "The application, a tag that all your sessions share, and the session id.",
        fields: "Fields",
        reserved: "The session’s own notes. Times are in milliseconds, as everything here is text.",
        layout: "version of the layout",
        created: "when you logged in, counted since 1970",
        absolute: "how long it may live at all",
        idle: "how long it may go unused",
        seen: "when it was last used, counted from the login; noted once a minute at most",
        cookie_goes: "the cookie goes when the browser closes",
        cookie_stays: "the cookie stays when the browser closes",
        user: "Who is logged in.",
        client: Around("What is known of your device, as shown under ", "."),
        visits: "How often you have seen this page. Each visit adds 1 in the store itself, so none is lost.",
        other: "Kept by the application.",
        left: "Time to live, in milliseconds",
        about_left: "When it has passed, the session is gone. Each visit renews it.",
    },
    devices: DevicesTexts {
        title: "Your devices",
        what_to_do: "This is everywhere you are logged in. If you don’t know one of them, end it: it is logged out at its next request.",
        this: "this device",
        in_use: "now",
        used: "Last used",
        logged_in: "Logged in",
        remembered: "(remembered)",
        address: "IP address",
        label: "Application",
        end: "End",
        end_others: "End all others",
        end_all: "Log out everywhere",
        more: "More devices",
    },
    login: LoginTexts {
        title: "Log in",
        name: "Name",
        remember: Around("Remember me for ", ""),
        problem_name: "That can’t be a name: it takes 1 to 64 bytes (64 Latin letters, 21 kanji) without control characters.",
        problem_full: "This name is logged in as often as allowed. Log out somewhere else first.",
        button: "Log in",
        note: "Any name will do. This is a demo: it trusts the name and asks for no password.",
    },
    logout: LogoutTexts {
        title: "Log out",
        question: "Log out?",
        why: "It may be that another site led you here. Nothing has happened yet.",
        button: "Log out",
        stay: "Stay logged in",
    },
    about: AboutTexts {
        title: "About",
        ticket: "You hand over your coat and keep a ticket. Your browser keeps the ticket, a cookie with a random token; the coat, your session’s data, stays on the server.",
        free_title: "What this page costs",
        free: "This page asks nothing of your session, so it costs the session store nothing, and it is here even when the store is not.",
        cookies_title: "What your browser keeps",
        cookies: "A cookie with the token, from the login until the logout; and, if you choose a language, one that says which. Nothing else.",
    },
    failure,
    time,
    ago,
    device: |device| device.to_string(),
};

fn failure(trouble: Trouble) -> FailureTexts {
    let (title, what, way_out) = match trouble {
        Trouble::NoAddress => {
            ("No address", "There can be no page at such an address.", WayOut::Start)
        }
        Trouble::FromAnotherSite => (
            "Refused",
            "This form was sent by another site, so nothing was done. If that was you, open the page here and try again.",
            WayOut::Start,
        ),
        Trouble::NotFound => ("No such page", "There is nothing at this address.", WayOut::Start),
        Trouble::NoSuchSession => (
            "No such session",
            "None of your sessions has this id: it may have ended already. Nothing was changed.",
            WayOut::Devices("Your devices"),
        ),
        Trouble::NotAllowed => (
            "That can’t be done here",
            "This page does not take requests of that kind.",
            WayOut::Start,
        ),
        Trouble::TooSlow => (
            "Too slow",
            "The request took too long to arrive. Please try again.",
            WayOut::Again("Try again"),
        ),
        Trouble::SessionEnded => (
            "Your session has ended",
            "It was ended while your request was on its way, so nothing was changed.",
            WayOut::LogIn("Log in"),
        ),
        Trouble::TooLarge => {
            ("Too much", "What was sent is larger than this page takes.", WayOut::Start)
        }
        Trouble::NoForm => ("Not a form", "This page takes the fields of a form.", WayOut::Start),
        Trouble::Unusable => (
            "That can’t be used",
            "What was sent is not what this page needs. Please go back and look at the form.",
            WayOut::Start,
        ),
        Trouble::StoreAway => (
            "One moment, please",
            "Your session can’t be reached right now. You need not log in again: please try again in a moment.",
            WayOut::Again("Try again"),
        ),
        Trouble::Other(status) => {
            return FailureTexts {
                title: "Something went wrong",
                what: format!("The request could not be answered (status {status})."),
                way_out: WayOut::Start,
            };
        }
    };
    FailureTexts { title, what: what.to_owned(), way_out }
}

fn time(Time { number, unit }: Time) -> String {
    let unit = match unit {
        Unit::Second => "second",
        Unit::Minute => "minute",
        Unit::Hour => "hour",
        Unit::Day => "day",
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

fn ago(ago: Ago) -> String {
    match ago {
        Ago::JustNow => "just now".to_owned(),
        Ago::Before(before) => format!("{} ago", time(before)),
    }
}
