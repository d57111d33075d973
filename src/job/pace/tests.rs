use super::*;

const MS: Duration = Duration::from_millis(1);

fn bounds() -> Bounds {
    Bounds {
        interval_min: MS,
        interval_max: 100 * MS,
        heartbeat: 500 * MS,
        ahead_max: 8,
        durable_ahead_max: 16,
        sink_bytes_max: 1000,
    }
}

fn facts() -> Facts {
    Facts {
        ready: false,
        full: false,
        since_last: Duration::ZERO,
        interval: 2 * MS,
        ahead: 1,
        durable_ahead: 1,
        sink_bytes: 0,
        memory_percent: 0,
    }
}

#[test]
fn opens_when_ready_and_due_and_at_the_heartbeat_otherwise() {
    let check = |facts: Facts, expected| assert_eq!(pace(&bounds(), &facts), expected, "{facts:?}");
    check(facts(), Pace::Wait(500 * MS));
    check(Facts { ready: true, ..facts() }, Pace::Wait(2 * MS));
    check(Facts { ready: true, since_last: 2 * MS, ..facts() }, Pace::Open);
    check(Facts { full: true, ..facts() }, Pace::Open);
    check(Facts { since_last: 499 * MS, ..facts() }, Pace::Wait(MS));
    check(Facts { since_last: 500 * MS, ..facts() }, Pace::Open);
}

#[test]
fn a_full_window_holds_whatever_is_ready() {
    let ready = Facts { ready: true, full: true, since_last: 900 * MS, ..facts() };
    let check = |facts: Facts, expected| assert_eq!(pace(&bounds(), &facts), expected, "{facts:?}");
    check(Facts { ahead: 8, ..ready }, Pace::Held(Window::Dataflow));
    check(Facts { durable_ahead: 16, ..ready }, Pace::Held(Window::Log));
    check(Facts { sink_bytes: 1000, ..ready }, Pace::Held(Window::Sink));
    check(Facts { memory_percent: 95, ..ready }, Pace::Held(Window::Memory));
    check(Facts { memory_percent: 94, ..ready }, Pace::Open);
    check(Facts { ahead: 7, durable_ahead: 15, sink_bytes: 999, ..ready }, Pace::Open);
}

#[test]
fn ticks_grow_under_load_and_shrink_when_it_is_quiet() {
    let check = |current: Duration, busy, ahead, next| {
        let found = interval(&bounds(), current, busy, ahead);
        assert_eq!(found, next, "{current:?} at {busy} with {ahead} ticks");
    };
    check(Duration::ZERO, 0.1, 1, MS);
    check(MS, 0.1, 1, MS);
    check(MS, 0.7, 1, MS);
    check(MS, 0.99, 1, 2 * MS);
    check(64 * MS, 0.99, 1, 100 * MS);
    check(100 * MS, 0.99, 1, 100 * MS);
    check(64 * MS, 0.7, 1, 64 * MS);
    check(64 * MS, 0.2, 1, 32 * MS);
    check(16 * MS, 0.2, 2, 8 * MS);
    check(16 * MS, 0.2, 3, 16 * MS);
    check(16 * MS, 0.2, 4, 16 * MS);
    check(16 * MS, 0.2, 5, 32 * MS);
    check(64 * MS, 0.2, 16, 100 * MS);
}
