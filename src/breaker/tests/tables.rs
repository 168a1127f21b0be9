//! Histories as tables of steps, `tests/cases/recovery.json`: of runs that are told to stay away, of a service that flaps,
//! and of one that gets its runs back step by step.
//!
//! `at_ms` is the time since the start. `call` is a whole run, `begin` and `end` are the two halves of one that overlaps
//! others, `observe` only looks, `record` reports without a permit, `report` is what a run says of itself, the others are
//! orders of a person. What is expected holds after the step, but for `expect_admitted`, which is the answer to who asks.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use crate::breaker::{Admission, Answer, Ask, Breaker, Draw, HoldKind, Order, Permit, State};
use crate::outcome::{Finished, Outcome};
use crate::settings::Settings;
use crate::time::Timestamp;

/// 2026-01-02T03:04:05.678Z
const TODAY: u64 = 1_767_323_045_678;

struct Replay {
    breaker: Breaker,
    settings: Settings,
    permits: HashMap<String, Permit>,
}

fn span(step: &Value, key: &str) -> Option<Duration> {
    step[key].as_u64().map(Duration::from_millis)
}

/// The draw of a step, to the thousandth.
fn draw(step: &Value) -> Draw {
    // There are no more digits than that.
    let digits = step["draw"].to_string();
    let thousandths = digits.strip_prefix("0.").map(|digits| format!("{digits:0<3}"));
    thousandths.map_or(Draw::FIRST, |digits| Draw::thousandths(digits.parse().expect("three digits")))
}

fn run(step: &Value) -> Option<Finished<'static>> {
    let outcome = match step["outcome"].as_str()? {
        "success" => Outcome::Success,
        "failure" => Outcome::Failure,
        "ignored" => Outcome::Ignored,
        other => panic!("{other} is no outcome"),
    };
    let http_status = step["http_status"].as_u64().map(|status| status.try_into().expect("a status"));
    Some(Finished { http_status, retry_after: span(step, "retry_after_ms"), ..Finished::of(outcome) })
}

impl Replay {
    /// Does a step, and says what of it is not as expected.
    fn step(&mut self, step: &Value) -> Vec<String> {
        let now = Timestamp::from_millis(TODAY + step["at_ms"].as_u64().expect("a time"));
        let answer = self.breaker.answer(&self.settings, draw(step), now);
        let mut found = HashMap::from([("admitted", Value::from(!matches!(answer, Answer::Refuse(_))))]);
        let call = step["call"].as_str().unwrap_or_default().to_owned();
        match step["action"].as_str().expect("an action") {
            "observe" => {}
            "call" | "begin" => {
                let (settings, lease) = (&self.settings, Duration::from_secs(3_600));
                match self.breaker.admit(&Ask { settings, lease, pid: Some(1), draw: draw(step) }, now) {
                    Admission::Refused(_) => {}
                    Admission::Admitted(permit) if step["action"] == "begin" => drop(self.permits.insert(call, permit)),
                    Admission::Admitted(permit) => {
                        let run = run(step).expect("who is let through has an outcome");
                        drop(self.breaker.record(&permit, &run, settings, now));
                    }
                }
            }
            "end" => {
                let permit = self.permits.remove(&call).expect("it has begun");
                drop(self.breaker.record(&permit, &run(step).expect("an outcome"), &self.settings, now));
            }
            "record" => drop(self.breaker.observe(&run(step).expect("an outcome"), &self.settings, now)),
            "report" => drop(self.breaker.report(span(step, "for_ms"), None, now)),
            "force_open" => self.order(HoldKind::Trip, span(step, "for_ms"), now),
            "disable" => self.order(HoldKind::Disable, None, now),
            "enable" => drop(self.breaker.enable("ann".to_owned(), now)),
            "reset" => drop(self.breaker.reset("ann".to_owned(), now)),
            other => panic!("{other} is no action"),
        }
        found.insert("state_after", self.state().into());
        let next = match self.breaker.answer(&self.settings, draw(step), now) {
            Answer::Refuse(refusal) => refusal.retry_at,
            Answer::Pass | Answer::Probe => None,
        };
        let left = |at: Timestamp| u64::try_from(at.left(now).as_millis()).expect("a short time");
        found.insert("retry_after_ms", next.map(left).into());
        found.insert("ramp_ms", self.breaker.ramp_until(&self.settings, now).map(left).into());
        let reason = self.breaker.reason(now).map(String::from);
        let (totals, mut wrong) = (self.breaker.totals(), Vec::new());
        let counters: HashMap<&str, u64> = HashMap::from([
            ("failures", totals.failures),
            ("late", totals.late),
            ("opened", totals.opened),
            ("refused", totals.refused),
        ]);
        for (key, expected) in step.as_object().expect("a step") {
            let is_so = match key.strip_prefix("expect_") {
                None => true,
                Some("counters") => {
                    let counts = expected.as_object().expect("counters");
                    counts.iter().all(|(name, count)| counters.get(&**name).copied() == count.as_u64())
                }
                Some("reason") => reason.as_deref() == expected.as_str(),
                Some(key) => found.get(key).unwrap_or_else(|| panic!("expect_{key} is not known")) == expected,
            };
            if !is_so {
                wrong.push(format!("{key} is not {expected}: {found:?} {counters:?} {reason:?}"));
            }
        }
        wrong
    }

    fn order(&mut self, kind: HoldKind, span: Option<Duration>, now: Timestamp) {
        let order = Order { kind, span, replace: false, reason: None, by: "ann".to_owned() };
        drop(self.breaker.order(order, now));
    }

    fn state(&self) -> &'static str {
        match self.breaker.state() {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half_open",
        }
    }
}

#[test]
fn every_table_goes_as_it_says() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../tests/cases/recovery.json")).expect("a list in JSON");
    let mut wrong = Vec::new();
    for case in &cases {
        let given = case["settings"].as_object().expect("settings");
        let settings = Settings::parse(|key| given.get(key.name()).and_then(Value::as_str));
        let settings = settings.unwrap_or_else(|fault| panic!("{}: {fault:?}", case["id"]));
        let mut replay = Replay { breaker: Breaker::new(7), settings, permits: HashMap::new() };
        for (index, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
            let of_step = replay.step(step);
            wrong.extend(of_step.into_iter().map(|what| format!("{}, step {index}: {what}", case["id"])));
        }
    }
    assert!(cases.len() >= 14 && wrong.is_empty(), "\n{}", wrong.join("\n"));
}
