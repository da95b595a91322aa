//! What befalls the network between the instances and their server.

use std::time::Duration;

use testbed::{Proxy, Server};

use crate::stage::{Kept, Stage};
use crate::storm::storm;

const SOME: u64 = 60;

fn through_a_proxy(fault: impl FnOnce(&Proxy, &Stage)) {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    storm(&proxy.url(), &[&server], Kept::All, |stage| {
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
