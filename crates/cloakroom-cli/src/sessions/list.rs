//! `cloakroom sessions list`: what a user's sessions say of themselves.

use std::num::NonZeroU32;

use cloakroom::User;
use cloakroom::records::Records;
use cloakroom::store::{ListOf, Listed};

use super::Found;
use super::place::{PATIENCE, failed};
use super::write::{self, Form, say, say_table, table};
use crate::store::Problem;

const PAGE: NonZeroU32 = NonZeroU32::new(500).unwrap();

pub(super) async fn run(store: &dyn Records, user: &User, form: Form) -> Result<Found, Problem> {
    let mut found = Found::Nothing;
    let mut after = None;
    let mut rows =
        table(&["DEVICE", "ADDRESS", "LABEL", "LOGGED IN", "LAST SEEN", "EXPIRES", "ID"]);
    loop {
        let list = ListOf { user, after, at_most: PAGE };
        let page = store.sessions_of(list, PATIENCE).await.map_err(failed)?;
        for Listed { id, life, expires_at, client } in &page.sessions {
            found = Found::Something;
            let client = client.as_ref();
            match form {
                Form::Json => say(write::object(id, Some(user), life, *expires_at, client)),
                Form::Text => {
                    rows.add_row([
                        write::device(client),
                        write::address(client),
                        write::label(client),
                        write::ago(life.created, page.now),
                        write::ago(life.last_seen, page.now),
                        write::ahead(*expires_at, page.now),
                        id.in_full(),
                    ]);
                }
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    match form {
        Form::Text if found == Found::Nothing => {
            say(format_args!("{} has no sessions", write::harmless(user.as_str())));
        }
        Form::Text => say_table(&rows),
        Form::Json => {}
    }
    Ok(found)
}
