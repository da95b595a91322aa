//! What befalls the network between the instances and their server.

use std::time::Duration;

use testbed::tls::{Authority, Secured};
use testbed::{Proxy, Server, eventually};

use crate::stage::{Kept, LONG, SOME, Stage, Store};
use crate::storm::storm;

fn through_a_proxy(fault: impl FnOnce(&Proxy, &Stage)) {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    storm(proxy.url(), &[&server], Kept::All, |stage| {
        fault(&proxy, stage);
        proxy.pass();
    });
}

// Proves F4.
#[test]
fn a_network_that_swallows_everything_loses_nothing_that_was_acknowledged() {
    through_a_proxy(|proxy, stage| {
        proxy.blackhole();
        stage.answers(SOME);
    });
}

// Proves F5.
#[test]
fn replies_cut_at_every_byte_are_neither_misread_nor_repeated() {
    through_a_proxy(|proxy, stage| {
        for bytes in 0..48 {
            proxy.cut_replies(bytes);
            stage.answers(4);
        }
    });
}

// Proves F5.
#[test]
fn replies_that_come_byte_by_byte_are_read_as_if_they_came_whole() {
    through_a_proxy(|proxy, stage| {
        proxy.slice_replies();
        stage.answers(2 * SOME);
    });
}

// Proves F5.
#[test]
fn connections_that_are_reset_and_refused_lose_nothing_that_was_acknowledged() {
    through_a_proxy(|proxy, stage| {
        for _ in 0..10 {
            proxy.sever();
            stage.answers(10);
        }
        proxy.refuse();
        stage.answers(SOME);
    });
}

// Proves F6.
#[test]
fn replies_that_are_no_replies_make_503_and_are_not_believed() {
    through_a_proxy(|proxy, stage| {
        let forged: [&[u8]; 6] = [
            b"hello?\r\n",
            b"+OK\r\n",
            b":42\r\n",
            b"*-1\r\n",
            b"$536870912\r\n",
            b"\x00\xff\x00\xff\r\n\r\n",
        ];
        for bytes in forged {
            proxy.forge_replies(bytes);
            stage.answers(20);
        }
    });
}

// Proves F7.
#[test]
fn a_slow_network_makes_503_only_where_the_patience_ends() {
    through_a_proxy(|proxy, stage| {
        for millis in [1, 10, 50, 500] {
            proxy.delay(Duration::from_millis(millis));
            stage.answers(SOME);
        }
    });
}

// Proves F37.
#[test]
fn a_visit_whose_reply_is_lost_is_not_repeated() {
    through_a_proxy(|proxy, stage| {
        proxy.lose_reply(20);
        stage.answers(10 * SOME);
        assert!(proxy.lost() > 0);
    });
}

// Proves F37.
#[test]
fn visits_whose_replies_are_all_lost_are_not_repeated() {
    through_a_proxy(|proxy, stage| {
        proxy.drop_replies();
        stage.answers(SOME);
    });
}

/// Renewed, which nobody notices; then replaced by one of another authority, and by one for another
/// name, with which nobody connects any more.
// Proves F27.
#[test]
fn a_certificate_of_tls_that_is_replaced_makes_503_until_it_is_a_good_one() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let secured = Secured::by(&ours);
    let store = Store::with_tls(secured.url(), &secured.ca());
    let told = storm(store, &[&secured.server], Kept::All, |stage| {
        for _ in 0..3 {
            secured.shows(&ours.signs(&["localhost"]));
            secured.cuts();
            stage.answers(SOME);
        }
        for bad in [theirs.signs(&["localhost"]), ours.signs(&["cloak.test"])] {
            secured.shows(&bad);
            stage.answers(SOME);
            assert!(secured.server.clients() > 0, "what was connected goes on");
            secured.cuts();
            stage.answers(SOME);
            // One may be in the middle of its handshake.
            let nobody = || (secured.server.clients() == 0).then_some(());
            assert!(eventually(LONG, nobody).is_some(), "{}", secured.server.log());
            secured.shows(&ours.signs(&["localhost"]));
            stage.answers(SOME);
        }
    });
    assert!(told.unavailable > 0, "nobody noticed");
}
