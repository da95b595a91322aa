//! `cloakroom doctor`: the way from here to a store, step by step, each timed and judged. What comes
//! after a failure is not tried.
//!
//! Nothing that is printed holds a password; what is changed stands under the prefix of the
//! rehearsal, and is removed.

mod finding;
mod language;
mod wire;
mod network;
mod server;
mod nodes;
mod watch;
mod permissions;
mod rehearsal;
mod steps;
mod folder;
mod report;

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cloakroom_redis::{InvalidUrl, Named};

use crate::args::Doctor;
use crate::doctor::finding::{Finding, Ms, Part, Step, Verdict};
use crate::doctor::language::Phrases;
use crate::doctor::network::Roots;
use crate::doctor::nodes::{Duty, Node, Terms};
use crate::doctor::report::Page;
use crate::store;

const URL: &str = "REDIS_URL";

/// Examines what the arguments name, and says what it found by the exit code too.
pub(crate) fn examine(args: &Doctor) -> ExitCode {
    let phrases = language::chosen(args.lang);
    let roots = Roots::of(args.ca.as_deref());
    let terms = Terms { timeout: args.timeout, roots: &roots };
    let url = args.url.clone().or_else(|| env::var(URL).ok());
    let (target, steps) = match url {
        Some(url) => match named(&url) {
            Ok(named) => {
                let mut book = Book::open(args, phrases, &Part::OF_A_SERVER);
                let _ = steps::examine(&url, &named, args, terms, &mut book);
                let hosts: Vec<_> = named.hosts.iter().map(ToString::to_string).collect();
                (hosts.join(","), book.close())
            }
            Err(why) => {
                let _ = writeln!(std::io::stderr(), "error: {}", (phrases.unreadable)(&why));
                return ExitCode::from(2);
            }
        },
        None => match store::folder(args.data.as_deref()) {
            Ok(path) => {
                let mut book = Book::open(args, phrases, &Part::OF_A_FOLDER);
                let _ = folder_at(&path, &mut book);
                (path.display().to_string(), book.close())
            }
            Err(why) => {
                let _ = writeln!(std::io::stderr(), "error: {why}");
                return ExitCode::from(2);
            }
        },
    };
    if args.json {
        let _ = writeln!(std::io::stdout(), "{:#}", report::json(&target, &steps, phrases));
    }
    match steps.iter().filter_map(Step::verdict).max() {
        Some(Verdict::Failure) => ExitCode::from(1),
        Some(Verdict::Warning) => ExitCode::from(3),
        _ => ExitCode::SUCCESS,
    }
}

/// Where the steps are written down.
struct Book {
    parts: &'static [Part],
    steps: Vec<Step>,
    /// Whether there are several servers, so that each finding says of whom it is.
    several: bool,
    /// None for programs, who get all of it at the end.
    page: Option<Page>,
}

impl Book {
    fn open(args: &Doctor, phrases: &'static Phrases, parts: &'static [Part]) -> Self {
        let page = (!args.json).then(|| Page::new(phrases, parts));
        Self { parts, steps: Vec::new(), several: false, page }
    }

    /// Takes the next step. `None` if it failed: then none follows.
    fn step<T>(&mut self, look: impl FnOnce(&mut Vec<Finding>) -> Result<T, Finding>) -> Option<T> {
        let begin = Instant::now();
        let mut findings = Vec::new();
        let looked = look(&mut findings).map_err(|failure| findings.push(failure)).ok();
        self.write(begin.elapsed(), findings);
        looked
    }

    /// Takes the next step with each of these servers. `None` if it failed with one that the others
    /// can't do without; others are left out from here on.
    fn each(
        &mut self,
        nodes: &mut Vec<Node>,
        mut look: impl FnMut(&mut Node, &mut Vec<Finding>) -> Result<(), Finding>,
    ) -> Option<()> {
        let count = nodes.len();
        self.several |= count > 1;
        let begin = Instant::now();
        let (mut said, mut kept, mut failed) = (Vec::new(), Vec::new(), false);
        let mut all = std::mem::take(nodes).into_iter();
        while let Some(mut node) = all.next() {
            let mut findings = Vec::new();
            if let Err(why) = look(&mut node, &mut findings) {
                let mut others = kept.iter().chain(all.as_slice());
                let spared = match node.duty {
                    Duty::Alone | Duty::Primary => false,
                    Duty::Replica => true,
                    Duty::Sentinel => others.any(|other| other.duty == Duty::Sentinel),
                    Duty::Seed => others.next().is_some(),
                };
                failed |= !spared;
                findings.push(if spared { Finding::LeftOut { why: Box::new(why) } } else { why });
                said.extend(findings.into_iter().map(|finding| (node.name.clone(), finding)));
            } else {
                said.extend(findings.into_iter().map(|finding| (node.name.clone(), finding)));
                kept.push(node);
            }
        }
        *nodes = kept;
        let findings = if self.several {
            labelled(said, count)
        } else {
            said.into_iter().map(|(_, finding)| finding).collect()
        };
        self.write(begin.elapsed(), findings);
        (!failed).then_some(())
    }

    fn write(&mut self, took: Duration, findings: Vec<Finding>) {
        let Some(part) = self.parts.get(self.steps.len()) else { return };
        let step = Step { part: *part, took: Ms(took), findings };
        self.steps.push(step);
        if let (Some(page), Some(step)) = (&self.page, self.steps.last()) {
            page.step(self.steps.len(), step);
        }
    }

    fn close(mut self) -> Vec<Step> {
        while self.steps.len() < self.parts.len() {
            self.write(Duration::ZERO, Vec::new());
        }
        if let Some(page) = &self.page {
            page.summary(report::tally(&self.steps));
        }
        self.steps
    }
}

/// Findings with the names of the servers that they are of: the same of several is said once.
fn labelled(said: Vec<(String, Finding)>, of: usize) -> Vec<Finding> {
    let mut labelled: Vec<(Vec<String>, Finding)> = Vec::new();
    let is_same = |one: &Finding, other: &Finding| {
        // What can't be written is no finding of ours.
        let written = |finding| serde_json::to_value(finding).ok();
        one.code() == other.code() && written(one) == written(other)
    };
    for (node, finding) in said {
        match labelled.iter_mut().find(|(_, known)| is_same(known, &finding)) {
            Some((nodes, _)) => nodes.push(node),
            None => labelled.push((vec![node], finding)),
        }
    }
    let at = |(nodes, what): (Vec<_>, _)| {
        let all = nodes.len() == of && of > 1;
        Finding::At { nodes, all, what: Box::new(what) }
    };
    labelled.into_iter().map(at).collect()
}

/// What the URL names; the reason why it can't be read holds nothing of it.
fn named(url: &str) -> Result<Named, String> {
    Named::read(url).map_err(|error| match error {
        InvalidUrl::Url(what) => what,
        error => error.to_string(),
    })
}

fn folder_at(path: &Path, book: &mut Book) -> Option<()> {
    let there = book.step(|found| {
        let finding = folder::folder(path)?;
        let there = !matches!(finding, Finding::FolderMissing { .. });
        found.push(finding);
        Ok(there)
    })?;
    if !there {
        return None;
    }
    book.step(|found| folder::key(path).map(|finding| found.push(finding)))?;
    book.step(|found| folder::sessions(path).map(|finding| found.push(finding)))
}
