//! Pictures of every page, for people to look at: `cargo xtask screenshots`.

use std::fs;
use std::path::PathBuf;

use testbed::{Chromium, Server, Setup};

use super::looks::{PAGES, log_in_once_too_often, send_from_another_site, that_refuses_more};
use crate::stage::*;

#[test]
#[ignore = "it checks nothing; `cargo xtask screenshots` takes the pictures"]
fn every_page_is_photographed() {
    let folder = PathBuf::from(std::env::var_os("CLOAKROOM_SCREENSHOTS").expect("a folder"));
    fs::create_dir_all(&folder).unwrap();
    let server = Server::start();
    let (demo, full) = (on(&server), that_refuses_more());
    for (language, languages) in [("en", "en-GB,en"), ("ja", "ja-JP,ja")] {
        let browser = Chromium::start_with(Setup { languages, ..Setup::default() });
        let photograph = |page: &str| {
            for (width, scheme) in [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")]
            {
                browser.resize(width, 740);
                browser.prefer(scheme);
                let file = folder.join(format!("{page}-{language}-{width}-{scheme}.png"));
                fs::write(file, browser.photograph()).unwrap();
            }
        };
        for (page, show) in PAGES {
            show(&browser, &demo);
            photograph(page);
        }
        log_in_once_too_often(&browser, &full);
        photograph("login-full");
        send_from_another_site(&browser, &demo);
        photograph("error-403");
        server.kill();
        browser.open(&url(&demo, "/"));
        wait_for_status(&browser, 503);
        photograph("error-503");
        server.restart();
        reload_until(&browser, "alice");
    }
}
