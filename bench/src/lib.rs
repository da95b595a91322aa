//! What every benchmark needs: percentiles, tables, and what the machine is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that can't go on says so and ends"
)]

pub mod load;
pub mod system;

use std::time::Duration;

/// What all servers that are compared are given as their key; it guards nothing.
pub const SECRET: &str = "a key for benchmarks, which guards nothing at all";

/// How long each of many operations took.
#[derive(Debug, Default)]
pub struct Took(Vec<Duration>);

impl Took {
    /// Of all of them.
    pub fn new(mut each: Vec<Duration>) -> Self {
        each.sort_unstable();
        Self(each)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// So many in a thousand took no longer, in microseconds.
    pub fn at(&self, thousandth: usize) -> String {
        format!("{:.1}", self.micros(thousandth))
    }

    /// The same as a number.
    pub fn micros(&self, thousandth: usize) -> f64 {
        let at = self.0.get(self.0.len() * thousandth / 1_000).or(self.0.last());
        at.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    }
}

/// A row of a table in Markdown.
pub fn row<const N: usize>(cells: [&dyn std::fmt::Display; N]) -> String {
    let cells: Vec<String> = cells.iter().map(ToString::to_string).collect();
    format!("| {} |", cells.join(" | "))
}

/// The head of a table.
pub fn head<const N: usize>(names: [&str; N]) -> String {
    format!("| {} |\n|{}", names.join(" | "), "---|".repeat(N))
}

/// The machine, as far as it can be told.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let busy = load.parse::<f64>().is_ok_and(|load| load > 1.0);
    format!(
        "{cores} cores of {}, Linux {}, load {load} at the start{}",
        model.map_or("an unnamed CPU", |(_, model)| model),
        kernel.trim(),
        if busy {
            ": a machine shared with others, so take the figures for what it does at least"
        } else {
            ""
        }
    )
}

/// Bytes of memory that this process holds.
pub fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = |text: &str| text.trim().trim_end_matches(" kB").parse::<u64>().ok();
    kilobytes.and_then(number).unwrap_or_default() * 1024
}

/// How far a part has come: a bar for who watches, nothing for a file.
pub fn progress(length: usize, part: &'static str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(length as u64).with_prefix(part);
    let look = "{prefix} [{bar:30}] {pos}/{len}, {eta} left  {msg}";
    match indicatif::ProgressStyle::with_template(look) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

/// CPU time that this process has taken, all threads together; exact to 10 ms.
pub fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the program's name, which may hold anything: user and system time are 11th and 12th.
    let numbers = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = numbers.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
