//! What the operating system knows: how much of a processor a process has used, and its memory.
//!
//! Read from `/proc`, so on Linux alone; elsewhere everything is zero, and a run says so.

use std::fs;
use std::process::Command;
use std::time::Duration;

/// The processors that this process may use.
pub fn cores() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse::<usize>().ok()?..=to.trim().parse().ok()?)
    };
    list.unwrap_or_default().split(',').filter_map(range).flatten().collect()
}

/// Keeps this process, and what it starts from now on, to one core; whether that could be done.
pub fn keep_to(core: usize) -> bool {
    let (core, process) = (core.to_string(), std::process::id().to_string());
    let pin = Command::new("taskset").args(["-a", "-c", "-p", &core, &process]).output();
    pin.is_ok_and(|pin| pin.status.success())
}

/// How long the threads of a process and of its children have run, to the nanosecond.
///
/// Of a thread that has ended nothing is counted, so compare two looks at a process that keeps its own.
pub fn ran(process: u32) -> Duration {
    family(process).into_iter().map(|process| Duration::from_nanos(nanos(process))).sum()
}

/// The same without children.
pub fn ran_alone(process: u32) -> Duration {
    Duration::from_nanos(nanos(process))
}

fn nanos(process: u32) -> u64 {
    let ran = |thread: &str| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
        stat.split(' ').next()?.parse().ok()
    };
    threads(process).iter().filter_map(|thread| ran(thread)).sum()
}

fn threads(process: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| thread.file_name().into_string().ok()).collect()
}

/// The process and its children.
fn family(process: u32) -> Vec<u32> {
    let mut family = vec![process];
    for thread in threads(process) {
        let path = format!("/proc/{process}/task/{thread}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    family
}

/// Bytes of memory that a process and its children hold.
pub fn memory_of(process: u32) -> u64 {
    let held = |process| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        kilobytes.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    family(process).into_iter().filter_map(held).sum::<u64>() * 1024
}

/// How long these cores have been busy, with whatever it was; what a hypervisor took counts.
pub fn busy(cores: &[usize]) -> Vec<Duration> {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let of = |core: &usize| {
        let name = format!("cpu{core} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
        let ticks: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        let all: u64 = ticks.iter().take(8).sum();
        // Linux shows these in hundredths of a second, whatever it counts in.
        Some(Duration::from_millis((all - idle) * 10))
    };
    cores.iter().map(|core| of(core).unwrap_or_default()).collect()
}
