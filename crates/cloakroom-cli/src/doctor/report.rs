//! How the findings are shown: a line a step for people, or one object for programs.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde_json::json;
use textwrap::core::display_width;

use crate::doctor::finding::{Finding, Part, Step, Verdict};
use crate::doctor::language::{Phrases, Tally};

/// Narrower than this, text stands below its step.
const NARROW: usize = 100;
const WIDEST: usize = 120;

/// Prints each step when it is done.
pub(crate) struct Page {
    phrases: &'static Phrases,
    titles: usize,
    verdicts: usize,
    width: usize,
}

impl Page {
    pub(crate) fn new(phrases: &'static Phrases, parts: &[Part]) -> Self {
        let all = [Verdict::Ok, Verdict::Note, Verdict::Warning, Verdict::Failure];
        let verdicts = all.into_iter().map(Some).chain([None]).map(phrases.verdict);
        let titles = parts.iter().map(|part| (phrases.title)(*part));
        Self {
            phrases,
            titles: titles.map(display_width).max().unwrap_or(0),
            verdicts: verdicts.map(display_width).max().unwrap_or(0),
            width: textwrap::termwidth().min(WIDEST),
        }
    }

    pub(crate) fn step(&self, number: usize, step: &Step) {
        let title = (self.phrases.title)(step.part);
        let verdict = (self.phrases.verdict)(step.verdict());
        let style = style(step.verdict());
        let took = step.verdict().map_or(String::new(), |_| step.took.to_string());
        let head = format!(
            "{number:>2}  {title}{}  {style}{verdict}{style:#}{}  {took:>8}  ",
            pad(title, self.titles),
            pad(verdict, self.verdicts)
        );
        let column = 4 + self.titles + 2 + self.verdicts + 2 + 8 + 2;
        let narrow = self.width < NARROW;
        let indent = " ".repeat(if narrow { 4 } else { column });
        let room = self.width.saturating_sub(indent.len()).max(20);

        let mut lines = Vec::new();
        for finding in &step.findings {
            let words = (self.phrases.words)(finding);
            lines.extend(wrapped(&words.reason, room));
            lines.extend(wrapped_next(self.phrases.next, words.next.as_deref(), room));
        }
        let mut out = anstream::stdout();
        let mut lines = lines.into_iter();
        let first = if narrow { None } else { lines.next() };
        let line = format!("{head}{}", first.unwrap_or_default());
        // A reader that went away wants no more.
        let _ = writeln!(out, "{}", line.trim_end());
        for line in lines {
            let _ = writeln!(out, "{indent}{line}");
        }
    }

    pub(crate) fn summary(&self, tally: Tally) {
        let text = (self.phrases.summary)(tally);
        let style = match tally {
            Tally { failures: 0, warnings: 0, .. } => style(Some(Verdict::Ok)),
            Tally { failures: 0, .. } => style(Some(Verdict::Warning)),
            _ => style(Some(Verdict::Failure)),
        };
        let _ = writeln!(anstream::stdout(), "\n{style}{text}{style:#}");
    }
}

fn style(verdict: Option<Verdict>) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match verdict {
        Some(Verdict::Ok) => colour(AnsiColor::Green),
        Some(Verdict::Note) => colour(AnsiColor::Cyan),
        Some(Verdict::Warning) => colour(AnsiColor::Yellow).bold(),
        Some(Verdict::Failure) => colour(AnsiColor::Red).bold(),
        None => Style::new().dimmed(),
    }
}

fn pad(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(display_width(text)))
}

fn options(width: usize) -> textwrap::Options<'static> {
    // Paths, URLs and commands stay whole where there is room, to be copied.
    textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation)
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    textwrap::wrap(text, options(width)).into_iter().map(Into::into).collect()
}

fn wrapped_next(label: &'static str, next: Option<&str>, width: usize) -> Vec<String> {
    let Some(next) = next else { return Vec::new() };
    let indent = " ".repeat(display_width(label));
    let options = options(width).initial_indent(label).subsequent_indent(&indent);
    textwrap::wrap(next, options).into_iter().map(Into::into).collect()
}

/// The verdicts, counted.
pub(crate) fn tally(steps: &[Step]) -> Tally {
    let count = |verdict| {
        let all = steps.iter().flat_map(|step| &step.findings);
        all.filter(|finding| finding.verdict() == verdict).count()
    };
    let worst = steps.iter().filter_map(Step::verdict).max();
    let first = steps.iter().position(|step| step.verdict() == worst).map(|at| at + 1);
    Tally {
        failures: count(Verdict::Failure),
        warnings: count(Verdict::Warning),
        notes: count(Verdict::Note),
        first: first.filter(|_| worst >= Some(Verdict::Warning)),
    }
}

/// All of it as one JSON object.
pub(crate) fn json(target: &str, steps: &[Step], phrases: &Phrases) -> serde_json::Value {
    let finding = |finding: &Finding| {
        let (code, verdict) = finding.code();
        let (nodes, finding) = match finding {
            Finding::At { nodes, what, .. } => (Some(nodes), &**what),
            finding => (None, finding),
        };
        let words = (phrases.words)(finding);
        json!({
            "code": code, "verdict": verdict, "reason": words.reason, "next": words.next,
            "nodes": nodes, "details": finding,
        })
    };
    let step = |(number, step): (usize, &Step)| {
        json!({
            "number": number, "part": step.part.code(), "verdict": step.verdict(),
            "took_ms": step.verdict().map(|_| step.took),
            "findings": step.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    };
    json!({
        "format": 1, "target": target,
        "verdict": steps.iter().filter_map(Step::verdict).max(),
        "steps": (1..).zip(steps).map(step).collect::<Vec<_>>(),
    })
}
