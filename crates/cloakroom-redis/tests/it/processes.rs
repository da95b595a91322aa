//! Nothing is lost (P2): two processes of 32 clients each on one server.

use std::process::{Child, Command, Stdio};

use cloakroom::{Field, Session, SessionError};
use testbed::Server;

use crate::house::{alice, keys_of, manager, manager_at};

/// What a process is asked to do; see [`a_process_loses_nothing`].
const JOB: &str = "CLOAKROOM_TEST_JOB";

/// One process: 32 clients who count in one field. It finds its work in the environment if another
/// process has asked it, as the next test does, and else has a small job of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_loses_nothing() {
    let own = Server::start();
    let job = match std::env::var(JOB) {
        Ok(job) => job,
        Err(_) => {
            let cookie = alice(&manager(&own)).await.cookie().unwrap().to_owned();
            format!("{} {cookie} visits 1600", own.url())
        }
    };
    let [url, cookie, field, times] = job.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let manager = manager_at(url);
    let times: u32 = times.parse().unwrap();
    let clients: Vec<_> = (0..32)
        .map(|client| {
            let own_share = times / 32 + u32::from(client < times % 32);
            let (manager, cookie, field) = (manager.clone(), cookie.to_owned(), field.to_owned());
            tokio::spawn(async move {
                for _ in 0..own_share {
                    let visit = manager.open([cookie.as_bytes()]);
                    acknowledged(visit.session(), &field).await.unwrap();
                    assert!(visit.close(200).await.failed.is_none());
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

async fn acknowledged(session: Session, field: &str) -> Result<u64, SessionError> {
    session.increment(Field::<u64>::named(field).unwrap(), 1).await
}

#[tokio::test]
async fn two_processes_of_32_clients_each_lose_nothing() {
    let server = Server::start();
    let visitor = alice(&manager(&server)).await;
    let (key, _) = keys_of(&visitor).await;
    let process = |field: &str| -> Child {
        let job = format!("{} {} {field} 10000", server.url(), visitor.cookie().unwrap());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::a_process_loses_nothing"])
            .env(JOB, job)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    for fields in [["visits", "visits"], ["left", "right"]] {
        let processes = fields.map(process);
        for mut process in processes {
            assert!(process.wait().unwrap().success(), "every increment was acknowledged");
        }
    }
    let stored = |field| server.command(&["HGET", &key, field]).text();
    assert_eq!(stored("visits"), "20000");
    assert_eq!((stored("left"), stored("right")), ("10000".into(), "10000".into()));
}
