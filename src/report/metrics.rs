//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::view::{Look, View};
use crate::breaker::Answer;
use crate::name::Name;
use crate::time::Timestamp;

/// All metrics of these breakers. Names need no escaping in labels.
pub fn render(views: &[View]) -> String {
    let breakers: Vec<(&Name, &Look)> =
        views.iter().filter_map(|view| Some((&view.name, view.look.as_ref().ok()?))).collect();
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, String)>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    };
    let label = |name: &Name| format!("name=\"{name}\"");
    let each = |value: &dyn Fn(&Look) -> Option<String>| -> Vec<(String, String)> {
        breakers.iter().filter_map(|(name, look)| Some((label(name), value(look)?))).collect()
    };
    let labelled = |key: &str, values: &dyn Fn(&Look) -> Vec<(&'static str, String)>| -> Vec<(String, String)> {
        let samples = |(name, look): &(&Name, &Look)| {
            let label = label(name);
            let with = move |(word, value): (&str, String)| (format!("{label},{key}=\"{word}\""), value);
            values(look).into_iter().map(with).collect::<Vec<_>>()
        };
        breakers.iter().flat_map(samples).collect()
    };
    let number = |value: &dyn Display| value.to_string();

    let states = |look: &Look| {
        ["closed", "open", "half_open"].map(|word| (word, number(&u8::from(word == look.state())))).to_vec()
    };
    family("cb_state", "gauge", "The state of the breaker: 1 for the one it is in.", labelled("state", &states));
    let outcomes = |look: &Look| {
        let totals = look.breaker.totals();
        let counts = [
            ("success", totals.successes),
            ("failure", totals.failures),
            ("ignored", totals.ignored),
            ("late", totals.late),
            ("abandoned", totals.abandoned),
        ];
        counts.map(|(word, count)| (word, number(&count))).to_vec()
    };
    family("cb_runs_total", "counter", "Runs let through, by what they counted as.", labelled("outcome", &outcomes));
    let refused = each(&|look| Some(number(&look.breaker.totals().refused)));
    family("cb_refused_total", "counter", "Runs not let through.", refused);
    let opened = each(&|look| Some(number(&look.breaker.totals().opened)));
    family("cb_opened_total", "counter", "How often the breaker opened, reopenings included.", opened);
    let retry = each(&|look| {
        let left = |at: Timestamp| format!("{:.3}", at.left(look.now).as_secs_f64());
        Some(match look.answer() {
            Answer::Refuse(refusal) => refusal.retry_at.map_or("+Inf".to_owned(), left),
            Answer::Pass | Answer::Probe => "0".to_owned(),
        })
    });
    family("cb_retry_seconds", "gauge", "Time until a run may be let through; 0 now, +Inf not before a reset.", retry);
    let last = each(&|look| {
        let at = look.breaker.last()?.at.as_millis();
        Some(format!("{}.{:03}", at / 1000, at % 1000))
    });
    family("cb_last_run_timestamp_seconds", "gauge", "When the last result was recorded, in Unix time.", last);
    text
}
