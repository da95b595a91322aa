//! `cloakroom sessions show`: one session. What its fields hold may be personal, and is hidden unless
//! it is asked for.

use cloakroom::records::{Record, Records};
use cloakroom::{Kept, SessionId, User};
use serde_json::{Value, json};

use super::Found;
use super::place::{PATIENCE, failed, now};
use super::write::{self, Form, say, say_table, table};
use crate::store::Problem;

/// Whether the values of fields are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    Shown,
    Hidden,
}

pub(super) async fn run(
    store: &dyn Records,
    id: &SessionId,
    values: Values,
    form: Form,
) -> Result<Found, Problem> {
    let Some(record) = store.peek(id, PATIENCE).await.map_err(failed)? else {
        if form == Form::Text {
            say("There is no such live session");
        }
        return Ok(Found::Nothing);
    };
    match form {
        Form::Json => say(object(&record, values)),
        Form::Text => show(&record, values, now(store).await?),
    }
    Ok(Found::Something)
}

fn object(record: &Record, values: Values) -> Value {
    let Record { id, user, life, expires_at, client, fields } = record;
    let mut object = write::object(id, user.as_ref(), life, *expires_at, client.as_ref());
    object["fields"] = fields
        .iter()
        .map(|(name, value)| {
            let mut field = json!({ "name": name.as_str(), "bytes": value.len() });
            match (values, std::str::from_utf8(value)) {
                (Values::Hidden, _) => {}
                (Values::Shown, Ok(text)) => field["value"] = text.into(),
                (Values::Shown, Err(_)) => field["hex"] = hex(value).into(),
            }
            field
        })
        .collect();
    object
}

fn show(record: &Record, values: Values, now: cloakroom::Timestamp) {
    let Record { id, user, life, expires_at, client, fields } = record;
    let client = client.as_ref();
    let user = user.as_ref().map_or("- (nobody is logged in)", User::as_str);
    let mut lines = table(&[]);
    for (what, is) in [
        ("Session", id.in_full()),
        ("User", write::harmless(user)),
        ("Device", write::device(client)),
        ("Address", write::address(client)),
        ("Label", write::label(client)),
        ("Created", format!("{}, {}", write::date(life.created), write::ago(life.created, now))),
        (
            "Last seen",
            format!("{}, {}", write::date(life.last_seen), write::ago(life.last_seen, now)),
        ),
        ("Expires", format!("{}, {}", write::date(*expires_at), write::ahead(*expires_at, now))),
        ("At the latest", write::date(life.deadline()).to_string()),
        ("Remembered", if life.remembered { "yes" } else { "no" }.to_owned()),
    ] {
        lines.add_row([what.to_owned(), is]);
    }
    say_table(&lines);
    if fields.is_empty() {
        return;
    }
    say("");
    let mut rows = table(&["FIELD", "BYTES", "VALUE"]);
    for (name, value) in fields {
        let shown = match values {
            Values::Hidden => "hidden (--values shows it)".to_owned(),
            Values::Shown => in_text(value),
        };
        rows.add_row([write::harmless(name.as_str()), value.len().to_string(), shown]);
    }
    say_table(&rows);
}

fn in_text(value: &Kept) -> String {
    std::str::from_utf8(value).map_or_else(|_| format!("0x{}", hex(value)), write::harmless)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
