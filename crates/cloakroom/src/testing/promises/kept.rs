//! Nothing is lost (P2): what was acknowledged is stored, however many write at once, over two
//! instances.

use super::scene::{CART, NOTE, Scene, VISITS, at_once, close, log_out};
use crate::field::Field;
use crate::manager::Manager;
use crate::outcome::SessionError;
use crate::testing::{Harness, Visitor};

const CLIENTS: usize = 64;

/// 64 clients count on one session.
// Proves R67.
pub fn increments_of_64_clients_are_all_kept<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let each = scene.rounds(1) * 2 / CLIENTS + 1;
    let alice = here.run(scene.logged_in(&scene.user("alice")));
    count(here, &scene.two_managers(), &alice, each, |_| VISITS);
    assert_eq!(counted(here, &alice, VISITS), (CLIENTS * each) as u64);
}

/// Half of 64 clients count one field, half of them another.
pub fn increments_of_two_fields_do_not_disturb_each_other<H: Harness>(here: &H) {
    const CLICKS: Field<u64> = Field::new("clicks");
    let scene = Scene::set(here);
    let each = scene.rounds(1) * 2 / CLIENTS + 1;
    let alice = here.run(scene.logged_in(&scene.user("alice")));
    let of = |client: usize| if client % 4 < 2 { VISITS } else { CLICKS };
    count(here, &scene.two_managers(), &alice, each, of);
    for field in [VISITS, CLICKS] {
        assert_eq!(counted(here, &alice, field), (CLIENTS / 2 * each) as u64);
    }
}

fn count<H: Harness>(
    here: &H,
    managers: &[Manager; 2],
    visitor: &Visitor,
    each: usize,
    of: impl Fn(usize) -> Field<u64> + Sync,
) {
    let cookie = visitor.cookie().unwrap();
    at_once(CLIENTS, |client| {
        here.run(async {
            for _ in 0..each {
                let visit = managers[client % 2].open([cookie.as_bytes()]);
                let counted = visit.session().if_logged_in().increment(of(client), 1).await;
                assert!(counted.unwrap().is_some());
                assert_eq!(visit.close(200).await.set_cookie, None);
            }
        });
    });
}

fn counted<H: Harness>(here: &H, visitor: &Visitor, field: Field<u64>) -> u64 {
    here.run(async { visitor.open().session().get(field).await.unwrap().unwrap_or(0) })
}

/// Read, change, write back, from 8 clients: each change counts once.
pub fn updates_of_8_clients_are_exact<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let each = scene.rounds(40);
    let managers = scene.two_managers();
    let alice = here.run(scene.logged_in(&scene.user("alice")));
    let cookie = alice.cookie().unwrap();
    at_once(8, |client| {
        here.run(async {
            let mut done = 0;
            while done < each {
                let visit = managers[client % 2].open([cookie.as_bytes()]);
                let more = |visits: Option<u64>| {
                    // So that others come between, on few processors too.
                    std::thread::yield_now();
                    visits.unwrap_or(0) + 1
                };
                match visit.session().update(VISITS, more).await {
                    Ok(_) => done += 1,
                    // Others were quicker 64 times: nothing was done, and nobody was told so.
                    Err(SessionError::Contended { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                assert!(visit.close(200).await.failed.is_none());
            }
        });
    });
    assert_eq!(counted(here, &alice, VISITS), (8 * each) as u64);
}

/// Parallel requests that set different fields of one session, each with a plain `set`.
pub fn writers_of_different_fields_all_survive<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let managers = scene.two_managers();
    let user = scene.user("alice");
    let field = |client: usize| Field::<String>::named(format!("of {client}")).unwrap();
    for round in 0..scene.rounds(50) {
        let mut alice = here.run(scene.logged_in(&user));
        let cookie = alice.cookie().unwrap();
        at_once(8, |client| {
            here.run(async {
                let visit = managers[client % 2].open([cookie.as_bytes()]);
                // Half of them look first, as most pages do: what they saw is not what they store.
                if client % 4 < 2 {
                    visit.session().get(NOTE).await.unwrap();
                }
                visit.session().set(field(client), round.to_string()).unwrap();
                assert!(visit.close(200).await.failed.is_none());
            });
        });
        here.run(async {
            let visit = alice.open();
            for client in 0..8 {
                let kept = visit.session().get(field(client)).await.unwrap();
                assert_eq!(kept, Some(round.to_string()), "of client {client}");
            }
            drop(visit);
            log_out(&mut alice).await;
        });
    }
}

/// Of many requests that take a message, one shows it.
// Proves CVE-2026-45720.
pub fn of_many_takers_one_shows_the_message<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let managers = scene.two_managers();
    let mut alice = here.run(scene.logged_in(&scene.user("alice")));
    for _ in 0..scene.rounds(50) {
        here.run(async {
            let visit = alice.open();
            visit.session().set(CART, "saved").unwrap();
            close(&mut alice, visit).await;
        });
        let cookie = alice.cookie().unwrap();
        let shown = at_once(8, |client| {
            here.run(async {
                let visit = managers[client % 2].open([cookie.as_bytes()]);
                visit.session().take(CART).await.unwrap()
            })
        });
        let shown: Vec<String> = shown.into_iter().flatten().collect();
        assert_eq!(shown, ["saved"]);
    }
}
