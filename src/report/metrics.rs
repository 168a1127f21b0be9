//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::json::words;
use crate::breaker::{Answer, Breaker};
use crate::name::Name;
use crate::settings::Settings;
use crate::time::Timestamp;

/// All metrics of these breakers. A name needs no escaping in a label.
pub fn render(breakers: &[(&Name, &Breaker, &Settings)], now: Timestamp) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, String)>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    };
    let label = |name: &Name| format!("name=\"{name}\"");
    let each = |value: &dyn Fn(&Breaker, &Settings) -> Option<String>| -> Vec<(String, String)> {
        let sample =
            |&(name, breaker, settings): &(&Name, &Breaker, &Settings)| Some((label(name), value(breaker, settings)?));
        breakers.iter().filter_map(sample).collect()
    };
    let labelled = |key: &str, values: &dyn Fn(&Breaker) -> Vec<(&'static str, String)>| -> Vec<(String, String)> {
        let samples = |&(name, breaker, _): &(&Name, &Breaker, &Settings)| {
            let with = move |(word, value): (&str, String)| (format!("{},{key}=\"{word}\"", label(name)), value);
            values(breaker).into_iter().map(with).collect::<Vec<_>>()
        };
        breakers.iter().flat_map(samples).collect()
    };
    let number = |value: &dyn Display| value.to_string();

    let states = |breaker: &Breaker| {
        let (state, _) = words(breaker, now);
        ["closed", "open", "half_open"].map(|word| (word, number(&u8::from(word == state)))).to_vec()
    };
    family("cb_state", "gauge", "The state of the breaker: 1 for the one it is in.", labelled("state", &states));
    let outcomes = |breaker: &Breaker| {
        let totals = breaker.totals();
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
    let refused = each(&|breaker, _| Some(number(&breaker.totals().refused)));
    family("cb_refused_total", "counter", "Runs not let through.", refused);
    let opened = each(&|breaker, _| Some(number(&breaker.totals().opened)));
    family("cb_opened_total", "counter", "How often the breaker opened, reopenings included.", opened);
    let retry = each(&|breaker, settings| {
        let left = |at: Timestamp| format!("{:.3}", at.left(now).as_secs_f64());
        Some(match breaker.answer(settings, now) {
            Answer::Refuse(refusal) => refusal.retry_at.map_or("+Inf".to_owned(), left),
            Answer::Pass | Answer::Probe => "0".to_owned(),
        })
    });
    family("cb_retry_seconds", "gauge", "Time until a run may be let through; 0 now, +Inf not before a reset.", retry);
    let last = each(&|breaker, _| {
        let at = breaker.last()?.at.as_millis();
        Some(format!("{}.{:03}", at / 1000, at % 1000))
    });
    family("cb_last_run_timestamp_seconds", "gauge", "When the last result was recorded, in Unix time.", last);
    text
}
