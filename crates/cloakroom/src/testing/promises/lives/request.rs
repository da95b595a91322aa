//! A request, what it does, and what the account says must come of it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::{Fields, Life, Standing};
use crate::manager::OpenVisit;
use crate::outcome::{LogIn, SessionError};
use crate::store::User;
use crate::testing::promises::scene::{NOTE, VISITS};
use crate::testing::{FailingStore, Failure, Harness};
use crate::token::SessionId;

pub(super) struct Request {
    visit: OpenVisit,
    bound: Bound,
    /// Whether the store knew its session already.
    met: bool,
    waiting: Vec<(&'static str, Option<String>)>,
    /// What it saw of the fields when it last asked.
    saw: Option<Fields>,
    tells: Tells,
}

/// Which session it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Newcomer,
    To(SessionId),
    Gone,
}

/// What its head has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    Nothing,
    Of(SessionId),
    Removal,
}

/// Whether an operation found its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meets {
    /// It is used.
    Alive(SessionId),
    /// There is none, and none was lost.
    Nobody,
    /// It was lost.
    Gone,
}

/// What came of an operation, as far as its caller can know.
enum Came<T> {
    Answer(Result<T, SessionError>),
    /// It was done, and nobody heard of it.
    Unheard,
    /// The store was not reached.
    NotReached,
}

impl Request {
    pub(super) fn new(visit: OpenVisit, id: Option<SessionId>) -> Self {
        let bound = id.map_or(Bound::Newcomer, Bound::To);
        Self { visit, bound, met: false, waiting: Vec::new(), saw: None, tells: Tells::Nothing }
    }

    fn apply_waiting(&mut self, fields: &mut Fields) {
        for (name, value) in self.waiting.drain(..) {
            match value {
                Some(value) => fields.insert(name, value),
                None => fields.remove(name),
            };
        }
    }

    fn would_be(&self, name: &str, fields: Option<&Fields>) -> Option<String> {
        let waiting = self.waiting.iter().rev().find(|(field, _)| *field == name);
        match waiting {
            Some((_, value)) => value.clone(),
            None => fields.and_then(|fields| fields.get(name).cloned()),
        }
    }
}

/// Runs an operation, perhaps with a store that fails; one that will never be answered is cancelled.
async fn run<T>(
    store: &FailingStore,
    fails: Option<Failure>,
    operation: impl Future<Output = Result<T, SessionError>>,
) -> Came<T> {
    let silent = store.silent();
    if let Some(how) = fails {
        store.fail_at(1, how);
    }
    let mut operation = pin!(operation);
    let answer = poll_fn(|context| match operation.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if store.silent() > silent => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await;
    store.recover();
    match (answer, fails) {
        (None, _) | (Some(Err(SessionError::Unavailable(_))), Some(Failure::ReplyLost)) => {
            Came::Unheard
        }
        (Some(Err(SessionError::Unavailable(_))), Some(Failure::NotReached)) => Came::NotReached,
        (Some(answer), _) => Came::Answer(answer),
    }
}

impl<H: Harness> Life<'_, H> {
    /// What an operation that asks the store finds; what it does to the request's standing.
    fn meets(&self, request: &mut Request, story: &str) -> Meets {
        match request.bound {
            Bound::Newcomer => Meets::Nobody,
            Bound::Gone => Meets::Gone,
            Bound::To(id) => match self.standing(&id) {
                Standing::Alive => Meets::Alive(id),
                Standing::Unknown if !request.met => {
                    request.bound = Bound::Newcomer;
                    Meets::Nobody
                }
                Standing::Forgotten => panic!("a choice of the store's: {story}"),
                Standing::Ended | Standing::Unknown => {
                    request.bound = Bound::Gone;
                    Meets::Gone
                }
            },
        }
    }

    fn fails(&mut self) -> Option<Failure> {
        self.dice.one_of(&[
            None,
            None,
            None,
            None,
            None,
            None,
            Some(Failure::NotReached),
            Some(Failure::ReplyLost),
            Some(Failure::Silent),
        ])
    }

    pub(super) async fn act(&mut self, request: &mut Request) {
        // Two minutes after its end a session may be remembered or not: nothing is foretold then.
        if let Bound::To(id) = request.bound
            && self.standing(&id) == Standing::Forgotten
        {
            return;
        }
        match self.dice.roll() % 16 {
            0..=2 => self.set(request),
            3 => self.remove(request),
            4..=6 => self.increment(request).await,
            7 => self.increment_if_logged_in(request).await,
            8 => self.update(request).await,
            9 => self.take(request).await,
            10 => self.read(request).await,
            11 | 12 => self.log_in(request).await,
            13 => self.log_out(request).await,
            14 => self.rotate(request).await,
            _ => self.revoke(request).await,
        }
    }

    fn set(&mut self, request: &mut Request) {
        let value = format!("note {}", self.dice.roll() % 100);
        self.tell(format!("{:?} sets {value}", request.bound));
        let set = request.visit.session().set(NOTE, value.clone());
        self.waits(request, set, Some(value));
    }

    fn remove(&mut self, request: &mut Request) {
        self.tell(format!("{:?} removes the note", request.bound));
        let removed = request.visit.session().remove(NOTE);
        self.waits(request, removed, None);
    }

    fn waits(
        &mut self,
        request: &mut Request,
        done: Result<(), SessionError>,
        value: Option<String>,
    ) {
        match done {
            Ok(()) => {
                assert_ne!(request.bound, Bound::Gone, "{}", self.story());
                request.waiting.retain(|(name, _)| *name != "note");
                request.waiting.push(("note", value));
            }
            Err(SessionError::Ended) => assert_eq!(request.bound, Bound::Gone, "{}", self.story()),
            Err(other) => panic!("{other}\n{}", self.story()),
        }
    }

    /// What an operation that writes means for its session, whether anybody heard of it or not.
    async fn write<T>(
        &mut self,
        request: &mut Request,
        came: Came<T>,
        change: impl FnOnce(&mut Fields),
    ) -> Option<T> {
        let story = self.story();
        let was_bound = request.bound;
        if matches!(came, Came::NotReached) {
            return None;
        }
        match (self.meets(request, &story), came) {
            (Meets::Alive(id), came) => {
                let waiting = request.waiting.clone();
                let fields = &mut self.uses(&id).fields;
                request.apply_waiting(fields);
                change(fields);
                let saw = fields.clone();
                match came {
                    Came::Answer(Ok(answer)) => {
                        (request.met, request.saw) = (true, Some(saw));
                        Some(answer)
                    }
                    Came::Answer(Err(error)) => panic!("{error}: it is alive\n{story}"),
                    // Sent again with the next change.
                    Came::Unheard | Came::NotReached => {
                        request.waiting = waiting;
                        None
                    }
                }
            }
            (Meets::Nobody, Came::Answer(Ok(answer))) => {
                let mut fields = Fields::new();
                request.apply_waiting(&mut fields);
                change(&mut fields);
                let id = request.visit.session().id().await.unwrap();
                assert_eq!(id.is_some(), !fields.is_empty(), "made a session or didn't\n{story}");
                if let Some(id) = id {
                    self.enter(id, None, fields.clone());
                    (request.bound, request.tells) = (Bound::To(id), Tells::Of(id));
                    (request.met, request.saw) = (true, Some(fields));
                }
                Some(answer)
            }
            // Whatever was made is ended again; a first ask that failed leaves all as it was.
            (Meets::Nobody, Came::Unheard | Came::NotReached) => {
                self.takes_back(request, was_bound);
                None
            }
            (Meets::Gone, Came::Answer(Err(SessionError::Ended))) => None,
            (Meets::Gone, Came::Unheard | Came::NotReached) => {
                request.bound = was_bound;
                None
            }
            (_, Came::Answer(Ok(_))) => panic!("it was done, on a session that is dead\n{story}"),
            (_, Came::Answer(Err(error))) => panic!("{error}\n{story}"),
        }
    }

    /// The ask itself failed, so the request knows no more than before.
    fn takes_back(&mut self, request: &mut Request, bound: Bound) {
        request.bound = bound;
        for id in self.scene.store.abandoned() {
            self.ends(&id);
        }
    }

    async fn increment(&mut self, request: &mut Request) {
        let fails = self.fails();
        self.tell(format!("{:?} increments, {fails:?}", request.bound));
        let session = request.visit.session();
        let came = run(&self.scene.store, fails, session.increment(VISITS, 1)).await;
        let sum = self.write(request, came, |fields| count(fields)).await;
        if let (Some(sum), Some(saw)) = (sum, &request.saw) {
            assert_eq!(sum.to_string(), saw["visits"], "{}", self.story());
        }
    }

    async fn increment_if_logged_in(&mut self, request: &mut Request) {
        self.tell(format!("{:?} increments if logged in", request.bound));
        let session = request.visit.session();
        let counted = session.if_logged_in().increment(VISITS, 1).await.unwrap();
        let story = self.story();
        match self.meets(request, &story) {
            Meets::Alive(id) => {
                let held = self.uses(&id);
                let user = held.user.clone();
                if user.is_some() {
                    request.apply_waiting(&mut held.fields);
                    count(&mut held.fields);
                }
                (request.met, request.saw) = (true, Some(held.fields.clone()));
                let sum = held.fields.get("visits").cloned();
                let found = counted.map(|(user, sum)| (user, Some(sum.to_string())));
                assert_eq!(found, user.map(|user| (user, sum)), "{story}");
            }
            Meets::Nobody | Meets::Gone => assert!(counted.is_none(), "{story}"),
        }
    }

    async fn update(&mut self, request: &mut Request) {
        self.tell(format!("{:?} updates", request.bound));
        let session = request.visit.session();
        let longer = |note: Option<String>| format!("{}+", note.unwrap_or_default());
        let updated = session.update(NOTE, longer).await;
        let came = Came::Answer(updated);
        let written = self.write(request, came, |fields| {
            let note = longer(fields.get("note").cloned());
            fields.insert("note", note);
        });
        if let (Some(note), Some(saw)) = (written.await, &request.saw) {
            assert_eq!(note, saw["note"], "{}", self.story());
        }
    }

    async fn take(&mut self, request: &mut Request) {
        self.tell(format!("{:?} takes the note", request.bound));
        let story = self.story();
        let taken = request.visit.session().take(NOTE).await;
        let meets = self.meets(request, &story);
        if meets == Meets::Nobody {
            // Nothing is made for what is not there.
            let expected = request.would_be("note", None);
            request.waiting.retain(|(name, _)| *name != "note");
            assert_eq!(taken.unwrap(), expected, "{story}");
            return;
        }
        let mut note = None;
        let came = Came::Answer(taken);
        let taken = self.write(request, came, |fields| note = fields.remove("note")).await;
        assert!(taken.is_none_or(|taken| taken == note), "{story}");
    }

    async fn read(&mut self, request: &mut Request) {
        self.tell(format!("{:?} reads", request.bound));
        let story = self.story();
        let session = request.visit.session();
        if request.waiting.is_empty() && request.saw.is_none() {
            let user = session.user().await.unwrap();
            match self.meets(request, &story) {
                Meets::Alive(id) => {
                    assert_eq!(user, self.account[&id].user, "{story}");
                    let fields = self.uses(&id).fields.clone();
                    (request.met, request.saw) = (true, Some(fields));
                }
                Meets::Nobody | Meets::Gone => assert_eq!(user, None, "{story}"),
            }
        }
        let note = session.get(NOTE).await.unwrap();
        if request.bound == Bound::Gone {
            return;
        }
        if request.waiting.is_empty() || request.saw.is_some() {
            assert_eq!(note, request.would_be("note", request.saw.as_ref()), "{story}");
        }
    }

    async fn log_in(&mut self, request: &mut Request) {
        let user: User = self.users[(self.dice.roll() % 2) as usize].clone();
        let fails = self.fails();
        self.tell(format!("{:?} logs {user} in, {fails:?}", request.bound));
        let story = self.story();
        let session = request.visit.session();
        let came = run(&self.scene.store, fails, session.log_in(user.clone()).into_future()).await;
        let was_bound = request.bound;
        if matches!(came, Came::NotReached) {
            if request.bound == Bound::Gone {
                request.waiting.clear();
            }
            return;
        }
        let mut fields = Fields::new();
        let waiting = request.waiting.clone();
        match self.meets(request, &story) {
            Meets::Alive(old) => {
                let held = self.account[&old].clone();
                if held.user.as_ref().is_none_or(|before| *before == user) {
                    fields = held.fields;
                    request.apply_waiting(&mut fields);
                    if held.user.is_none() {
                        fields.retain(|name, _| *name == "note");
                    }
                }
                self.ends(&old);
            }
            Meets::Nobody => request.apply_waiting(&mut fields),
            // Of one that expired meanwhile the store may take what waited for a newcomer's; that of
            // another user never.
            Meets::Gone => {
                if let Bound::To(old) = was_bound
                    && self.standing(&old) == Standing::Unknown
                    && self.account[&old].user.as_ref().is_none_or(|before| *before == user)
                {
                    request.apply_waiting(&mut fields);
                }
            }
        }
        request.waiting.clear();
        match came {
            Came::Answer(Ok(LogIn::Done)) => {
                let id = session.id().await.unwrap().expect("who logged in has a session");
                self.enter(id, Some(user.clone()), fields.clone());
                (request.bound, request.tells) = (Bound::To(id), Tells::Of(id));
                (request.met, request.saw) = (true, Some(fields));
                self.pushes_out(&user, &id).await;
            }
            Came::Unheard => {
                if was_bound != Bound::Gone {
                    request.waiting = waiting;
                }
                self.takes_back(request, was_bound);
                // It made room for a session that nobody was told of.
                self.pushes_out_perhaps(&user).await;
            }
            Came::Answer(other) => panic!("{other:?}\n{story}"),
            Came::NotReached => {}
        }
    }

    async fn pushes_out_perhaps(&mut self, user: &User) {
        let of_user = |id: &&SessionId| self.account[*id].user.as_ref() == Some(user);
        let others: Vec<SessionId> = self.ids.iter().filter(of_user).copied().collect();
        if self.scene.manager.settings().sessions_per_user.is_none() {
            return;
        }
        for id in others {
            if !matches!(self.look(&id).await, crate::store::Applied::Done(..)) {
                self.ends(&id);
            }
        }
    }

    async fn log_out(&mut self, request: &mut Request) {
        let fails = self.fails();
        self.tell(format!("{:?} logs out, {fails:?}", request.bound));
        let story = self.story();
        let session = request.visit.session();
        let came = run(&self.scene.store, fails, session.log_out()).await;
        let was_bound = request.bound;
        if matches!(came, Came::NotReached) {
            return;
        }
        let meets = self.meets(request, &story);
        if let Meets::Alive(id) = meets {
            self.ends(&id);
        }
        match came {
            Came::Answer(answer) => {
                answer.unwrap();
                request.waiting.clear();
                if matches!(meets, Meets::Alive(_)) {
                    (request.bound, request.tells) = (Bound::Newcomer, Tells::Removal);
                    request.saw = None;
                }
            }
            Came::Unheard | Came::NotReached => request.bound = was_bound,
        }
    }

    async fn rotate(&mut self, request: &mut Request) {
        let fails = self.fails();
        self.tell(format!("{:?} rotates, {fails:?}", request.bound));
        let story = self.story();
        let session = request.visit.session();
        let came = run(&self.scene.store, fails, session.rotate()).await;
        let was_bound = request.bound;
        if matches!(came, Came::NotReached) {
            return;
        }
        match (self.meets(request, &story), came) {
            (Meets::Alive(old), came) => {
                let waiting = request.waiting.clone();
                let mut held = self.uses(&old).clone();
                request.apply_waiting(&mut held.fields);
                self.ends(&old);
                if let Came::Answer(answer) = came {
                    answer.unwrap();
                    let id = session.id().await.unwrap().expect("who rotated has a session");
                    self.enter(id, held.user.clone(), held.fields.clone());
                    self.account.entry(id).and_modify(|new| *new = held.clone());
                    (request.bound, request.tells) = (Bound::To(id), Tells::Of(id));
                    (request.met, request.saw) = (true, Some(held.fields));
                } else {
                    request.waiting = waiting;
                    self.takes_back(request, was_bound);
                }
            }
            (Meets::Nobody, Came::Answer(answer)) => answer.unwrap(),
            (Meets::Gone, Came::Answer(answer)) => {
                assert!(matches!(answer, Err(SessionError::Ended)), "{answer:?}\n{story}");
            }
            (_, Came::Unheard | Came::NotReached) => request.bound = was_bound,
        }
    }

    /// Every other session of the user, or every one.
    async fn revoke(&mut self, request: &mut Request) {
        let all = self.dice.one_in(2);
        self.tell(format!("{:?} ends all sessions, its own too: {all}", request.bound));
        let story = self.story();
        let session = request.visit.session();
        let revoked = if all {
            session.if_logged_in().log_out_everywhere().await
        } else {
            session.if_logged_in().revoke_others().await
        };
        let revoked = revoked.unwrap();
        if request.saw.is_none()
            && let Meets::Alive(id) = self.meets(request, &story)
        {
            // It had to ask who it is first.
            let fields = self.uses(&id).fields.clone();
            (request.met, request.saw) = (true, Some(fields));
        }
        let own = match request.bound {
            Bound::To(id) if request.saw.is_some() => id,
            _ => return assert!(revoked.is_none(), "{story}"),
        };
        let Some(user) = self.account[&own].user.clone() else {
            return assert!(revoked.is_none(), "{story}");
        };
        if !self.is_alive(&own) {
            request.bound = Bound::Gone;
            return assert!(revoked.is_none(), "{story}");
        }
        let ended: Vec<SessionId> =
            self.ids.iter().copied().filter(|id| all || *id != own).collect();
        let ended: Vec<SessionId> = ended
            .into_iter()
            .filter(|id| self.account[id].user.as_ref() == Some(&user) && self.is_alive(id))
            .collect();
        assert_eq!(revoked, Some((user, ended.len() as u64)), "{story}");
        ended.iter().for_each(|id| self.ends(id));
        if all {
            request.waiting.clear();
            (request.bound, request.tells) = (Bound::Newcomer, Tells::Removal);
            request.saw = None;
        }
    }

    /// With 200, with 500, or never.
    pub(super) async fn end(&mut self, browser: usize, mut request: Request) {
        let status = self.dice.one_of(&[200, 200, 200, 500, 0]);
        self.tell(format!("{:?} of browser {browser} is answered {status}", request.bound));
        let story = self.story();
        let forgotten = |it: &Self, bound| match bound {
            Bound::To(id) => it.standing(&id) == Standing::Forgotten,
            _ => false,
        };
        if status == 0 || forgotten(self, request.bound) {
            drop(request.visit);
            if let Tells::Of(id) = request.tells {
                self.ends(&id);
            }
            return;
        }
        let Request { visit, .. } = request;
        let waiting = std::mem::take(&mut request.waiting);
        let head = visit.close(status).await;
        let mut failed = head.failed.map(|error| error.status());
        if status == 200 && !waiting.is_empty() {
            let mut fields = Fields::new();
            let write = |fields: &mut Fields| {
                for (name, value) in &waiting {
                    match value {
                        Some(value) => fields.insert(name, value.clone()),
                        None => fields.remove(name),
                    };
                }
            };
            let standing = match request.bound {
                Bound::To(id) => self.standing(&id),
                Bound::Newcomer => Standing::Unknown,
                Bound::Gone => Standing::Ended,
            };
            match (request.bound, standing) {
                (Bound::To(id), Standing::Alive) => write(&mut self.uses(&id).fields),
                (_, Standing::Unknown) if !request.met || request.bound == Bound::Newcomer => {
                    write(&mut fields);
                    if !fields.is_empty() {
                        let line = head.set_cookie.as_deref().expect("a first write");
                        let cookie = line.split(';').next().unwrap();
                        let id = self.named(cookie).expect("a token of ours");
                        self.enter(id, None, fields);
                        request.tells = Tells::Of(id);
                    }
                }
                _ => assert_eq!(failed.take(), Some(409), "{story}"),
            }
        }
        assert_eq!(failed, None, "{story}");
        match (request.tells, head.set_cookie) {
            (Tells::Nothing, None) => {}
            (Tells::Of(id), Some(line)) => {
                let cookie = line.split(';').next().unwrap().to_owned();
                assert_eq!(self.named(&cookie), Some(id), "{story}");
                self.cookies.push(cookie);
                self.browsers[browser].receive_line(&line);
            }
            (Tells::Removal, Some(line)) => {
                assert!(line.contains("=; ") && line.contains("Max-Age=0"), "{story}");
                self.browsers[browser].receive_line(&line);
            }
            (expected, found) => panic!("{found:?} and not {expected:?}\n{story}"),
        }
    }
}

fn count(fields: &mut Fields) {
    let sum = fields.get("visits").map_or(0, |sum| sum.parse::<u64>().unwrap()) + 1;
    fields.insert("visits", sum.to_string());
}
