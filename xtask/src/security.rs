//! `cargo xtask security-matrix`: which test proves which requirement, as a page.
//!
//! What must hold stands in `xtask/security.toml`. Right above the attributes of a test, or above a
//! check of the suites that every store passes, a line says what it proves: `// Proves R21.` The page
//! is made of both, and [`is_fresh`] says what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::step::{Result, root, say};

const REQUIREMENTS: &str = "xtask/security.toml";
const PAGE: &str = "docs/security.md";
/// The table of faults, whose ids annotations name as well. It is written by hand.
const FAULTS: &str = "docs/faults.md";
const PROVES: &str = "// Proves ";

/// The suites: what is a public function here is run as a test on every store.
const SUITES: [&str; 2] =
    ["crates/cloakroom/src/testing/conformance/", "crates/cloakroom/src/testing/promises/"];

/// Where a line of a table is a test.
const TARGETS: &str = "fuzz/tests/";

pub(crate) fn write() -> Result {
    let root = root();
    let page = Matrix::of(&root)?.page();
    fs::write(root.join(PAGE), page).map_err(|error| format!("{PAGE}: {error}"))?;
    say(format!("{PAGE} is written"));
    Ok(())
}

/// Whether every requirement has its tests, every annotation its requirement, and the page says so.
pub(crate) fn is_fresh() -> Result {
    say("requirements of security, and their tests");
    is_fresh_in(&root())
}

fn is_fresh_in(root: &Path) -> Result {
    let matrix = Matrix::of(root)?;
    let mut wrong = matrix.contradictions();
    let page = fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    if page != matrix.page() {
        wrong.push(format!("{PAGE} is not what the tests say; type: cargo xtask security-matrix"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirements {
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    title: String,
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    ids: Vec<String>,
    source: String,
    must: String,
    met: String,
    duty: Option<String>,
    absent: Option<String>,
}

impl Row {
    fn id(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }
}

/// A test, and the ids that stand above it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Proof {
    file: String,
    name: String,
    ids: Vec<String>,
}

struct Matrix {
    requirements: Requirements,
    /// By the id of a row.
    proofs: BTreeMap<String, BTreeSet<Proof>>,
    /// The ids in the table of faults that no test names.
    untested_faults: BTreeSet<String>,
    over_hours: BTreeSet<String>,
}

impl Matrix {
    fn of(root: &Path) -> Result<Self> {
        let file = root.join(REQUIREMENTS);
        let text = fs::read_to_string(&file).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
        let requirements: Requirements =
            toml::from_str(&text).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
        let rows = requirements.group.iter().flat_map(|group| &group.row);
        let mut row_of = BTreeMap::new();
        for row in rows {
            for id in &row.ids {
                if row_of.insert(id.clone(), row.id().to_owned()).is_some() {
                    return Err(format!("{REQUIREMENTS}: {id} stands there twice"));
                }
            }
        }
        let mut proofs: BTreeMap<String, BTreeSet<Proof>> = BTreeMap::new();
        let faults = faults_in(&fs::read_to_string(root.join(FAULTS)).unwrap_or_default());
        let mut untested_faults = faults.clone();
        let mut wrong = Vec::new();
        for file in sources(root) {
            let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            let text = fs::read_to_string(&file).map_err(|error| format!("{shown}: {error}"))?;
            for found in proofs_of(&shown, &text) {
                let proof = match found {
                    Ok(proof) => proof,
                    Err(problem) => {
                        wrong.push(problem);
                        continue;
                    }
                };
                for id in &proof.ids {
                    match row_of.get(id) {
                        Some(row) => {
                            proofs.entry(row.clone()).or_default().insert(proof.clone());
                        }
                        None if faults.contains(id) => {
                            untested_faults.remove(id);
                        }
                        None => wrong.push(format!(
                            "{}: {} proves {id}, which neither {REQUIREMENTS} nor {FAULTS} knows",
                            proof.file, proof.name
                        )),
                    }
                }
            }
        }
        if wrong.is_empty() {
            Ok(Self { requirements, proofs, untested_faults, over_hours: over_hours(root) })
        } else {
            Err(wrong.join("\n"))
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.requirements.group.iter().flat_map(|group| &group.row)
    }

    fn proofs_of(&self, row: &Row) -> impl Iterator<Item = &Proof> {
        self.proofs.get(row.id()).into_iter().flatten()
    }

    /// What has neither test nor excuse, or both.
    fn contradictions(&self) -> Vec<String> {
        let wrong = |row: &Row| {
            let id = row.id();
            match (self.proofs_of(row).next(), &row.duty, &row.absent) {
                (None, None, None) => {
                    Some(format!("{id} has no test: write `// Proves {id}.` above one, or one"))
                }
                (Some(proof), _, Some(_)) => Some(format!(
                    "{id} is said to be absent, and {} proves it: take `absent` away in \
                     {REQUIREMENTS}",
                    proof.name
                )),
                _ => None,
            }
        };
        let faults = self.untested_faults.iter();
        let faults =
            faults.map(|id| format!("{id} of {FAULTS} has no test: write `// Proves {id}.`"));
        self.rows().filter_map(wrong).chain(faults).collect()
    }

    fn page(&self) -> String {
        let mut page = String::from(HEAD);
        let tests: BTreeSet<&Proof> = self.proofs.values().flatten().collect();
        let tested = self.rows().filter(|row| self.proofs_of(row).next().is_some()).count();
        let all = self.rows().count();
        // Writing into a string can't fail.
        let _ = writeln!(page, "\n{tested} of {all} rows have tests: {} in all.", tests.len());
        for group in &self.requirements.group {
            let _ = writeln!(page, "\n## {}\n", group.title);
            page.push_str("| id | what must hold | where it is met | what proves it |\n");
            page.push_str("|---|---|---|---|\n");
            for row in &group.row {
                let _ = writeln!(
                    page,
                    "| {} | {}<br>*{}* | {} | {} |",
                    row.ids.join("<br>"),
                    row.must,
                    row.source,
                    row.met,
                    self.proved(row)
                );
            }
        }
        page
    }

    fn proved(&self, row: &Row) -> String {
        let mut cell: Vec<String> = self.proofs_of(row).map(|proof| self.link(proof)).collect();
        if let Some(duty) = &row.duty {
            cell.push(format!("**The application's part:** {duty}"));
        }
        if let Some(absent) = &row.absent {
            cell.push(format!("**Absent:** {absent}"));
        }
        cell.join("<br>")
    }

    fn link(&self, Proof { file, name, .. }: &Proof) -> String {
        let stores = if !is_in_a_suite(file) {
            ""
        } else if self.over_hours.contains(name) {
            " *(over hours)*"
        } else {
            " *(every store)*"
        };
        format!("[`{name}`](../{file}){stores}")
    }
}

/// The checks of the suites that take hours, as those list them.
fn over_hours(root: &Path) -> BTreeSet<String> {
    let suites = SUITES.iter().map(|folder| root.join(folder).join("mod.rs"));
    let text: String = suites.filter_map(|file| fs::read_to_string(file).ok()).collect();
    let listed = text.split("_suite_of_hours {").skip(1);
    let lists = listed.filter_map(|rest| Some(rest.split_once("macro_rules!")?.0));
    let checks = lists.flat_map(|list| list.lines().filter_map(|line| line.split_once("::")));
    checks.map(|(_, check)| check.to_owned()).collect()
}

const HEAD: &str = "\
# Security: what must hold, and what proves it

Made by `cargo xtask security-matrix` from `xtask/security.toml` and the lines `// Proves …` above the
tests; `cargo xtask check` fails when it is stale, or a row has no test. Every test named here is run by
`cargo xtask test`, which CI runs for every change: one that fails fails the build, so the result of
each is *passed*, or there is no build. To run one: `cargo xtask test --only` and its name.

Tests marked *(every store)* run against Redis, Valkey, a cluster, the embedded store and the one in
memory; those marked *(over hours)* need a clock that a test can move, and run against the last two and,
with a library between the server and its clock, against Valkey. Rows with **the application's part** are
what a library can't do alone; the links say with what it helps. How to report, who is trusted with what, and what is out of scope: [SECURITY.md](../SECURITY.md).

Sources: OWASP ASVS 5.0, OWASP cheat sheets on session management (SMCS) and cross-site request forgery
(CSRFCS), OWASP WSTG, NIST SP 800-63B-4, RFC 6265bis.
";

fn is_in_a_suite(file: &str) -> bool {
    SUITES.iter().any(|folder| file.starts_with(folder))
}

/// Every Rust source of the workspace that git would keep: in the crates, and in the folders beside
/// them.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.join("crates")];
    folders.extend(["examples", "bench", "xtask", "fuzz"].map(|folder| root.join(folder)));
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The annotations of a file: each is a line of its own, with the test below it.
fn proofs_of(file: &str, text: &str) -> Vec<Result<Proof>> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let annotated = lines.iter().enumerate().filter(|(_, line)| line.starts_with(PROVES));
    annotated
        .map(|(at, line)| {
            let here = format!("{file}:{}", at + 1);
            let ids = ids_of(line).ok_or_else(|| {
                format!("{here}: write `// Proves R21, R22.`, ids and a full stop")
            })?;
            let below = &lines[at + 1..];
            let name = name_of(below, file)
                .ok_or_else(|| format!("{here}: there is no test right below"))?;
            Ok(Proof { file: file.to_owned(), name, ids })
        })
        .collect()
}

/// The ids in the first column of the table of faults.
fn faults_in(page: &str) -> BTreeSet<String> {
    let ids = page.lines().filter_map(|line| line.strip_prefix("| F")?.split_once(" |"));
    let ids = ids.filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
    ids.map(|(number, _)| format!("F{number}")).collect()
}

fn ids_of(line: &str) -> Option<Vec<String>> {
    let ids = line.strip_prefix(PROVES)?.strip_suffix('.')?;
    let ids: Vec<String> = ids.split(", ").map(str::to_owned).collect();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-#_".contains(&byte);
    ids.iter().all(|id| !id.is_empty() && id.bytes().all(plain)).then_some(ids)
}

/// The name of the test that begins here: comments and attributes, one of which makes it a test, and
/// then the function; or a suite that is run as one test, or a line of a table of fuzzing targets, each
/// of which is a test over its corpus. A check of the suites needs no attribute.
/// A test that is left out proves nothing.
fn name_of(lines: &[&str], file: &str) -> Option<String> {
    let mut is_test = is_in_a_suite(file);
    if lines.first().is_some_and(|line| line.contains("_suite!(")) {
        let named = lines.iter().take(2).find_map(|line| line.split_once("in one test "));
        return named.and_then(|(_, name)| Some(name.split_once(',')?.0.to_owned()));
    }
    if file.starts_with(TARGETS)
        && let Some((name, _)) = lines.first().and_then(|line| line.split_once("(\""))
    {
        return Some(name.to_owned());
    }
    for line in lines {
        if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
            if line.starts_with("#[ignore") {
                return None;
            }
        } else if let Some((_, declared)) = line.split_once("fn ") {
            let end = declared.find(['(', '<'])?;
            return is_test.then(|| declared[..end].to_owned());
        } else if !line.starts_with("//") {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
        [[group]]
        title = "Tokens"
        [[group.row]]
        ids = ["R1"]
        source = "NIST"
        must = "No two are alike"
        met = "`Token`"
        [[group.row]]
        ids = ["CVE-1-2", "CVE-1-3"]
        source = "Others"
        must = "No id is adopted"
        met = "see R1"
    "#;

    const BOTH: &str = "// Proves R1, CVE-1-3.\n/// Why.\n#[test]\nfn they_differ() {}\n";

    fn planted(requirements: &str, test: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        put(REQUIREMENTS, requirements);
        put("crates/a/tests/it.rs", test);
        if let Ok(matrix) = Matrix::of(folder.path()) {
            put(PAGE, &matrix.page());
        }
        folder
    }

    #[test]
    fn a_page_names_the_tests_of_each_row() {
        let folder = planted(TWO, BOTH);
        is_fresh_in(folder.path()).unwrap();
        let page = fs::read_to_string(folder.path().join(PAGE)).unwrap();
        let link = "[`they_differ`](../crates/a/tests/it.rs)";
        assert!(page.contains(&format!("| R1 | No two are alike<br>*NIST* | `Token` | {link} |")));
        assert!(page.contains("| CVE-1-2<br>CVE-1-3 |") && page.contains("2 of 2 rows"), "{page}");
    }

    #[test]
    fn a_row_without_a_test_is_found_unless_somebody_else_has_to_do_it() {
        let folder = planted(TWO, "// Proves R1.\n#[tokio::test]\nasync fn they_differ() {}");
        let wrong = is_fresh_in(folder.path()).unwrap_err();
        assert!(wrong.starts_with("CVE-1-2 has no test") && wrong.lines().count() == 1, "{wrong}");
        for excuse in ["duty", "absent"] {
            let excused = format!("{TWO}\n{excuse} = \"why\"");
            let folder = planted(&excused, "// Proves R1.\n#[test]\nfn they_differ() {}");
            is_fresh_in(folder.path()).unwrap();
        }
    }

    #[test]
    fn what_is_said_to_be_absent_and_has_a_test_is_found() {
        let folder = planted(&format!("{TWO}\nabsent = \"not yet\""), BOTH);
        let wrong = is_fresh_in(folder.path()).unwrap_err();
        assert!(wrong.contains("CVE-1-2 is said to be absent, and they_differ"), "{wrong}");
    }

    #[test]
    fn a_page_that_was_left_behind_is_found() {
        let folder = planted(TWO, BOTH);
        let moved = BOTH.replace("they_differ", "they_are_unlike");
        fs::write(folder.path().join("crates/a/tests/it.rs"), moved).unwrap();
        let wrong = is_fresh_in(folder.path()).unwrap_err();
        assert!(wrong.contains("cargo xtask security-matrix"), "{wrong}");
    }

    #[test]
    fn an_id_that_nobody_knows_is_found() {
        let folder = planted(TWO, &BOTH.replace("CVE-1-3", "CVE-1-4"));
        let wrong = is_fresh_in(folder.path()).unwrap_err();
        assert!(wrong.contains("they_differ proves CVE-1-4"), "{wrong}");
    }

    #[test]
    fn an_annotation_that_can_not_be_read_is_found() {
        for (wrong, says) in [
            ("// Proves R1\n#[test]\nfn it() {}", "full stop"),
            ("// Proves R1 and R2.\n#[test]\nfn it() {}", "full stop"),
            ("// Proves R1.\nfn it() {}", "no test"),
            ("// Proves R1.\n\n#[test]\nfn it() {}", "no test"),
            ("// Proves R1.\n", "no test"),
            ("// Proves R1.\n#[test]\n#[ignore = \"slow\"]\nfn it() {}", "no test"),
        ] {
            let found = is_fresh_in(planted(TWO, wrong).path()).unwrap_err();
            assert!(found.contains(says) && found.contains("it.rs:1:"), "{wrong}: {found}");
        }
    }

    #[test]
    fn the_ids_of_faults_are_known_and_each_has_a_test() {
        let proved = BOTH.replace("CVE-1-3", "CVE-1-3, F3");
        let folder = planted(TWO, &proved);
        let wrong = is_fresh_in(folder.path()).unwrap_err();
        assert!(wrong.contains("proves F3"), "{wrong}");
        fs::create_dir_all(folder.path().join("docs")).unwrap();
        let table = |faults: &str| fs::write(folder.path().join(FAULTS), faults).unwrap();
        table("| F3 | it hangs |\n");
        let page = Matrix::of(folder.path()).unwrap().page();
        fs::write(folder.path().join(PAGE), page).unwrap();
        is_fresh_in(folder.path()).unwrap();
        table("| F3 | it hangs |\n| F4 | it is gone |\n");
        let wrong = is_fresh_in(folder.path()).unwrap_err();
        assert!(wrong.starts_with("F4 of docs/faults.md has no test"), "{wrong}");
    }

    #[test]
    fn a_suite_that_is_run_as_one_test_proves_something() {
        for suite in [
            "x::a_suite!(in one test all_hold, here);",
            "x::a_suite!(\n  in one test all_hold, here\n);",
        ] {
            let proofs = proofs_of("it.rs", &format!("// Proves R1.\n{suite}"));
            assert_eq!(proofs[0].as_ref().unwrap().name, "all_hold");
        }
        assert!(proofs_of("it.rs", "// Proves R1.\nx::a_suite!(here);")[0].is_err());
        let target = "// Proves R1.\n    it_holds(\"target\");";
        assert_eq!(proofs_of("fuzz/tests/corpus.rs", target)[0].as_ref().unwrap().name, "it_holds");
        assert!(proofs_of("it.rs", target)[0].is_err());
    }

    #[test]
    fn a_check_of_the_suites_says_on_which_stores_it_runs() {
        let folder = planted(TWO, BOTH);
        let put = |name: &str, text: &str| {
            let file = folder.path().join(SUITES[0]).join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let check = |id: &str, name: &str| {
            format!("// Proves {id}.\npub fn {name}<H: Harness>(here: &H) {{}}\n")
        };
        put("login.rs", &[check("R1", "it_holds"), check("R1", "it_ends")].concat());
        put(
            "mod.rs",
            "macro_rules! suite {\n    login::it_holds\n}\nmacro_rules! conformance_suite_of_hours {\n\
             \x20   login::it_ends\n}\nmacro_rules! tests {\n    login::it_holds\n}",
        );
        let page = Matrix::of(folder.path()).unwrap().page();
        for (name, stores) in [("it_holds", "every store"), ("it_ends", "over hours")] {
            let link = format!("[`{name}`](../{}login.rs) *({stores})*", SUITES[0]);
            assert!(page.contains(&link), "{link}: {page}");
        }
    }
}
