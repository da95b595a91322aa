//! The table of the READMEs, between two comments, in both languages: from the same run as the page.

use std::fs;
use std::path::Path;

use bench::{head, row};

use crate::report::share;
use crate::run::Run;
use crate::scene::Scene;
use crate::table::figure;
use crate::variant::{PIPELINE, REDIS, SCRIPT, STATIC, Variant};

const BEGIN: &str = "<!-- measured by cargo xtask bench -->\n";
const END: &str = "<!-- end of what was measured -->";

/// A README, and the words of its table.
struct Language {
    file: &'static str,
    head: [&'static str; 4],
    by_hand: [&'static str; 2],
    measured: fn(&str, &str) -> String,
}

const LANGUAGES: [Language; 2] = [
    Language {
        file: "README.md",
        head: [
            "",
            "increments kept",
            "commands (trips) for a counted page",
            "server CPU for it, × a static text",
        ],
        by_hand: ["by hand with the redis crate, a pipeline", "by hand, a script"],
        measured: |day, redis| format!("Measured on {day} on two cores against {redis}."),
    },
    Language {
        file: "README.ja.md",
        head: [
            "",
            "残った加算",
            "カウンターのあるページのコマンド (往復)",
            "そのページのサーバー CPU (静的な文字列の何倍か)",
        ],
        by_hand: ["redis クレートで自分で書く (パイプライン)", "自分で書く (スクリプト)"],
        measured: |day, redis| format!("{day} に 2 コア、{redis} で測定。"),
    },
];

/// Writes the tables, if the run has all that belongs into them.
pub(crate) fn write(root: &Path, run: &Run, day: &str) {
    let Some(rows) = rows(run) else {
        println!("the READMEs stay as they are: this run has not all that they show");
        return;
    };
    for language in LANGUAGES {
        let path = root.join(language.file);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let table = table(&language, &rows);
        let measured = (language.measured)(day, &run.redis);
        match replaced(&text, &format!("{table}\n{measured}\n")) {
            Some(text) => fs::write(&path, text).unwrap(),
            None => println!("{} has no place for the table", path.display()),
        }
    }
}

/// Variant, increments kept on two processes, commands and trips, processor time.
type Row = (Variant, [String; 3]);

fn rows(run: &Run) -> Option<Vec<Row>> {
    let (pages, kept) = (run.pages.as_ref()?, run.kept.as_ref()?);
    if run.variants.iter().any(|variant| variant.skipped.is_some()) {
        return None;
    }
    let row = |variant: &Variant| {
        let name = &variant.name;
        let trips = pages.trips.get(&(Scene::Counted, name.clone()))?;
        let cost = pages.slices.ratio(Scene::Counted, name, STATIC, |slice| slice.server);
        let cells = [
            share(kept.get(name)?.on_two),
            format!("{:.0} ({:.0})", trips.sent, trips.trips),
            figure(cost),
        ];
        Some((variant.clone(), cells))
    };
    let mut shown: Vec<&Variant> =
        run.variants.iter().filter(|variant| variant.uses_redis()).collect();
    // Ours first, as everywhere.
    shown.sort_by_key(|variant| !variant.is(REDIS));
    let rows: Vec<Row> = shown.into_iter().map(row).collect::<Option<_>>()?;
    (rows.len() > 3).then_some(rows)
}

fn table(language: &Language, rows: &[Row]) -> String {
    let mut text = head(language.head);
    for (variant, [kept, commands, cost]) in rows {
        let title = match variant.name.as_str() {
            REDIS => format!("**Cloakroom** {}", env!("CARGO_PKG_VERSION")),
            PIPELINE => language.by_hand[0].to_owned(),
            SCRIPT => language.by_hand[1].to_owned(),
            _ => variant.version.clone(),
        };
        text.push('\n');
        text.push_str(&row([&title, kept, commands, cost]));
    }
    text.push('\n');
    text
}

/// The text with something else between the two comments.
fn replaced(text: &str, table: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!("{}{table}{}", &text[..begin], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_comments_is_replaced() {
        let text = format!("a\n{BEGIN}old\n{END}\nb");
        assert_eq!(replaced(&text, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}\nb"));
        assert!(replaced("no place", "new").is_none());
    }

    #[test]
    fn both_readmes_show_the_same_figures() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let figures = LANGUAGES.map(|Language { file, .. }| {
            let text = fs::read_to_string(root.join(file)).unwrap();
            let begin = text.find(BEGIN).expect(file);
            let end = text.find(END).expect(file);
            let rows = text[begin..end].lines().filter(|line| line.starts_with("| ")).skip(1);
            let cells = |row: &str| row.split(" | ").skip(1).collect::<Vec<_>>().join(" | ");
            rows.map(cells).collect::<Vec<_>>()
        });
        assert_eq!(figures[0], figures[1]);
    }
}
