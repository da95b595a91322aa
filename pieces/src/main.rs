//! Does one piece a number of times, for who counts the instructions.
#![allow(clippy::print_stderr, reason = "a program says what it wants")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = match arguments.as_slice() {
        [name, times] => pieces::piece(name).zip(times.parse::<u32>().ok()),
        _ => None,
    };
    let Some((mut piece, times)) = asked else {
        eprintln!("usage: pieces <piece> <times>; the pieces are {:?}", pieces::NAMES);
        return ExitCode::from(2);
    };
    for _ in 0..times {
        piece();
    }
    ExitCode::SUCCESS
}
