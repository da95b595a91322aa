//! Every order in which what happens at once can happen: operations of one request and its end, and
//! requests with the same cookie. A store that takes its time before it does something and after is
//! polled in all orders, none left out.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use cloakroom::records::{Cursor, Records};
use cloakroom::store::{
    Answer, Applied, Apply, Create, Created, EndOf, Ended, EndedOf, ListOf, Page, Patience, Rotate,
    Rotated,
};
use cloakroom::testing::Visitor;
use cloakroom::{
    Field, LogIn, Manager, MemoryStore, OpenVisit, Prefix, SessionError, SessionId, Settings,
    Store, User,
};
use pollster::block_on;

const VISITS: Field<u64> = Field::new("visits");
const NOTE: Field<String> = Field::new("note");
const PATIENCE: Patience = Patience(Duration::from_secs(60));

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Which of several ways was taken each time, and how many there were.
#[derive(Default)]
struct Ways {
    taken: Vec<(usize, usize)>,
    next: usize,
}

impl Ways {
    fn choose(&mut self, among: usize) -> usize {
        if self.next == self.taken.len() {
            self.taken.push((0, among));
        }
        let (way, of) = self.taken[self.next];
        assert_eq!(of, among, "a scene that is not the same every time");
        self.next += 1;
        way
    }

    /// The last choice that had another way takes it; `false` when all were taken.
    fn another(&mut self) -> bool {
        self.next = 0;
        while let Some((way, of)) = self.taken.pop() {
            if way + 1 < of {
                self.taken.push((way + 1, of));
                return true;
            }
        }
        false
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs the tasks in one order. A task that was cancelled half way is dropped.
fn run(ways: &mut Ways, tasks: Vec<Task>, cancellable: Option<usize>) {
    let mut tasks: Vec<_> = tasks
        .into_iter()
        .map(|task| (Some(task), Arc::new(Woken(AtomicBool::new(true)))))
        .collect();
    loop {
        let is_ready = |(task, woken): &(Option<Task>, Arc<Woken>)| {
            task.is_some() && woken.0.load(Ordering::SeqCst)
        };
        let ready: Vec<usize> = (0..tasks.len()).filter(|at| is_ready(&tasks[*at])).collect();
        let victim = cancellable.filter(|at| tasks[*at].0.is_some());
        if tasks.iter().all(|(task, _)| task.is_none()) {
            return;
        }
        assert!(!ready.is_empty(), "everybody waits for somebody else");
        let way = ways.choose(ready.len() + usize::from(victim.is_some()));
        let Some(at) = ready.get(way) else {
            tasks[victim.unwrap()].0 = None;
            continue;
        };
        let (task, woken) = &mut tasks[*at];
        woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(woken.clone());
        let polled = task.as_mut().unwrap().as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            *task = None;
        }
    }
}

/// A scene in every order; says how many there were.
fn in_every_order(scene: impl Fn(&mut Ways)) -> usize {
    let (mut ways, mut orders) = (Ways::default(), 0);
    loop {
        scene(&mut ways);
        orders += 1;
        if !ways.another() {
            return orders;
        }
    }
}

/// Takes a while to get there, and a while to answer.
#[derive(Clone, Debug)]
struct Slow(MemoryStore);

async fn a_while() {
    let mut asked = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

macro_rules! slowly {
    ($call:expr) => {
        Box::pin(async move {
            a_while().await;
            let answer = $call.await;
            a_while().await;
            answer
        })
    };
}

impl Store for Slow {
    fn prefix(&self) -> &Prefix {
        self.0.prefix()
    }
    fn create<'a>(&'a self, new: Create<'a>, patience: Patience) -> Answer<'a, Created> {
        slowly!(self.0.create(new, patience))
    }
    fn apply<'a>(&'a self, apply: Apply<'a>, patience: Patience) -> Answer<'a, Applied> {
        slowly!(self.0.apply(apply, patience))
    }
    fn rotate<'a>(&'a self, rotate: Rotate<'a>, patience: Patience) -> Answer<'a, Rotated> {
        slowly!(self.0.rotate(rotate, patience))
    }
    fn end<'a>(&'a self, id: &'a SessionId, patience: Patience) -> Answer<'a, Ended> {
        slowly!(self.0.end(id, patience))
    }
    fn sessions_of<'a>(&'a self, list: ListOf<'a>, patience: Patience) -> Answer<'a, Page> {
        slowly!(self.0.sessions_of(list, patience))
    }
    fn count_of<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        slowly!(self.0.count_of(user, patience))
    }
    fn end_of<'a>(&'a self, end: EndOf<'a>, patience: Patience) -> Answer<'a, EndedOf> {
        slowly!(self.0.end_of(end, patience))
    }
    fn erase<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        slowly!(self.0.erase(user, patience))
    }
    fn check(&self, patience: Patience) -> Answer<'_, ()> {
        slowly!(self.0.check(patience))
    }
    fn abandon(&self, id: SessionId) {
        self.0.abandon(id);
    }
}

/// A store of its own for each order, and what was told by it.
struct Scene {
    store: MemoryStore,
    slow: Manager,
    quick: Manager,
}

impl Scene {
    fn set() -> Self {
        let settings = Settings { patience: Duration::from_secs(60), ..Settings::default() };
        let store = MemoryStore::new();
        let slow = Manager::new(Slow(store.clone()), settings.clone());
        Self { quick: Manager::new(store.clone(), settings), slow, store }
    }

    fn logged_in(&self, user: &str) -> Visitor {
        block_on(Visitor::logged_in(&self.quick, user)).unwrap()
    }

    fn open(&self, visitor: &Visitor) -> OpenVisit {
        self.slow.open(visitor.cookie().map(str::as_bytes))
    }

    /// Every session that is alive.
    fn alive(&self) -> Vec<SessionId> {
        let page = block_on(self.store.walk(&Cursor::default(), 1_000, PATIENCE)).unwrap();
        page.sessions.iter().map(|record| record.id).collect()
    }

    /// What the browser's session has counted; `None` without one.
    fn counted(&self, cookie: Option<&str>) -> Option<u64> {
        let visit = self.quick.open(cookie.map(str::as_bytes));
        let session = visit.session();
        block_on(session.id()).unwrap()?;
        Some(block_on(session.get(VISITS)).unwrap().unwrap_or(0))
    }
}

fn user(name: &str) -> User {
    User::new(name).unwrap()
}

fn cookie_of(line: &str) -> Option<&str> {
    (!line.contains("Max-Age=0")).then(|| line.split(';').next().unwrap())
}

type Lines = Rc<RefCell<Vec<String>>>;

/// Closes a visit, and keeps what its head told.
async fn close(visit: OpenVisit, lines: Lines) {
    let head = visit.close(200).await;
    assert!(matches!(head.failed, None | Some(SessionError::Ended)), "{head:?}");
    lines.borrow_mut().extend(head.set_cookie);
}

// Proves R67.
#[test]
fn operations_of_one_request_and_its_end_lose_nothing() {
    let orders = in_every_order(|ways| {
        let scene = Scene::set();
        let alice = scene.logged_in("alice");
        let visit = scene.open(&alice);
        let (one, other) = (visit.session(), visit.session());
        let (counted, lines) = (Rc::new(Cell::new(0)), Lines::default());
        let count = counted.clone();
        let first: Task = Box::pin(async move {
            one.increment(VISITS, 1).await.unwrap();
            count.set(count.get() + 1);
        });
        let count = counted.clone();
        let second: Task = Box::pin(async move {
            let waits = other.set(NOTE, "waits").is_ok();
            other.increment(VISITS, 1).await.unwrap();
            count.set(count.get() + 1);
            if waits {
                assert_eq!(other.get(NOTE).await.unwrap().as_deref(), Some("waits"));
            }
        });
        run(ways, vec![first, second, Box::pin(close(visit, lines.clone()))], None);
        assert_eq!((counted.get(), scene.counted(alice.cookie())), (2, Some(2)));
        assert!(lines.borrow().is_empty());
    });
    assert!(orders > 40);
}

// Proves R30, R67.
#[test]
fn a_logout_lets_no_other_request_in_and_removes_the_cookie_once() {
    let orders = in_every_order(|ways| {
        let scene = Scene::set();
        let alice = scene.logged_in("alice");
        let (out, busy, lines) = (scene.open(&alice), scene.open(&alice), Lines::default());
        let over = Rc::new(Cell::new(false));
        let (ended, told) = (over.clone(), lines.clone());
        let logout: Task = Box::pin(async move {
            out.session().log_out().await.unwrap();
            ended.set(true);
            close(out, told).await;
        });
        let (was_over, told) = (over, Lines::default());
        let quiet = told.clone();
        let writes: Task = Box::pin(async move {
            let session = busy.session();
            for _ in 0..2 {
                let before = was_over.get();
                let counted = session.increment(VISITS, 1).await;
                assert!(!(before && counted.is_ok()), "after the logout it was let in");
            }
            let _ = session.set(NOTE, "late");
            close(busy, told).await;
        });
        run(ways, vec![logout, writes], None);
        assert_eq!(scene.alive(), []);
        assert_eq!(lines.borrow().len(), 1);
        assert!(quiet.borrow().is_empty(), "a late request told the browser something");
    });
    assert!(orders > 40);
}

// Proves R22, R67.
#[test]
fn a_rotation_takes_along_what_was_acknowledged_and_nothing_later() {
    let orders = in_every_order(|ways| {
        let scene = Scene::set();
        let alice = scene.logged_in("alice");
        let (moving, busy, lines) = (scene.open(&alice), scene.open(&alice), Lines::default());
        let told = lines.clone();
        let rotation: Task = Box::pin(async move {
            moving.session().rotate().await.unwrap();
            close(moving, told).await;
        });
        let (counted, told) = (Rc::new(Cell::new(0)), Lines::default());
        let (count, quiet) = (counted.clone(), told.clone());
        let writes: Task = Box::pin(async move {
            for _ in 0..2 {
                match busy.session().increment(VISITS, 1).await {
                    Ok(_) => count.set(count.get() + 1),
                    Err(error) => assert!(matches!(error, SessionError::Ended), "{error}"),
                }
            }
            close(busy, told).await;
        });
        run(ways, vec![rotation, writes], None);
        let lines = lines.borrow();
        assert_eq!(scene.counted(cookie_of(&lines[0])), Some(counted.get()));
        assert_eq!(scene.counted(alice.cookie()), None);
        assert_eq!((scene.alive().len(), quiet.borrow().len()), (1, 0));
    });
    assert!(orders > 40);
}

/// Of a login, its cancellation, and the end of its request, in every order: whatever session is
/// alive in the end, its browser was told of.
// Proves R23, R67.
#[test]
fn a_session_that_nobody_was_told_of_is_not_alive() {
    let orders = in_every_order(|ways| {
        let scene = Scene::set();
        let visit = scene.slow.open([]);
        let (one, other, lines) = (visit.session(), visit.session(), Lines::default());
        let login: Task = Box::pin(async move {
            let login = one.log_in(user("alice")).await;
            let late = matches!(login, Err(SessionError::HeadHasLeft(_)));
            assert!(late || matches!(login, Ok(LogIn::Done)), "{login:?}");
        });
        let write: Task = Box::pin(async move {
            let _ = other.increment(VISITS, 1).await;
        });
        let closing: Task = Box::pin(close(visit, lines.clone()));
        run(ways, vec![login, write, closing], Some(0));
        is_told(&scene, &lines, &Visitor::new(&scene.quick));
    });
    assert!(orders > 40);
}

// Proves R67.
#[test]
fn a_request_that_is_dropped_while_others_hold_its_session_leaves_none() {
    let orders = in_every_order(|ways| {
        let scene = Scene::set();
        let visit = scene.slow.open([]);
        let (one, other) = (visit.session(), visit.session());
        let write: Task = Box::pin(async move {
            let _ = one.increment(VISITS, 1).await;
        });
        let login: Task = Box::pin(async move {
            let _ = other.log_in(user("alice")).await;
        });
        let dropped: Task = Box::pin(async move {
            a_while().await;
            drop(visit);
        });
        run(ways, vec![write, login, dropped], Some(1));
        assert_eq!(scene.alive(), [], "nobody was told of it");
    });
    assert!(orders > 40);
}

// Proves R22, R67.
#[test]
fn two_logins_of_one_request_leave_the_one_that_its_browser_was_told_of() {
    let orders = in_every_order(|ways| {
        let scene = Scene::set();
        let visitor = scene.logged_in("carol");
        let visit = scene.open(&visitor);
        let lines = Lines::default();
        let login = |name: &'static str| -> Task {
            let session = visit.session();
            Box::pin(async move {
                let _ = session.log_in(user(name)).await;
            })
        };
        let (alice, bob) = (login("alice"), login("bob"));
        run(ways, vec![alice, bob, Box::pin(close(visit, lines.clone()))], None);
        is_told(&scene, &lines, &visitor);
        // Carol's may be as it was, where the head left first; or it made room for one of them.
        assert!(scene.alive().len() <= 1, "two are logged in by one cookie");
    });
    assert!(orders > 40);
}

/// Nobody is alive but whom the head named, or who came. (A head may name a session that a cancelled
/// login has ended: its browser was logged in by nobody.)
fn is_told(scene: &Scene, lines: &Lines, came: &Visitor) {
    let named =
        |cookie: &str| block_on(scene.quick.open([cookie.as_bytes()]).session().id()).unwrap();
    let lines = lines.borrow();
    let cookies = lines.iter().filter_map(|line| cookie_of(line)).chain(came.cookie());
    let told: Vec<SessionId> = cookies.filter_map(named).collect();
    let alive = scene.alive();
    assert!(alive.iter().all(|id| told.contains(id)), "{alive:?} are alive, told of {told:?}");
}
