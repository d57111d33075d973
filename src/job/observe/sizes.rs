//! How large what a job holds is, and how many records were late, from what each worker says of itself.

use crate::job::peers::WorkerFacts;
use crate::telemetry::holding::grouped;
use crate::telemetry::registry::Registry;
use crate::views::index::Size;
use std::collections::BTreeMap;

/// Names in the text of the largest.
const LARGEST: usize = 3;

/// Why a record is late.
const WINDOW_CLOSED: &str = "window-closed";

/// Rows of kept state and views, late records and records read, by worker.
#[derive(Default)]
pub(super) struct Sizes {
    kept: BTreeMap<String, BTreeMap<usize, u64>>,
    served: BTreeMap<String, BTreeMap<usize, Size>>,
    late: BTreeMap<String, BTreeMap<usize, u64>>,
    read: BTreeMap<usize, u64>,
}

impl Sizes {
    /// What a worker says of itself.
    pub(super) fn worker(&mut self, registry: &Registry, facts: &WorkerFacts) {
        let worker = facts.worker;
        self.kept(registry, worker, &facts.kept);
        self.late(registry, worker, &facts.late);
        self.served(registry, worker, &facts.served);
        let told = self.read.insert(worker, facts.records).unwrap_or(0);
        let labels: &[(&str, &str)] = &[("worker", &worker.to_string())];
        let help = "Records that a worker has read, those read again after a start included.";
        let counter = registry.counter("worker_records_total", help, labels);
        counter.add(facts.records.saturating_sub(told));
    }

    /// A worker's rows of kept state, by uid.
    fn kept(&mut self, registry: &Registry, worker: usize, rows: &[(String, u64)]) {
        for (uid, rows) in rows {
            let of = self.kept.entry(uid.clone()).or_default();
            of.insert(worker, *rows);
            let gauge = registry.gauge("operator_rows", "Rows of kept state.", &[("uid", uid)]);
            gauge.set_u64(of.values().sum());
        }
    }

    /// A worker's late records since it began, by the uid of the windows that they missed; a record counts once for each window.
    fn late(&mut self, registry: &Registry, worker: usize, late: &[(String, u64)]) {
        for (uid, records) in late {
            let of = self.late.entry(uid.clone()).or_default();
            let told = of.insert(worker, *records).unwrap_or(0);
            let labels: &[(&str, &str)] = &[("reason", WINDOW_CLOSED), ("uid", uid)];
            let help = "Records that came too late, once for each window that they missed.";
            registry.counter("late_records_total", help, labels).add(records.saturating_sub(told));
        }
    }

    /// A worker's part of the views.
    fn served(&mut self, registry: &Registry, worker: usize, views: &[(String, Size)]) {
        for (view, size) in views {
            let of = self.served.entry(view.clone()).or_default();
            of.insert(worker, *size);
            let labels: &[(&str, &str)] = &[("view", view)];
            let gauge = |name, help, of: u64| registry.gauge(name, help, labels).set_u64(of);
            gauge("table_rows", "Rows of a view.", of.values().map(|size| size.rows).sum());
            gauge(
                "table_bytes",
                "Bytes of a view's rows and of their history, estimated.",
                of.values().map(|size| size.bytes).sum(),
            );
        }
    }

    /// The largest kept states and views: "visits 1,200,000, view top 1,000".
    pub(super) fn largest(&self) -> String {
        let kept = self.kept.iter().map(|(uid, of)| (of.values().sum::<u64>(), uid.clone()));
        let served = self.served.iter().map(|(view, of)| {
            (of.values().map(|size| size.rows).sum::<u64>(), format!("view {view}"))
        });
        let mut all: Vec<_> = kept.chain(served).collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let text = |(rows, name): &(u64, String)| format!("{name} {}", grouped(*rows));
        all.iter().take(LARGEST).map(text).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests;
