//! The process as the kernel sees it: memory, processor time, open files. Linux only; elsewhere nothing is said.

use super::registry::Registry;
use std::fs;

/// The kernel counts processor time in these parts of a second for user space, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// What `/proc/self` says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Bytes in memory.
    pub resident_bytes: u64,
    /// Bytes of address space.
    pub virtual_bytes: u64,
    /// Processor time in seconds, user and system.
    pub cpu_seconds: f64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Threads.
    pub threads: u64,
}

/// This process now; `None` where there is no `/proc`.
pub fn read() -> Option<Process> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let open_fds = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    parse(&status, &stat).map(|process| Process { open_fds, ..process })
}

/// Reads `status` and `stat` as in proc(5).
fn parse(status: &str, stat: &str) -> Option<Process> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    // The second field is the program's name in brackets and may hold anything; count from the last bracket.
    let after: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = after.get(11)?.parse::<f64>().ok()? + after.get(12)?.parse::<f64>().ok()?;
    Some(Process {
        resident_bytes: field("VmRSS:")? * 1024,
        virtual_bytes: field("VmSize:")? * 1024,
        cpu_seconds: ticks / TICKS_PER_SECOND,
        open_fds: 0,
        threads: field("Threads:")?,
    })
}

/// Puts the `process_*` metrics as they are now into `registry`.
pub fn report(registry: &Registry) {
    let Some(process) = read() else { return };
    let gauge = |name, help, value: f64| registry.gauge(name, help, &[]).set(value);
    gauge("process_resident_memory_bytes", "Bytes in memory.", process.resident_bytes as f64);
    gauge("process_virtual_memory_bytes", "Bytes of address space.", process.virtual_bytes as f64);
    gauge("process_cpu_seconds_total", "Processor time, user and system.", process.cpu_seconds);
    gauge("process_open_fds", "Open file descriptors.", process.open_fds as f64);
    gauge("process_threads", "Threads.", process.threads as f64);
}

#[cfg(test)]
mod tests;
