//! `cloakroom store`: looks after the sessions in a folder. What is carried between stores is
//! [`crate::carry`]'s.

use std::io::Write;
use std::path::Path;

use cloakroom_embedded::{Contents, EmbeddedSettings, EmbeddedStore, OpenError};
use cloakroom_redis::RedisStore;

use crate::args::{Carry, Data, StoreCommand};
use crate::carry::{Carried, Trip, carry};
use crate::store::{KEPT_KEY, Problem, folder};

pub(crate) async fn run(command: StoreCommand) -> Result<(), Problem> {
    match command {
        StoreCommand::Check(Data { data }) => {
            let folder = folder(data.as_deref())?;
            let Contents { layout, live, logged_in, users, over, markers, bytes, .. } =
                cloakroom_embedded::check(&folder).map_err(failed)?;
            say(format_args!(
                "{}: whole, layout {layout}, {bytes} bytes\n\
                 {live} live sessions: {logged_in} of {users} users, {} anonymous\n\
                 {over} over, {markers} markers of sessions that ended or were restored",
                folder.display(),
                live - logged_in
            ));
        }
        StoreCommand::Compact(Data { data }) => {
            let folder = folder(data.as_deref())?;
            let (before, now) = cloakroom_embedded::compact(&folder).map_err(failed)?;
            say(format_args!("{}: {now} bytes, of {before} before", folder.display()));
        }
        StoreCommand::Export { to, set_aside, carry } => export(&to, set_aside, &carry).await?,
        StoreCommand::Import { from, carry } => import(&from, &carry).await?,
    }
    Ok(())
}

async fn export(to: &str, set_aside: bool, options: &Carry) -> Result<(), Problem> {
    let folder = folder(options.data.data.as_deref())?;
    let redis = redis(to, "--to", options)?;
    // An empty folder would be made by opening it.
    cloakroom_embedded::check(&folder).map_err(failed)?;
    let embedded = embedded(&folder, options)?;
    let trip = Trip {
        name: format!("to {} under {}", redis.server(), options.prefix.as_str()),
        checkpoint: folder.join("export.checkpoint"),
        about_how_many: Some(embedded.len() as u64),
        prefix: options.prefix.clone(),
        resume: options.resume,
    };
    let carried = carry(&embedded, &redis, &trip).await?;
    drop(embedded);
    summary(&carried, &format!("at {}", redis.server()));
    if set_aside {
        let name = cloakroom_embedded::set_aside(&folder).map_err(failed)?;
        say(format_args!("The file is now {}", name.display()));
    } else {
        say(format_args!(
            "Don't serve from {} any more: what ends in Redis from now on is alive in it until it \
             expires (--set-aside renames the file)",
            folder.display()
        ));
    }
    say(key_to_take_along(&folder, options));
    Ok(())
}

async fn import(from: &str, options: &Carry) -> Result<(), Problem> {
    let folder = folder(options.data.data.as_deref())?;
    let redis = redis(from, "--from", options)?;
    let embedded = embedded(&folder, options)?;
    let trip = Trip {
        name: format!("from {} under {}", redis.server(), options.prefix.as_str()),
        checkpoint: folder.join("import.checkpoint"),
        about_how_many: None,
        prefix: options.prefix.clone(),
        resume: options.resume,
    };
    let carried = carry(&redis, &embedded, &trip).await?;
    drop(embedded);
    summary(&carried, &format!("in {}", folder.display()));
    let key = folder.join(KEPT_KEY);
    say(format_args!(
        "For cookies to stay valid, serve with --prefix {} and the SECRET_KEY that the services on \
         Redis have; without one in the environment, {} is taken{}",
        options.prefix.as_str(),
        key.display(),
        if key.exists() { "" } else { ", which is not there yet" }
    ));
    Ok(())
}

fn key_to_take_along(folder: &Path, options: &Carry) -> String {
    let key = folder.join(KEPT_KEY);
    let prefix = options.prefix.as_str();
    let key = match key.exists() {
        true => format!(
            "the content of {} (if SECRET_KEY was set when they were served from here: that)",
            key.display()
        ),
        false => "the one that they were served with here".to_owned(),
    };
    format!("For cookies to stay valid, serve with --prefix {prefix} and as SECRET_KEY {key}")
}

fn embedded(folder: &Path, options: &Carry) -> Result<EmbeddedStore, Problem> {
    let prefix = options.prefix.clone();
    let settings = EmbeddedSettings { prefix, ..EmbeddedSettings::default() };
    EmbeddedStore::open(folder, settings).map_err(failed)
}

fn redis(url: &str, flag: &str, options: &Carry) -> Result<RedisStore, Problem> {
    // The error holds nothing of the URL.
    RedisStore::open(url, options.prefix.clone())
        .map_err(|error| Problem::Wrong(format!("{flag} or REDIS_URL: {error}")))
}

fn failed(error: OpenError) -> Problem {
    Problem::Failed(error.to_string())
}

fn summary(carried: &Carried, place: &str) {
    let Carried { done, there, ended, expired } = carried;
    say(format_args!(
        "{done} sessions carried over; of the others {there} were {place} already, {ended} had ended \
         there, {expired} have expired"
    ));
}

fn say(what: impl std::fmt::Display) {
    // Whoever closed the pipe doesn't want to hear it.
    let _ = writeln!(std::io::stdout(), "{what}");
}
