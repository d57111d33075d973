//! What a dataflow consists of, for people.

use crate::config::Settings;
use crate::flow::Plan;
use std::fmt::Write;

/// Sources, kept state with what bounds it, views and sinks, one line each.
pub(super) fn text(name: &str, plan: &Plan, settings: &Settings) -> String {
    let mut out =
        format!("dataflow {name}, {} workers, state at {}\n", settings.workers, settings.state);
    let mut line = |text: String| {
        // Writing to a string can't fail.
        let _ = writeln!(out, "{text}");
    };
    line("\nsources".into());
    for source in &plan.sources {
        let transport = settings.sources.get(&source.name).map(|s| format!("{:?}", s.connector));
        let time = match source.lag {
            Some(lag) => format!(
                "event time, lag {:?}",
                std::time::Duration::from_micros(lag.unsigned_abs())
            ),
            None => "no event time".to_owned(),
        };
        line(format!(
            "  {}: {} ({}; {time})",
            source.name,
            source.schema,
            transport.unwrap_or_default()
        ));
    }
    line(
        "\nkept state (survives crashes; each is one exchange by key and one copy in memory)"
            .into(),
    );
    for kept in &plan.kept {
        line(format!("  {}: {}; bounded by {}", kept.uid, kept.operator, kept.bound));
        line(format!("      key {}, state {}", kept.key, kept.state));
    }
    line("\nviews (one exchange by key and one copy in memory each)".into());
    for view in &plan.views {
        let decl = view.kind.decl();
        let key = if decl.keyed {
            format!("key {}, value {}", decl.key, decl.value)
        } else {
            decl.key.clone()
        };
        line(format!("  {}: {key}", decl.name));
    }
    line("\nsinks".into());
    for sink in &plan.sinks {
        let to = settings.sinks.get(&sink.name);
        let lanes = to.map_or(1, |s| s.lanes);
        let connector = to.map(|s| format!("{:?}", s.connector)).unwrap_or_default();
        line(format!("  {}: {} ({connector}; {lanes} lanes)", sink.name, sink.mode));
    }
    out
}
