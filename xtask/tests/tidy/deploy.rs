//! What stands in `deploy/` for others to use: as far as it can be judged without a container engine.

use std::path::Path;

use yaml_rust2::{Yaml, YamlLoader};

use crate::folder::text;

/// Whose blocks show how to start it.
const PAPER: &str = "docs/operations.md";

/// The compose file starts a server as the papers want it, for this machine alone.
pub(crate) fn compose_file_is_in_order(root: &Path) -> Vec<String> {
    let mut wrong = judged(&text(&root.join("deploy/compose.yaml")));
    let shown = "$ docker compose -f deploy/compose.yaml up -d\n\
                 $ REDIS_URL=redis://127.0.0.1:6379 cargo run --release\n";
    if !text(&root.join(PAPER)).contains(shown) {
        wrong.push(format!("{PAPER} does not show how deploy/compose.yaml is used"));
    }
    wrong
}

fn judged(compose: &str) -> Vec<String> {
    let file = match YamlLoader::load_from_str(compose) {
        Ok(documents) if documents.len() == 1 => documents.into_iter().next().unwrap(),
        Ok(_) => return vec!["deploy/compose.yaml is not one document".to_owned()],
        Err(error) => return vec![format!("deploy/compose.yaml: {error}")],
    };
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("deploy/compose.yaml: {what}"));
        }
    };
    let names = |yaml: &Yaml| -> Vec<String> {
        let keys = yaml.as_hash().into_iter().flat_map(|hash| hash.keys());
        keys.filter_map(Yaml::as_str).map(str::to_owned).collect()
    };
    let words = |yaml: &Yaml| -> Vec<String> {
        let words = yaml.as_vec().into_iter().flatten();
        // A number or `yes` is no text, and compose refuses it in a command.
        words.filter_map(Yaml::as_str).map(str::to_owned).collect()
    };
    must(names(&file) == ["name", "services", "volumes"], "it has other sections");
    let service = &file["services"]["valkey"];
    let known = ["image", "command", "ports", "volumes", "healthcheck", "restart"];
    must(names(service) == known, "the service has other settings");
    let image = service["image"].as_str().unwrap_or_default();
    let version = image.strip_prefix("valkey/valkey:");
    must(
        version.is_some_and(|it| it.starts_with("9.")),
        "the image is not the Valkey of our tests",
    );

    let command = words(&service["command"]);
    let count = service["command"].as_vec().map_or(0, Vec::len);
    must(command.len() == count, "a word of the command is no text: put it in quotes");
    must(command.first().is_some_and(|it| it == "valkey-server"), "it starts no server");
    let set = |name: &str| {
        let at = command.iter().position(|word| word == name);
        at.and_then(|at| command.get(at + 1)).map_or("", String::as_str).to_owned()
    };
    must(set("--maxmemory-policy") == "noeviction", "it would evict sessions");
    must(!set("--maxmemory").is_empty(), "its memory has no limit");
    must(set("--appendonly") == "yes", "it would forget sessions at a restart");
    must(words(&service["ports"]) == ["127.0.0.1:6379:6379"], "others could reach it");

    let volumes = words(&service["volumes"]);
    let [volume] = &volumes[..] else {
        must(false, "it needs one volume");
        return wrong;
    };
    let name = volume.strip_suffix(":/data").unwrap_or_default();
    must(names(&file["volumes"]) == [name], "its volume is not declared");
    let health = &service["healthcheck"];
    must(words(&health["test"]) == ["CMD", "valkey-cli", "ping"], "its health is not asked for");
    for time in ["interval", "timeout"] {
        let is_time =
            |text: &str| text.strip_suffix('s').is_some_and(|it| it.parse::<u32>().is_ok());
        must(health[time].as_str().is_some_and(is_time), "a time of the health check is none");
    }
    must(health["retries"].as_i64().is_some(), "the retries of the health check are no number");
    wrong
}

#[test]
fn what_is_wrong_with_a_compose_file_is_found() {
    let good = include_str!("../../../deploy/compose.yaml");
    assert_eq!(judged(good), [""; 0]);
    for (from, to, said) in [
        ("127.0.0.1:6379:6379", "6379:6379", "others could reach it"),
        ("noeviction", "allkeys-lru", "evict"),
        ("\"yes\"", "1", "put it in quotes"),
        ("sessions:/data", "data:/data", "not declared"),
        ("    image:", "   image:", "deploy/compose.yaml"),
        ("valkey-cli", "redis-cli", "health"),
        ("volumes:\n  sessions:", "volume:\n  sessions:", "other sections"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        let wrong = judged(&bad).join("\n");
        assert_eq!(wrong.is_empty(), said.is_empty(), "{to}: {wrong}");
        assert!(wrong.contains(said), "{to}: {wrong}");
    }
}
