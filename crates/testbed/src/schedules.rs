//! A scene under a model checker of threads, which decides at every lock, counter and channel whose turn
//! it is. Compiled for `cargo xtask models` only.

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// How many schedules each scene is played in, unless told otherwise.
const SCHEDULES: usize = 1_000;
/// How many changes of turn it may take to find something, where they are chosen with care.
const DEPTH: usize = 3;
/// Ciphers and databases, compiled without care, take more of it than a model of a lock.
const STACK_BYTES: usize = 1024 * 1024;

/// Plays the scene in so many schedules, or in the one of `CLOAKROOM_SCHEDULE`. One in which the scene
/// panics, or everybody waits for somebody else, fails the test and is printed.
///
/// Half of them change turns at random, half as PCT does (Burckhardt et al., ASPLOS 2010): by priorities
/// that change at few points, which finds what takes few changes of turn with a known probability.
pub fn in_many_schedules(scene: impl Fn() + Clone + Send + Sync + 'static) {
    if let Ok(schedule) = std::env::var("CLOAKROOM_SCHEDULE") {
        return play(shuttle::scheduler::ReplayScheduler::new_from_encoded(&schedule), scene);
    }
    let schedules = std::env::var("CLOAKROOM_SCHEDULES").ok();
    let schedules = schedules.map_or(SCHEDULES, |number| number.parse().expect("a number"));
    play(RandomScheduler::new(schedules.div_ceil(2)), scene.clone());
    play(PctScheduler::new(DEPTH, schedules / 2), scene);
}

fn play(scheduler: impl Scheduler + 'static, scene: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    Runner::new(scheduler, config).run(scene);
}
