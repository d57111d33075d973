use super::*;

#[test]
fn the_text_is_what_prometheus_reads() {
    let registry = Registry::default();
    registry.counter("b_total", "Bees.", &[("topic", "a\"b\\c\n"), ("partition", "3")]).add(7);
    registry.gauge("a_seconds", "Age.", &[]).set(0.25);
    let times = registry.histogram("c_seconds", "Time.", &[("sink", "s")], &[0.1, 1.0]);
    times.observe(0.1);
    times.observe(0.5);
    times.observe_time(Duration::from_secs(3));
    expect_test::expect![[r##"
        # HELP a_seconds Age.
        # TYPE a_seconds gauge
        a_seconds 0.25
        # HELP b_total Bees.
        # TYPE b_total counter
        b_total{partition="3",topic="a\"b\\c\n"} 7
        # HELP c_seconds Time.
        # TYPE c_seconds histogram
        c_seconds_bucket{sink="s",le="0.1"} 1
        c_seconds_bucket{sink="s",le="1"} 2
        c_seconds_bucket{sink="s",le="+Inf"} 3
        c_seconds_sum{sink="s"} 3.6
        c_seconds_count{sink="s"} 3
    "##]]
    .assert_eq(&registry.render());
}

#[test]
fn one_name_and_labels_is_one_series_from_many_threads() {
    let registry = Registry::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let counter = registry.counter("n_total", "N.", &[("a", "1"), ("b", "2")]);
                let same = registry.counter("n_total", "N.", &[("b", "2"), ("a", "1")]);
                let times = registry.histogram("t_seconds", "T.", &[], SECONDS);
                for _ in 0..1000 {
                    counter.inc();
                    same.inc();
                    times.observe(0.5);
                }
            });
        }
    });
    assert_eq!(registry.counter("n_total", "N.", &[("a", "1"), ("b", "2")]).value(), 8000);
    let text = registry.render();
    assert!(text.contains("t_seconds_sum 2000\n"), "{text}");
    assert!(text.contains("t_seconds_bucket{le=\"0.25\"} 0\n"), "{text}");
}

#[test]
fn series_are_bounded_and_can_go() {
    let registry = Registry::default();
    for n in 0..SERIES_MAX + 10 {
        registry.counter("n_total", "N.", &[("n", &n.to_string())]).inc();
    }
    assert_eq!(registry.render().lines().count(), SERIES_MAX + 2);
    registry.remove("n_total", &[("n", "0")]);
    assert_eq!(registry.render().lines().count(), SERIES_MAX + 1);
}

#[test]
#[should_panic(expected = "metric n_total is a counter, not a gauge")]
fn a_name_has_one_kind() {
    let registry = Registry::default();
    registry.counter("n_total", "N.", &[]).inc();
    registry.gauge("n_total", "N.", &[("other", "labels")]).set(1.0);
}
