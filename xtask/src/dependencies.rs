//! What is asked of every dependency, here and in its own dependencies: a licence that we allow,
//! the registry that we trust, and a Rust no newer than ours.
//!
//! `cargo deny` knows more (advisories, duplicates) and is used where it is installed; licences and
//! sources are looked at here too, so that they are never unchecked.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::step::{Result, ask, cargo, offline, root};

/// Every crate of cryptography that may be depended on. A new one is a decision: who keeps it, who has
/// looked at it (ASVS 11.1.1, 11.2.1).
const CRYPTOGRAPHY: [&str; 29] = [
    // RustCrypto: tokens, sealed fields.
    "aead",
    "aes",
    "aes-gcm-siv",
    "block-buffer",
    "chacha20",
    "cipher",
    "cmov",
    "crypto-common",
    "ctr",
    "ctutils",
    "digest",
    "hkdf",
    "hmac",
    "polyval",
    "sha2",
    "universal-hash",
    "zeroize",
    // Of the dalek project: comparing in constant time, for rustls and RustCrypto.
    "subtle",
    // rustls, the ring beneath it, and macOS's list of authorities: TLS to the store.
    "ring",
    "rustls",
    "rustls-native-certs",
    "rustls-pki-types",
    "rustls-webpki",
    "security-framework",
    "tokio-rustls",
    // Tests alone: certificates, and the random numbers of proptest and of the models.
    "const-siphasher",
    "pem",
    "ppv-lite86",
    "x509-parser",
];

/// The part of `cargo metadata` that matters here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    rust_version: Option<String>,
    /// None: anywhere; empty: nowhere.
    publish: Option<Vec<String>>,
    pub(crate) description: Option<String>,
    pub(crate) keywords: Vec<String>,
    categories: Vec<String>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

impl Metadata {
    pub(crate) fn read() -> Result<Metadata> {
        let mut metadata = cargo();
        metadata.args(["metadata", "--format-version=1", "--all-features"]);
        if offline() {
            // Packages for other systems may not have been fetched, and need not be.
            metadata.args(["--offline", "--filter-platform", &host()?]);
        }
        let answer = ask(&mut metadata)?;
        serde_json::from_str(&answer).map_err(|error| format!("cargo metadata: {error}"))
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The members that strangers will depend on.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.members().filter(|package| package.publish.as_ref().is_none_or(|to| !to.is_empty()))
    }

    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| !self.workspace_members.contains(&package.id))
    }

    /// Each dependency's licence satisfies deny.toml's list.
    pub(crate) fn licences_are_allowed(&self, rules: &Rules) -> Result {
        let allowed = rules.licensees()?;
        all(self.dependencies(), |package| {
            let Some(licence) = &package.license else {
                return Err("states no licence".to_owned());
            };
            // Lax: older packages write `MIT/Apache-2.0`.
            let expression = Expression::parse_mode(licence, ParseMode::LAX)
                .map_err(|error| format!("licence `{licence}`: {}", error.reason))?;
            if expression.evaluate(|wanted| allowed.iter().any(|ours| ours.satisfies(wanted))) {
                Ok(())
            } else {
                Err(format!("licence `{licence}` is not allowed by deny.toml"))
            }
        })
    }

    /// Each dependency comes from a registry that deny.toml allows.
    pub(crate) fn sources_are_allowed(&self, rules: &Rules) -> Result {
        all(self.dependencies(), |package| {
            let source = package.source.as_deref().unwrap_or("a folder outside the workspace");
            let registry = source.strip_prefix("registry+").unwrap_or(source);
            if rules.sources.allow_registry.iter().any(|allowed| allowed == registry) {
                Ok(())
            } else {
                Err(format!("comes from {source}, which deny.toml does not allow"))
            }
        })
    }

    /// No dependency is cryptography that nobody chose.
    pub(crate) fn cryptography_was_chosen(&self) -> Result {
        all(self.dependencies(), |package| {
            let is_cryptography = package.categories.iter().any(|it| it == "cryptography");
            if !is_cryptography || CRYPTOGRAPHY.contains(&&*package.name) {
                Ok(())
            } else {
                Err("is cryptography, and not in the list of xtask/src/dependencies.rs".to_owned())
            }
        })
    }

    /// No dependency wants a newer Rust than we promise to get along with.
    pub(crate) fn rust_versions_are_ours_or_older(&self) -> Result {
        let ours = self.members().find_map(|package| package.rust_version.as_deref());
        let ours = ours.ok_or("[workspace.package] states no rust-version")?;
        all(self.dependencies(), |package| match &package.rust_version {
            Some(theirs) if numbers(theirs) > numbers(ours) => {
                Err(format!("wants rustc {theirs}, and we promise {ours}"))
            }
            _ => Ok(()),
        })
    }
}

/// deny.toml, as far as it is read here.
#[derive(Deserialize)]
pub(crate) struct Rules {
    licenses: Licenses,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

impl Rules {
    pub(crate) fn read() -> Result<Rules> {
        let text = fs::read_to_string(root().join("deny.toml"));
        let text = text.map_err(|error| format!("deny.toml: {error}"))?;
        toml::from_str(&text).map_err(|error| format!("deny.toml: {error}"))
    }

    fn licensees(&self) -> Result<Vec<Licensee>> {
        let parse = |name: &String| {
            Licensee::parse(name).map_err(|error| format!("deny.toml: `{name}`: {}", error.reason))
        };
        self.licenses.allow.iter().map(parse).collect()
    }
}

/// All that is wrong, a line each, instead of the first thing.
fn all<'a>(
    packages: impl Iterator<Item = &'a Package>,
    rule: impl Fn(&Package) -> Result,
) -> Result {
    let mut wrong = Vec::new();
    for package in packages {
        if let Err(reason) = rule(package) {
            wrong.push(format!("{} {}: {reason}", package.name, package.version));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// `1.85` as (1, 85, 0): neither text nor decimal order is the order of versions.
fn numbers(version: &str) -> (u32, u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

fn host() -> Result<String> {
    let answer = ask(std::process::Command::new("rustc").arg("-vV"))?;
    let host = answer.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say its host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One dependency of a workspace that promises Rust 1.90.
    fn with(name: &str, value: serde_json::Value) -> Metadata {
        let package = |id: &str| {
            serde_json::json!({
                "id": id, "name": id, "version": "1.2.3", "license": "MIT", "publish": null,
                "source": "registry+https://github.com/rust-lang/crates.io-index",
                "rust_version": "1.90", "description": null,
                "keywords": [], "categories": [], "features": {},
            })
        };
        let mut dependency = package("theirs");
        dependency[name] = value;
        let metadata = serde_json::json!({
            "packages": [package("ours"), dependency], "workspace_members": ["ours"],
        });
        serde_json::from_value(metadata).unwrap()
    }

    #[test]
    fn a_licence_passes_if_one_choice_is_allowed_in_full() {
        let rules = Rules::read().unwrap();
        for (licence, passes) in [
            ("MIT OR GPL-3.0-only", true),
            ("MIT/Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("AGPL-3.0-or-later", false),
            ("no such licence", false),
        ] {
            let outcome = with("license", licence.into()).licences_are_allowed(&rules);
            assert_eq!(outcome.is_ok(), passes, "{licence}: {outcome:?}");
        }
        let silent = with("license", serde_json::Value::Null).licences_are_allowed(&rules);
        assert_eq!(silent.unwrap_err(), "theirs 1.2.3: states no licence");
    }

    // Proves R74.
    #[test]
    fn a_dependency_from_elsewhere_is_refused() {
        let rules = Rules::read().unwrap();
        assert!(with("license", "MIT".into()).sources_are_allowed(&rules).is_ok());
        for source in ["git+https://example.com/theirs#0123", "registry+https://example.com/"] {
            assert!(with("source", source.into()).sources_are_allowed(&rules).is_err(), "{source}");
        }
        assert!(with("source", serde_json::Value::Null).sources_are_allowed(&rules).is_err());
    }

    // Proves R74.
    #[test]
    fn cryptography_that_nobody_chose_is_refused() {
        let of = |name: &str, category: &str| {
            let mut metadata = with("categories", serde_json::json!([category]));
            metadata.packages[1].name = name.to_owned();
            metadata.cryptography_was_chosen()
        };
        assert!(of("sha2", "cryptography").is_ok());
        assert!(of("sha9", "algorithms").is_ok());
        assert!(of("sha9", "cryptography").unwrap_err().starts_with("sha9 1.2.3: is cryptography"));
    }

    #[test]
    fn a_dependency_that_wants_a_newer_rust_is_refused() {
        for (version, passes) in
            [("1.90", true), ("1.9.5", true), ("1.90.0", true), ("1.91", false)]
        {
            let outcome = with("rust_version", version.into()).rust_versions_are_ours_or_older();
            assert_eq!(outcome.is_ok(), passes, "{version}: {outcome:?}");
        }
    }
}
