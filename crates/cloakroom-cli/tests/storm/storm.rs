//! A storm: 16 visitors, a fault, somebody who looks for keys without a time to live, and the
//! comparison at the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use testbed::{Server, eventually};

use crate::stage::{Kept, LONG, Stage, Store};
use crate::visitor::{Told, Visitor};

const VISITORS: usize = 16;
/// How long whoever looks into a server waits for it: it may be the one that fails.
const GLANCE: Duration = Duration::from_millis(500);

/// Causes a fault under load, heals it, and compares. `servers` are those that hold sessions.
pub(crate) fn storm(
    store: impl Into<Store>,
    servers: &[&Server],
    kept: Kept,
    fault: impl FnOnce(&Stage),
) -> Told {
    let all = storm_of_instances(store, servers, kept, fault);
    assert_eq!(all.broken, 0, "an instance broke off");
    all
}

/// The same where instances end, and connections to them break.
pub(crate) fn storm_of_instances(
    store: impl Into<Store>,
    servers: &[&Server],
    kept: Kept,
    fault: impl FnOnce(&Stage),
) -> Told {
    let stage = Stage::at(store.into(), kept);
    let healed = AtomicBool::new(false);
    let told: Vec<Told> = thread::scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS)
            .map(|number| {
                let (stage, healed) = (&stage, &healed);
                // Whoever waits for answers of visitors who are all gone would wait in vain.
                let visits = move || {
                    let mut visitor = Visitor::new(stage, number);
                    while !healed.load(Ordering::SeqCst) {
                        visitor.stay();
                    }
                    // It works again, for everybody, and nothing was restarted for that.
                    let works = eventually(LONG, || visitor.stay().then_some(()));
                    assert!(works.is_some(), "a visitor can't log in any more");
                    visitor
                };
                scope.spawn(visits)
            })
            .collect();
        let scanner = scope.spawn(|| {
            while !stage.is_over() {
                for server in servers {
                    assert_eq!(immortal(server).unwrap_or_default(), Vec::<String>::new());
                }
                thread::park_timeout(Duration::from_millis(10));
            }
        });
        stage.answers(100);
        let caused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fault(&stage)));
        healed.store(true, Ordering::SeqCst);
        let visitors: Vec<_> = visitors.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stage.end();
        scanner.join().expect("no key without a time to live");
        if let Err(panic) = caused {
            std::panic::resume_unwind(panic);
        }
        visitors.into_iter().map(|visitor| visitor.expect("see above").compare()).collect()
    });
    for server in servers {
        if let Some(immortal) = immortal(server) {
            assert_eq!(immortal, Vec::<String>::new());
        }
    }
    let mut all = Told::default();
    for visitor in told {
        all.kept.extend(visitor.kept);
        all.ended.extend(visitor.ended);
        all.acknowledged += visitor.acknowledged;
        all.unavailable += visitor.unavailable;
        all.broken += visitor.broken;
        all.lost += visitor.lost;
    }
    println!(
        "{} acknowledged, {} unavailable, {} broken off; {} sessions kept, {} ended, {} lost",
        all.acknowledged,
        all.unavailable,
        all.broken,
        all.kept.len(),
        all.ended.len(),
        all.lost
    );
    assert!(all.acknowledged > 0 && !all.ended.is_empty(), "{all:?}");
    all
}

/// The keys that would stay for ever, seen in one moment; `None` if the server can't say.
fn immortal(server: &Server) -> Option<Vec<String>> {
    const LOOK: &str = "local found = {} \
        for _, key in ipairs(redis.call('KEYS', 'cloakroom:*')) do \
        if redis.call('PTTL', key) == -1 then found[#found + 1] = key end end return found";
    let answer = server.try_command(GLANCE, &["EVAL", LOOK, "0"]).ok()?;
    if answer.error().is_some() {
        return None;
    }
    Some(answer.list().iter().map(testbed::Reply::text).collect())
}
