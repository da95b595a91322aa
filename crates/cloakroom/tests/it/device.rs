//! The device: real headers of real clients, and whatever else may come.

use cloakroom::{Browser, Device, DeviceHeaders, System};
use proptest::collection::vec;
use proptest::prelude::*;

fn of_user_agent(user_agent: &[u8]) -> String {
    Device::from_headers(&DeviceHeaders { user_agent, ..DeviceHeaders::default() }).to_string()
}

/// Checks each `User-Agent` against what is expected of it.
fn check(table: &[(&str, &[&str])]) {
    for (expected, user_agents) in table {
        for user_agent in *user_agents {
            assert_eq!(of_user_agent(user_agent.as_bytes()), *expected, "{user_agent}");
        }
    }
}

#[test]
fn browsers_are_told_from_each_other_on_every_system() {
    check(&[
        (
            "Chrome on Windows",
            &[
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
            ],
        ),
        (
            "Chrome on macOS",
            &[
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
            ],
        ),
        (
            "Chrome on Linux",
            &[
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Ubuntu Chromium/80.0.3987.87 Chrome/80.0.3987.87 Safari/537.36",
            ],
        ),
        (
            "Chrome on ChromeOS",
            &[
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
            ],
        ),
        (
            "Chrome on Android",
            &[
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36",
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
                // A phone whose maker's name ends in "bot".
                "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0.4664.104 Mobile Safari/537.36",
            ],
        ),
        (
            "Chrome on iOS",
            &[
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/143.0.7499.38 Mobile/15E148 Safari/604.1",
            ],
        ),
        (
            "Chrome on iPadOS",
            &[
                "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/143.0.7499.38 Mobile/15E148 Safari/604.1",
            ],
        ),
        (
            "Edge on Windows",
            &[
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edge/44.18363.8131",
            ],
        ),
        (
            "Edge on macOS",
            &[
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
            ],
        ),
        (
            "Edge on Linux",
            &[
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
            ],
        ),
        (
            "Edge on Android",
            &[
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0",
            ],
        ),
        (
            "Edge on iOS",
            &[
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 EdgiOS/142.0.3595.66 Mobile/15E148 Safari/604.1",
            ],
        ),
        (
            "Firefox on Windows",
            &["Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"],
        ),
        (
            "Firefox on macOS",
            &[
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
            ],
        ),
        (
            "Firefox on Linux",
            &[
                "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ],
        ),
        (
            "Firefox on Android",
            &["Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0"],
        ),
        (
            "Firefox on iOS",
            &[
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 Safari/604.1",
            ],
        ),
        (
            "Firefox on iPadOS",
            &[
                "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 Safari/604.1",
            ],
        ),
        (
            "Firefox on another system",
            &["Mozilla/5.0 (X11; FreeBSD amd64; rv:140.0) Gecko/20100101 Firefox/140.0"],
        ),
        (
            "Safari on macOS",
            &[
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
            ],
        ),
        (
            "Safari on iOS",
            &[
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
            ],
        ),
        (
            "Safari on iPadOS",
            &[
                "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
            ],
        ),
        (
            "Opera on Windows",
            &[
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 OPR/125.0.0.0",
                "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18",
            ],
        ),
        (
            "Opera on Android",
            &[
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36 OPR/93.0.0.0",
            ],
        ),
        (
            "Opera on iOS",
            &[
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.7 Mobile/15E148 Safari/604.1 OPT/6.1.0",
            ],
        ),
        (
            "Samsung Internet on Android",
            &[
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36",
            ],
        ),
        (
            "Other browser on Windows",
            &[
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 YaBrowser/25.10.0.0 Safari/537.36",
                "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
            ],
        ),
        (
            "Other browser on Linux",
            &[
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15 Epiphany/605.1.15",
            ],
        ),
        (
            "Other browser on Android",
            &[
                "Mozilla/5.0 (Linux; U; Android 4.0.3; en-us; GT-P5100 Build/IML74K) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Safari/534.30",
            ],
        ),
        (
            "Chrome on another system",
            &[
                "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 WebAppManager",
            ],
        ),
    ]);
}

#[test]
fn a_page_in_an_app_is_an_app() {
    check(&[
        (
            "App on Android",
            &[
                "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UD1A.230803.041; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/143.0.0.0 Mobile Safari/537.36",
                "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/490.0.0.63.82;]",
                "Mozilla/5.0 (Linux; Android 13; SO-51C Build/64.1; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0.0.0 Mobile Safari/537.36 Line/15.18.0/IAB",
                "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UD1A.230803.041)",
            ],
        ),
        (
            "App on iOS",
            &[
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 400.0.0.29.70 (iPhone15,2; iOS 18_7; en_US)",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22H124 Safari Line/15.18.1",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/390.0.825182 Mobile/15E148 Safari/604.1",
            ],
        ),
        (
            "App on Windows",
            &[
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Shop/1.2.3 Chrome/138.0.7204.100 Electron/37.2.3 Safari/537.36",
            ],
        ),
        ("App", &["Shop/42 CFNetwork/1494.0.7 Darwin/23.4.0", "okhttp/4.12.0"]),
    ]);
}

#[test]
fn programs_and_crawlers_are_programs() {
    check(&[
        (
            "Program",
            &[
                "curl/8.14.1",
                "Wget/1.25.0",
                "python-requests/2.32.5",
                "Python/3.13 aiohttp/3.13.0",
                "Go-http-client/1.1",
                "PostmanRuntime/7.49.0",
                "ELB-HealthChecker/2.0",
                "kube-probe/1.34",
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.3; +https://openai.com/gptbot)",
                "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            ],
        ),
        (
            "Program on Android",
            &[
                "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            ],
        ),
        (
            "Program on Linux",
            &[
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/143.0.0.0 Safari/537.36",
                "Wget/1.21.3 (linux-gnu) Linux",
            ],
        ),
    ]);
}

#[test]
fn what_says_nothing_is_unknown() {
    check(&[
        (
            "Unknown device",
            &["", " ", "-", "Mozilla/5.0", "junk", "ブラウザ", "\u{0}\u{1}", "(((((("],
        ),
        ("Unknown browser on Windows", &["Mozilla/5.0 (Windows NT 10.0)"]),
    ]);
    assert_eq!(of_user_agent(&[0xff; 64]), "Unknown device");
}

// Proves R70.
#[test]
fn a_megabyte_is_looked_at_no_further_than_a_kilobyte() {
    let padding = |bytes: usize| format!("{}Firefox/145.0", " ".repeat(bytes));
    assert_eq!(of_user_agent(padding(1_024 - 8).as_bytes()), "Firefox");
    assert_eq!(of_user_agent(padding(1_024).as_bytes()), "Unknown device");
    assert_eq!(of_user_agent(padding(1_000_000).as_bytes()), "Unknown device");
    // A letter cut through is no letter, and no panic.
    assert_eq!(of_user_agent("ゆ".repeat(400_000).as_bytes()), "Unknown device");
}

const CHROME_ON_LINUX: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36";

#[test]
fn client_hints_win_for_what_they_say() {
    for (brands, platform, expected) in [
        (
            r#""Google Chrome";v="143", "Chromium";v="143", "Not A(Brand";v="24""#,
            r#""Windows""#,
            "Chrome on Windows",
        ),
        (
            r#""Chromium";v="142", "Microsoft Edge";v="142", "Not_A Brand";v="99""#,
            r#""macOS""#,
            "Edge on macOS",
        ),
        (
            r#""Opera";v="125", "Not?A_Brand";v="8", "Chromium";v="141""#,
            r#""Chrome OS""#,
            "Opera on ChromeOS",
        ),
        (
            r#""Not.A/Brand";v="99", "Samsung Internet";v="29.0", "Chromium";v="136""#,
            r#""Android""#,
            "Samsung Internet on Android",
        ),
        (
            r#""Android WebView";v="143", "Chromium";v="143", "Not A(Brand";v="24""#,
            r#""Android""#,
            "App on Android",
        ),
        (
            r#""Microsoft Edge";v="142", "Microsoft Edge WebView2";v="142", "Chromium";v="142""#,
            r#""Windows""#,
            "App on Windows",
        ),
        (
            r#""HeadlessChrome";v="143", "Chromium";v="143", "Not A(Brand";v="24""#,
            r#""Linux""#,
            "Program on Linux",
        ),
        // A brand that we don't know is another browser; one that is there to be ignored isn't.
        (
            r#""Chromium";v="142", "Brave";v="142", "Not_A Brand";v="99""#,
            r#""Windows""#,
            "Other browser on Windows",
        ),
        (r#""Chromium";v="143", " Not;A Brand";v="99""#, r#""Linux""#, "Chrome on Linux"),
        (r#""(Not(A:Brand";v="8", "Chromium";v="98""#, r#""Fuchsia""#, "Chrome on another system"),
        // What they don't say, the `User-Agent` does.
        (r#""Chromium";v="142", "Microsoft Edge";v="142""#, "", "Edge on Linux"),
        ("", r#""Windows""#, "Chrome on Windows"),
        (r#""Not A;Brand";v="99""#, r#""Unknown""#, "Chrome on Linux"),
        ("Microsoft Edge", "Windows", "Chrome on Linux"),
        (r#""Microsoft Edge"#, r#""Windows"#, "Chrome on Linux"),
        (r#"x;v="Opera", "#, r#""""#, "Chrome on Linux"),
        (r#"",,"=,;""#, r#"""#, "Chrome on Linux"),
    ] {
        let device = Device::from_headers(&DeviceHeaders {
            user_agent: CHROME_ON_LINUX.as_bytes(),
            brands: brands.as_bytes(),
            platform: platform.as_bytes(),
        });
        assert_eq!(device.to_string(), expected, "{brands} {platform}");
    }
}

#[test]
fn every_family_has_its_own_words() {
    let mut words: Vec<String> = Browser::ALL.iter().map(Browser::to_string).collect();
    words.extend(System::ALL.iter().map(System::to_string));
    words.sort();
    words.dedup();
    assert_eq!(words.len(), Browser::ALL.len() + System::ALL.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_headers_make_a_device(
        user_agent in vec(any::<u8>(), 0..1_200),
        brands in "[\" ,;=A-C\\\\]{0,40}|\\PC{0,40}",
        platform in "\\PC{0,20}|\"[A-Za-z ]{0,8}\"?",
    ) {
        let headers = DeviceHeaders {
            user_agent: &user_agent,
            brands: brands.as_bytes(),
            platform: platform.as_bytes(),
        };
        prop_assert!(!Device::from_headers(&headers).to_string().is_empty());
    }
}
