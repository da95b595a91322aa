//! `cloakroom sessions orphans`: what should not be on a server.

use std::collections::BTreeSet;
use std::time::Instant;

use cloakroom::Settings;
use cloakroom::records::Cursor;
use cloakroom_redis::orphans::{Endless, Odd};
use serde_json::json;

use super::Found;
use super::place::{PATIENCE, Stores, failed};
use super::walk::progress_in;
use super::write::{self, Form, say};
use crate::store::Problem;

const PAGE: u32 = 250;

pub(super) async fn run(stores: &Stores, endless: Endless, form: Form) -> Result<Found, Problem> {
    let Stores::Redis(store) = stores else {
        return Err(Problem::Wrong(
            "orphans are keys of a server, and a folder has none: `cloakroom store check --data DIR` \
             checks a folder"
                .into(),
        ));
    };
    let most_bytes = Settings::default().limits.session_bytes;
    let (mut met, mut amiss) = (BTreeSet::new(), false);
    let mut next = Some(Cursor::default());
    let progress = progress_in("keys");
    while let Some(place) = next {
        let begun = Instant::now();
        let page = store.orphans(&place, PAGE, most_bytes, endless, PATIENCE).await;
        let page = page.map_err(failed)?;
        progress.inc(page.looked_at);
        for orphan in page.orphans {
            let odd: Vec<&str> = orphan.odd.iter().map(|odd| word(*odd)).collect();
            // A scan may meet a key twice.
            if !met.insert(orphan.key.clone()) {
                continue;
            }
            amiss |= orphan.odd.iter().any(|odd| *odd != Odd::Fixed);
            // Both may be on one terminal.
            progress.suspend(|| match form {
                Form::Json => say(json!({ "key": orphan.key, "odd": odd })),
                Form::Text => {
                    say(format_args!("{}  {}", write::harmless(&orphan.key), odd.join(", ")));
                }
            });
        }
        next = page.next;
        if next.is_some() {
            // So that the server has time for others.
            tokio::time::sleep(begun.elapsed()).await;
        }
    }
    progress.finish_and_clear();
    if met.is_empty() && form == Form::Text {
        say("There is nothing odd");
    }
    Ok(if amiss { Found::Amiss } else { Found::Something })
}

fn word(odd: Odd) -> &'static str {
    match odd {
        Odd::Endless => "no-ttl",
        Odd::Fixed => "fixed",
        Odd::NotIndexed => "not-indexed",
        Odd::Hashtable => "hashtable",
        Odd::Oversize => "oversize",
    }
}
