//! What goes to the server and what comes back: the arguments and replies of the scripts, as their
//! heads describe them. Pure; nothing here talks to anybody.

pub(crate) mod users;

use cloakroom::change::{Change, Fields, Operation, Writes};
use cloakroom::records::{Record, Restored};
use cloakroom::rotation::{Generation, Shown};
use cloakroom::store::{
    Applied, Apply, Create, Created, Ended, Login, OnlyIf, Rotate, Rotated, Snapshot, Why,
};
use cloakroom::{
    Client, FieldName, Kept, Life, Lifetime, Limits, Prefix, Refusal, SessionId, Tag, Timestamp,
    Touch, User, WhenFull,
};
use redis::{Arg, Cmd, RedisWrite, ToRedisArgs, ToSingleRedisArg, Value};

use crate::keys::{self, Key};
use crate::scripts::{self, Script};
use crate::slot;

mod packed;
mod seal;
use packed::Packed;
pub(crate) use seal::{Sealed, has_room, room, seal, sealed};

/// A call of a script, its keys and arguments written straight into the command that is sent.
pub(crate) struct Call {
    script: &'static Script,
    command: Cmd,
    /// Whether it is among those that the durable mode lets wait for replicas.
    pub(crate) lasting: bool,
}

pub(crate) fn create(prefix: &Prefix, new: &Create<'_>) -> Call {
    let mut call = Call::of(&scripts::CREATE, keys_of(prefix, new.id));
    call.lasting = new.login.is_some();
    call.life(new.lifetime, new.remembered);
    if let Some(login) = &new.login {
        call.login(login);
    }
    call.fields(new.fields);
    call
}

pub(crate) fn apply(prefix: &Prefix, apply: &Apply<'_>) -> Call {
    let mut call = Call::of(&scripts::APPLY, keys_of(prefix, apply.id));
    call.token(apply.token);
    match apply.touch {
        Touch::Exactly => call.text("0"),
        Touch::AtMostEvery(slack) => call.number(slack.as_millis()),
        Touch::Never => call.text("never"),
    }
    call.text(match apply.only_if {
        OnlyIf::Alive => "alive",
        OnlyIf::LoggedIn => "logged-in",
    });
    // A read ends here.
    if !apply.change.is_read() {
        let Change { writes, operation } = apply.change;
        call.limits(apply.limits);
        if !writes.is_empty() {
            call.text("writes");
            call.writes(writes);
        }
        match operation {
            None => call.text("read"),
            Some(operation) => call.operation(operation),
        }
    }
    call
}

pub(crate) fn rotate(prefix: &Prefix, rotate: &Rotate<'_>) -> Call {
    let kind = |id: &SessionId| match id.tag() {
        Tag::Anonymous(_) => "a",
        Tag::User(_) => "u",
    };
    let sessions = [keys::session(prefix, rotate.old), keys::session(prefix, rotate.new)];
    let indexes = [keys::index(prefix, rotate.old), keys::index(prefix, rotate.new)];
    let keys = sessions.into_iter().chain(indexes.into_iter().flatten());
    let mut call = Call::of(&scripts::ROTATE, keys);
    call.lasting = true;
    call.token(rotate.token);
    call.text(&format!("{}{}", kind(rotate.old), kind(rotate.new)));
    call.limits(rotate.limits);
    call.writes(rotate.writes);
    match &rotate.why {
        Why::Renewal => call.text("renewal"),
        Why::Login { login, lifetime, remembered, carried, fields } => {
            call.text("login");
            call.life(*lifetime, *remembered);
            call.login(login);
            call.list(carried.iter().map(|field| field.as_str().as_bytes()));
            call.fields(fields);
        }
    }
    call
}

pub(crate) fn end(prefix: &Prefix, id: &SessionId) -> Call {
    Call { lasting: true, ..Call::of(&scripts::END, keys_of(prefix, id)) }
}

/// Of whatever kind it is, if its id says that it is a user's.
pub(crate) fn peek(prefix: &Prefix, id: &SessionId) -> Call {
    Call::of(&scripts::PEEK, keys_of(prefix, id))
}

pub(crate) fn restore(prefix: &Prefix, record: &Record) -> Call {
    let Record { id, user, life, expires_at, client, fields } = record;
    let keys = [keys::session(prefix, id), keys::note(prefix, id)];
    let mut call = Call::of(&scripts::RESTORE, keys.into_iter().chain(keys::index(prefix, id)));
    call.number(expires_at.as_millis());
    call.number(life.created.as_millis());
    call.life(life.lifetime, life.remembered);
    call.number(life.last_seen.as_millis());
    if let Some(user) = user {
        call.text(user.as_str());
        call.client(client.as_ref());
    }
    call.fields(fields);
    call
}

/// Of a session, and of the index if it has a user.
fn keys_of<'a>(prefix: &'a Prefix, id: &SessionId) -> impl Iterator<Item = Key<'a>> + Clone {
    std::iter::once(keys::session(prefix, id)).chain(keys::index(prefix, id))
}

impl Call {
    /// Without arguments yet, and not lasting.
    pub(crate) fn of(
        script: &'static Script,
        keys: impl Iterator<Item = impl ToRedisArgs> + Clone,
    ) -> Self {
        // Room for what most calls hold.
        let mut command = Cmd::with_capacity(16, 384);
        command.arg("EVALSHA").arg(script.sha()).arg(keys.clone().count());
        for key in keys {
            command.arg(key);
        }
        Self { script, command, lasting: false }
    }

    /// As it is sent to a server that knows the script.
    pub(crate) fn command(&self) -> &Cmd {
        &self.command
    }

    /// As it is sent to one that doesn't.
    pub(crate) fn with_text(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.script.text);
        for argument in self.command.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                command.arg(bytes);
            }
        }
        command
    }

    /// The slot of its keys.
    pub(crate) fn slot(&self) -> u16 {
        match self.command.args_iter().nth(3) {
            Some(Arg::Simple(key)) => std::str::from_utf8(key).map_or(0, slot::of),
            _ => 0,
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.command.arg(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Numbers cross as text: a number of Lua is exact to 2^53 only.
    pub(crate) fn number(&mut self, number: impl ToSingleRedisArg) {
        self.command.arg(number);
    }

    fn list<'a>(&mut self, items: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.number(items.len());
        for item in items {
            self.bytes(item);
        }
    }

    fn fields(&mut self, fields: &Fields) {
        self.number(fields.len() * 2);
        for (name, value) in fields {
            self.text(name.as_str());
            self.bytes(value);
        }
    }

    fn writes(&mut self, writes: &Writes) {
        let sets = writes.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        self.number(sets.clone().count() * 2);
        for (name, value) in sets {
            self.text(name.as_str());
            self.bytes(value);
        }
        let removes = writes.iter().filter(|(_, value)| value.is_none());
        self.number(removes.clone().count());
        for (name, _) in removes {
            self.text(name.as_str());
        }
    }

    fn token(&mut self, token: Option<Shown>) {
        let Some(Shown { generation, ago, every, grace }) = token else { return };
        self.text("token");
        self.number(generation.0);
        self.number(ago.as_millis());
        match every {
            Some(every) => self.number(every.as_millis()),
            None => self.text("never"),
        }
        self.number(grace.as_millis());
    }

    fn limits(&mut self, limits: &Limits) {
        let Limits { value_bytes, fields, session_bytes, .. } = limits;
        self.command.write_arg_fmt(format_args!("{value_bytes} {fields} {session_bytes}"));
    }

    fn life(&mut self, lifetime: Lifetime, remembered: bool) {
        self.number(lifetime.absolute().as_millis());
        self.number(lifetime.idle().as_millis());
        self.text(if remembered { "r" } else { "s" });
    }

    fn login(&mut self, login: &Login<'_>) {
        self.text(login.user.as_str());
        self.number(login.limit.map_or(0, |limit| limit.at_most.get()));
        self.text(match login.limit.map(|limit| limit.when_full) {
            Some(WhenFull::Refuse) => "refuse",
            Some(WhenFull::EndOldest) | None => "end-oldest",
        });
        self.client(login.client);
    }

    fn client(&mut self, client: Option<&Client>) {
        self.text(&client.map_or_else(String::new, Client::to_text));
    }

    fn operation(&mut self, operation: &Operation) {
        let name = operation.field().as_str();
        match operation {
            Operation::Increment { by, never_below_zero, .. } => {
                self.text(if *never_below_zero { "count" } else { "increment" });
                self.text(name);
                self.number(by);
            }
            Operation::CompareAndSet { expected, new, .. } => {
                self.text("compare-and-set");
                self.text(name);
                self.bytes(new);
                if let Some(expected) = expected {
                    self.bytes(expected);
                }
            }
            Operation::Take { .. } => {
                self.text("take");
                self.text(name);
            }
            Operation::Append { item, keep, .. } => {
                self.text("append");
                self.text(name);
                self.bytes(item);
                self.number(keep);
            }
        }
    }
}

/// What the server answered is not what its script answers.
#[derive(Debug, thiserror::Error)]
#[error("the server answered a script in a form that is not the script's: {0}")]
pub(crate) struct Garbled(pub(crate) &'static str);

impl Garbled {
    pub(crate) fn nothing() -> Self {
        Self("nothing")
    }
}

/// Something stood under the key that we did not write, or that a later version wrote. Logged by
/// the caller; the session counts as [`Applied::Unknown`] or [`Applied::Ended`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    Damaged(String),
    Newer,
}

/// A reply, and what was odd about what it found.
pub(crate) struct Reply<T> {
    pub(crate) outcome: T,
    pub(crate) oddity: Option<Oddity>,
}

impl<T> From<T> for Reply<T> {
    fn from(outcome: T) -> Self {
        Self { outcome, oddity: None }
    }
}

pub(crate) fn created(id: &SessionId, value: Value) -> Result<Reply<Created>, Garbled> {
    let mut words = match Said::by(value)? {
        Said::Done(snapshot, answer) => {
            return Ok(Created::Done(snapshot, ids(id, answer)?).into());
        }
        Said::NotLoggedIn(_) => return Err(Garbled("an outcome that create does not have")),
        Said::Otherwise(words) => words,
    };
    Ok(match &*words.outcome()? {
        b"full" => Created::Full.into(),
        b"taken" => Created::Taken.into(),
        _ => return Err(Garbled("an outcome that create does not have")),
    })
}

pub(crate) fn applied(limits: &Limits, value: Value) -> Result<Reply<Applied>, Garbled> {
    let mut words = match Said::by(value)? {
        Said::Done(snapshot, answer) => return Ok(Applied::Done(snapshot, answer).into()),
        Said::NotLoggedIn(snapshot) => return Ok(Applied::NotLoggedIn(snapshot).into()),
        Said::Otherwise(words) => words,
    };
    let outcome = words.outcome()?;
    Ok(match &*outcome {
        b"conflict" => Applied::Conflict(words.next().flatten().map(Kept)).into(),
        b"refused" => Applied::Refused(words.refusal(limits)?).into(),
        b"stolen" => Applied::Stolen.into(),
        _ => words.gone(&outcome, Applied::Unknown, Applied::Ended)?,
    })
}

pub(crate) fn rotated(
    id: &SessionId,
    limits: &Limits,
    value: Value,
) -> Result<Reply<Rotated>, Garbled> {
    let mut words = match Said::by(value)? {
        Said::Done(snapshot, answer) => {
            return Ok(Rotated::Done(snapshot, ids(id, answer)?).into());
        }
        Said::NotLoggedIn(_) => return Err(Garbled("an outcome that rotate does not have")),
        Said::Otherwise(words) => words,
    };
    let outcome = words.outcome()?;
    Ok(match &*outcome {
        b"full" => Rotated::Full.into(),
        b"taken" => Rotated::Taken.into(),
        b"refused" => Rotated::Refused(words.refusal(limits)?).into(),
        b"stolen" => Rotated::Stolen.into(),
        _ => words.gone(&outcome, Rotated::Unknown, Rotated::Ended)?,
    })
}

pub(crate) fn ended(value: Value) -> Result<Reply<Ended>, Garbled> {
    let mut words = Words::of(value)?;
    let outcome = words.outcome()?;
    Ok(match &*outcome {
        b"now" => Ended::Now.into(),
        b"before" => Ended::Before.into(),
        _ => words.gone(&outcome, Ended::Unknown, Ended::Before)?,
    })
}

/// What stands under the key of `id`, be it a user's or not; `None` if that is not alive.
pub(crate) fn peeked(id: &SessionId, value: Value) -> Result<Option<Record>, Garbled> {
    let snapshot = match Said::by(value)? {
        Said::Done(snapshot, _) => snapshot,
        Said::NotLoggedIn(_) => return Err(Garbled("an outcome that peek does not have")),
        Said::Otherwise(mut words) => {
            let outcome = words.outcome()?;
            return words.gone(&outcome, None, None).map(|reply| reply.outcome);
        }
    };
    let Snapshot { user, life, expires_at, client, fields, .. } = snapshot;
    let mut bytes = id.to_bytes();
    bytes[0] = if user.is_some() { b'u' } else { b'a' };
    let id = SessionId::from_bytes(&bytes).ok_or(Garbled("an id of no kind"))?;
    Ok(Some(Record { id, user, life, expires_at, client, fields }))
}

pub(crate) fn restored(value: Value) -> Result<Restored, Garbled> {
    Ok(match &*Words::of(value)?.outcome()? {
        b"done" => Restored::Done,
        b"there" => Restored::There,
        b"ended" => Restored::Ended,
        b"expired" => Restored::Expired,
        _ => return Err(Garbled("an outcome that restore does not have")),
    })
}

/// Where a scan goes on, and the keys that it found.
pub(crate) fn scanned(value: Value) -> Result<(String, Vec<Vec<u8>>), Garbled> {
    redis::from_redis_value(value).map_err(|_| Garbled("no page of a scan"))
}

/// The process of the server, by what it says of itself; empty if it doesn't say.
pub(crate) fn process(about: &Value) -> String {
    let text = match about {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.into(),
        _ => "".into(),
    };
    let id = text.lines().find_map(|line| line.strip_prefix("run_id:"));
    id.unwrap_or_default().trim().to_owned()
}

/// The ids of sessions of the same user, parted by spaces.
fn ids(beside: &SessionId, answer: Option<Kept>) -> Result<Vec<SessionId>, Garbled> {
    let answer = answer.unwrap_or_default();
    let text = std::str::from_utf8(&answer).map_err(|_| Garbled("ids that are no text"))?;
    // What is no id in the index is nothing that we wrote; it left the index all the same.
    Ok(text.split_whitespace().filter_map(|id| SessionId::parse(beside.tag(), id)).collect())
}

/// What a script of one session says: it brings the session after what was done, or says why not.
enum Said {
    Done(Snapshot, Option<Kept>),
    NotLoggedIn(Snapshot),
    Otherwise(Words),
}

impl Said {
    fn by(value: Value) -> Result<Self, Garbled> {
        let Value::BulkString(packed) = &value else {
            return Words::of(value).map(Self::Otherwise);
        };
        let mut packed = Packed::of(packed);
        let items = packed.array()?;
        let outcome = packed.string()?;
        let (snapshot, answer) = session(&mut packed, items)?;
        match outcome {
            b"done" => Ok(Self::Done(snapshot, answer)),
            b"not-logged-in" => Ok(Self::NotLoggedIn(snapshot)),
            _ => Err(Garbled("an outcome that brings no session")),
        }
    }
}

/// What stands behind the outcome, which is the first of so many items.
fn session(packed: &mut Packed<'_>, items: usize) -> Result<(Snapshot, Option<Kept>), Garbled> {
    let now = Timestamp::from_millis(packed.number()?);
    let expires_at = Timestamp::from_millis(packed.number()?);
    let answer = packed.string_if_any()?.map(|answer| Kept(answer.to_vec()));
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Garbled("no text"));
    let (mut life, mut user, mut client) = (None, None, None);
    let mut fields = Fields::new();
    let held = packed.array()?;
    if held % 2 == 1 {
        return Err(Garbled("a field without a value"));
    }
    for _ in 0..held / 2 {
        let (name, value) = (packed.string()?, packed.string()?);
        match name {
            b"~" => life = text(value)?.parse::<Life>().ok(),
            b"~user" => user = Some(User::new(text(value)?).map_err(|_| Garbled("no user"))?),
            b"~client" => client = Some(Client::from_text(text(value)?)),
            _ => {
                // A name that no application of ours can have written is not handed to one.
                let name = std::str::from_utf8(name).ok().and_then(|n| FieldName::named(n).ok());
                if let Some(name) = name {
                    fields.insert(name, Kept(value.to_vec()));
                }
            }
        }
    }
    let next_token = match items {
        5 => None,
        6 => {
            let next = text(packed.string()?)?.parse();
            Some(Generation(next.map_err(|_| Garbled("no generation"))?))
        }
        _ => return Err(Garbled("too short or too long")),
    };
    let life = life.ok_or(Garbled("a session without a life"))?;
    Ok((Snapshot { user, life, expires_at, now, client, fields, next_token }, answer))
}

/// The lines of a reply, one after the other.
struct Words {
    words: std::vec::IntoIter<Value>,
}

impl Words {
    fn of(value: Value) -> Result<Self, Garbled> {
        match value {
            Value::Array(words) => Ok(Self { words: words.into_iter() }),
            _ => Err(Garbled("no list")),
        }
    }

    /// `None` at the end; `Some(None)` for what is absent.
    fn next(&mut self) -> Option<Option<Vec<u8>>> {
        Some(match self.words.next()? {
            Value::BulkString(bytes) => Some(bytes),
            Value::SimpleString(text) => Some(text.into_bytes()),
            _ => None,
        })
    }

    fn bytes(&mut self) -> Result<Vec<u8>, Garbled> {
        self.next().flatten().ok_or(Garbled("too short"))
    }

    fn outcome(&mut self) -> Result<Vec<u8>, Garbled> {
        self.bytes()
    }

    fn text(&mut self) -> Result<String, Garbled> {
        String::from_utf8(self.bytes()?).map_err(|_| Garbled("no text"))
    }

    fn number(&mut self) -> Result<u64, Garbled> {
        let number = match self.words.next() {
            Some(Value::Int(number)) => u64::try_from(number).ok(),
            Some(Value::BulkString(text)) => {
                std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok())
            }
            _ => None,
        };
        number.ok_or(Garbled("no number"))
    }

    fn time(&mut self) -> Result<Timestamp, Garbled> {
        Ok(Timestamp::from_millis(self.number()?))
    }

    fn refusal(&mut self, limits: &Limits) -> Result<Refusal, Garbled> {
        let why = self.text()?;
        let mut field =
            || FieldName::named(self.text()?).map_err(|_| Garbled("a refusal of no field"));
        Ok(match why.as_str() {
            "too-many-fields" => Refusal::TooManyFields { limit: limits.fields },
            "value-too-large" => {
                Refusal::ValueTooLarge { field: field()?, limit: limits.value_bytes }
            }
            "session-too-large" => Refusal::SessionTooLarge { limit: limits.session_bytes },
            "not-a-number" => Refusal::NotANumber { field: field()? },
            "out-of-range" => Refusal::OutOfRange { field: field()? },
            "not-a-list" => Refusal::NotAList { field: field()? },
            _ => return Err(Garbled("a refusal that no script gives")),
        })
    }

    fn gone<T>(&mut self, outcome: &[u8], unknown: T, ended: T) -> Result<Reply<T>, Garbled> {
        Ok(match outcome {
            b"unknown" => unknown.into(),
            b"ended" => ended.into(),
            // A session of a later version is not for us to read; only who asks for it ends it.
            b"newer" => Reply { oddity: Some(Oddity::Newer), ..ended.into() },
            b"damaged" => Reply { oddity: Some(Oddity::Damaged(self.text()?)), ..unknown.into() },
            _ => return Err(Garbled("an outcome that the script does not have")),
        })
    }
}
