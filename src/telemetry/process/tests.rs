use super::*;

#[test]
fn reads_what_the_kernel_writes_also_with_a_strange_name() {
    let status = "Name:\ta) 1 2\nVmSize:\t  2048 kB\nVmRSS:\t  1024 kB\nThreads:\t7\n";
    let stat = "42 (a) 1 2) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 7 0";
    let wanted = Process {
        resident_bytes: 1 << 20,
        virtual_bytes: 2 << 20,
        cpu_seconds: 3.0,
        open_fds: 0,
        threads: 7,
    };
    assert_eq!(parse(status, stat), Some(wanted));
    assert_eq!(parse("", stat), None);
}

#[test]
fn this_process_has_memory_and_files() {
    let registry = Registry::default();
    let held = vec![1u8; 64 << 20];
    let process = read().expect("Linux");
    // The buffer was written to, so it is in memory, whatever else runs in this process.
    assert!(process.resident_bytes >= held.len() as u64, "{process:?}");
    assert!(process.open_fds >= 3 && process.threads >= 1, "{process:?}");
    report(&registry);
    let text = registry.render();
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert!(text.contains("# TYPE process_cpu_seconds_total counter\n"), "{text}");
}
