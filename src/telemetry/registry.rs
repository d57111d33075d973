//! Counters, gauges and histograms with labels, in the text format of Prometheus.
//!
//! Taking a handle locks the registry, so take it once and keep it; updating it is a few atomic operations, fit for a
//! worker's loop. The order of series in the text is the order of names and labels.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The greatest number of series of one name; handles beyond it work but are not shown.
pub const SERIES_MAX: usize = 4096;

/// Buckets for times in seconds, 100 microseconds to 10 s.
pub const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Sets it to a whole number (exact below 2^53).
    pub fn set_u64(&self, value: u64) {
        self.set(value as f64);
    }

    /// The number now.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// How often values fell into each bucket, and their sum.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    /// One more than bounds: the last is beyond all of them.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Histogram {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0f64.to_bits()) }))
    }

    /// Takes a value in.
    pub fn observe(&self, value: f64) {
        let at = self.0.bounds.partition_point(|bound| *bound < value);
        self.0.counts[at].fetch_add(1, Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // `add` never declines, so this can't fail.
        let _ = self.0.sum.fetch_update(Relaxed, Relaxed, add);
    }

    /// Takes a time in, as seconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    /// How many values were taken in.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Relaxed)).sum()
    }
}

#[derive(Clone, Debug)]
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Series {
    fn kind(&self) -> &'static str {
        match self {
            Series::Counter(_) => "counter",
            Series::Gauge(_) => "gauge",
            Series::Histogram(_) => "histogram",
        }
    }
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    /// By labels as they stand in the text, without braces.
    series: BTreeMap<String, Series>,
}

/// All metrics of a process.
#[derive(Debug, Default)]
pub struct Registry {
    families: Mutex<BTreeMap<&'static str, Family>>,
}

/// Label names and values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Registry {
    /// The counter of this name and these labels; the same one whenever asked.
    ///
    /// # Panics
    /// If the name stands for another kind of metric.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Counter {
        match self.series(name, help, labels, || Series::Counter(Counter::default())) {
            Series::Counter(counter) => counter,
            other => panic!("metric {name} is a {}, not a counter", other.kind()),
        }
    }

    /// The gauge of this name and these labels; the same one whenever asked.
    ///
    /// # Panics
    /// If the name stands for another kind of metric.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Gauge {
        match self.series(name, help, labels, || Series::Gauge(Gauge::default())) {
            Series::Gauge(gauge) => gauge,
            other => panic!("metric {name} is a {}, not a gauge", other.kind()),
        }
    }

    /// The histogram of this name and these labels with `bounds` as its ascending buckets ([`SECONDS`] for times).
    ///
    /// # Panics
    /// If the name stands for another kind of metric.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        bounds: &'static [f64],
    ) -> Histogram {
        match self.series(name, help, labels, || Series::Histogram(Histogram::new(bounds))) {
            Series::Histogram(histogram) => histogram,
            other => panic!("metric {name} is a {}, not a histogram", other.kind()),
        }
    }

    /// Removes the series of `name` with these labels, for things that went away.
    pub fn remove(&self, name: &str, labels: Labels<'_>) {
        if let Some(family) = self.lock().get_mut(name) {
            family.series.remove(&text_of(labels));
        }
    }

    /// Everything in the text format 0.0.4.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (name, family) in self.lock().iter() {
            let Some(kind) = family.series.values().next().map(Series::kind) else { continue };
            // A sum that comes as a fraction from elsewhere (processor seconds) is set, but only grows.
            let kind = if name.ends_with("_total") { "counter" } else { kind };
            put(&mut out, format_args!("# HELP {name} {}\n# TYPE {name} {kind}\n", family.help));
            for (labels, series) in &family.series {
                render_series(&mut out, name, labels, series);
            }
        }
        out
    }

    fn series(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        make: impl FnOnce() -> Series,
    ) -> Series {
        let mut families = self.lock();
        let family =
            families.entry(name).or_insert_with(|| Family { help, series: BTreeMap::new() });
        let key = text_of(labels);
        if let Some(series) = family.series.get(&key) {
            return series.clone();
        }
        let made = make();
        // All series of a name are of one kind, also one that is not shown.
        if let Some(other) = family.series.values().next()
            && other.kind() != made.kind()
        {
            return other.clone();
        }
        if family.series.len() < SERIES_MAX {
            family.series.insert(key, made.clone());
        }
        made
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Family>> {
        // A panic while the lock was held leaves at worst a series without values.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn render_series(out: &mut String, name: &str, labels: &str, series: &Series) {
    let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    match series {
        Series::Counter(counter) => put(out, format_args!("{name}{braces} {}\n", counter.value())),
        Series::Gauge(gauge) => put(out, format_args!("{name}{braces} {}\n", gauge.value())),
        Series::Histogram(Histogram(buckets)) => {
            let comma = if labels.is_empty() { "" } else { "," };
            let mut below = 0;
            for (at, count) in buckets.counts.iter().enumerate() {
                below += count.load(Relaxed);
                let bound = buckets.bounds.get(at).map_or("+Inf".to_owned(), f64::to_string);
                put(out, format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}\n"));
            }
            let sum = f64::from_bits(buckets.sum.load(Relaxed));
            put(out, format_args!("{name}_sum{braces} {sum}\n{name}_count{braces} {below}\n"));
        }
    }
}

/// Labels as they stand in the text, sorted by name.
fn text_of(labels: Labels<'_>) -> String {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    let mut out = String::new();
    for (name, value) in labels {
        if !out.is_empty() {
            out.push(',');
        }
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        put(&mut out, format_args!("{name}=\"{value}\""));
    }
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string can't fail");
}

#[cfg(test)]
mod tests;
