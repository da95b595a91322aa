//! The dashboard and the alerts of `deploy/`, tried on a real Prometheus that scrapes a demo under load.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use testbed::papers::text;
use testbed::{Browser, Program, Request, Server, eventually};

use crate::demo::*;
use crate::metrics::measured;

/// How long Prometheus may take to have seen enough; it looks once a second.
const SEEN: Duration = Duration::from_secs(60);

fn program(name: &str) -> PathBuf {
    let promtool = std::env::var_os("CLOAKROOM_TEST_PROMTOOL");
    let promtool = promtool.expect("no Prometheus: run `cargo xtask test`, which fetches it");
    // Both come in one package.
    Path::new(&promtool).with_file_name(name)
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus")
}

#[test]
fn the_alerts_fire_when_they_should_and_only_then() {
    for check in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let said =
            Command::new(program("promtool")).args(check).current_dir(deploy()).output().unwrap();
        assert!(said.status.success(), "{check:?}: {said:?}");
    }
    let [alerts, tests] = ["alerts.yml", "alerts.test.yml"]
        .map(|file| std::fs::read_to_string(deploy().join(file)).unwrap());
    for name in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert_eq!(tests.matches(&format!("alertname: {name}\n")).count(), 2, "{name}");
    }
}

/// A Prometheus that looks at this address once a second.
fn prometheus(folder: &Path, target: SocketAddr) -> (Program, SocketAddr) {
    let config = folder.join("prometheus.yml");
    let jobs = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: cloakroom\n    \
         static_configs:\n      - targets: [\"{target}\"]\n"
    );
    std::fs::write(&config, jobs).unwrap();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let args = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address={free}"),
    ];
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let running = Program::start(program("prometheus"), &args, &[]);
    running.wait_for_log("Server is ready to receive web requests");
    (running, free)
}

/// The numbers that an expression has now; what is no number is left out.
fn ask(prometheus: SocketAddr, expression: &str) -> Result<Vec<f64>, String> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let said = Request::get(prometheus, &format!("/api/v1/query?query={encoded}")).send();
    let said: Value = serde_json::from_str(said.text()).map_err(|error| error.to_string())?;
    if said["status"] != "success" {
        return Err(format!("{expression}: {said}"));
    }
    let results = said["data"]["result"].as_array().unwrap().iter();
    let numbers = results.filter_map(|it| it["value"][1].as_str()?.parse::<f64>().ok());
    Ok(numbers.filter(|number| number.is_finite()).collect())
}

fn dashboard() -> Value {
    serde_json::from_str(&text("deploy/grafana/cloakroom.json")).unwrap()
}

#[test]
fn every_panel_of_the_dashboard_shows_something() {
    let server = Server::start();
    let (demo, at) = measured(&server.url());
    let folder = tempfile::tempdir().unwrap();
    let (running, prometheus) = prometheus(folder.path(), at);

    let seen = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (seen, demo) = (&seen, demo.addr());
        scope.spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                let mut alice = logged_in_at(demo, "alice");
                visit(&mut alice);
                alice.get("/devices");
                let late = token(&alice);
                alice.post_form("/logout", "");
                seen_with(demo, &late);
                Browser::at(demo).get("/");
            }
        });
        let mut wrong = Vec::new();
        let instance = at.to_string();
        for panel in dashboard()["panels"].as_array().unwrap() {
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{}", panel["title"]);
            for target in targets {
                let expression = target["expr"].as_str().unwrap();
                // As Grafana fills them in, for a source that is scraped once a second.
                assert!(expression.contains("$instance"), "{expression}");
                let expression =
                    expression.replace("$__rate_interval", "5s").replace("$instance", &instance);
                let mut last = Ok(Vec::new());
                let shows = || {
                    last = ask(prometheus, &expression);
                    (last.as_ref().is_ok_and(|it| !it.is_empty()) || last.is_err()).then_some(())
                };
                if eventually(SEEN, shows).is_none() || last.is_err() {
                    wrong.push(format!("{}: {last:?}", panel["title"]));
                }
            }
        }
        seen.store(true, Ordering::Relaxed);
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", running.log());
    });
    // What the first panel counts is what the demo did.
    let operations = ask(prometheus, "sum(cloakroom_operations_total)").unwrap();
    assert!(operations[0] > 10.0, "{operations:?}");
}

/// What can be seen of a dashboard without Grafana.
#[test]
fn the_dashboard_is_laid_out_without_overlaps() {
    let dashboard = dashboard();
    let variables = &dashboard["templating"]["list"];
    assert_eq!(
        (&variables[0]["name"], &variables[1]["name"]),
        (&"datasource".into(), &"instance".into())
    );
    let mut taken = std::collections::BTreeMap::new();
    let mut ids = std::collections::BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert_eq!(taken.insert((x, y), title.to_owned()), None, "{title}");
            }
        }
        assert!(["stat", "timeseries"].contains(&panel["type"].as_str().unwrap()), "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
        assert_eq!(panel["datasource"]["uid"], "$datasource", "{title}");
    }
}
