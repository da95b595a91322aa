//! How it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use testbed::{Request, eventually};

use crate::demo::*;

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let demo = on_memory();
    // A keep-alive connection that waits for nothing holds up nobody.
    let mut idle = TcpStream::connect(demo.addr()).unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();

    let mut login = TcpStream::connect(demo.addr()).unwrap();
    login.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Expect: 100-continue\r\nContent-Length: 14\r\n\r\n";
    login.write_all(head.as_bytes()).unwrap();
    // It says this when the handler reads the form: the request is under way.
    let mut go_on = [0; 25];
    login.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let mut late = TcpStream::connect(demo.addr()).unwrap();
    late.write_all(b"GET /readyz HTTP/1.1\r\n").unwrap();

    thread::scope(|scope| {
        let end = scope.spawn(|| demo.terminate());
        demo.wait_for_log("asked to stop");
        let closed = || Request::get(demo.addr(), "/livez").try_send().is_err().then_some(());
        assert!(eventually(Duration::from_secs(5), closed).is_some());
        login.write_all(b"username=alice").unwrap();
        let mut answer = String::new();
        login.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 303 ") && answer.contains(COOKIE), "{answer}");
        // Half a head is no request, and may be dropped; if it is answered, then with the truth.
        let mut answer = String::new();
        if late.write_all(b"Host: x\r\n\r\n").is_ok() && late.read_to_string(&mut answer).is_ok() {
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503 "), "{answer}");
        }
        assert_eq!(end.join().unwrap(), Some(0));
    });
    assert!(!demo.log().contains("cut_off"), "{}", demo.log());
}
