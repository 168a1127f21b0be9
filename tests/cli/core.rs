//! The six behaviours of the in-process breaker, across processes.

use crate::support::Sandbox;

#[test]
fn starts_closed() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    assert_eq!(sandbox.state("a"), "closed");
}

#[test]
fn opens_at_the_threshold_and_not_before() {
    let sandbox = Sandbox::new();
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    assert_eq!(sandbox.state("a"), "closed");
    sandbox.runs("a", &[], 1).stderr_has("cb: a: opened: 5 failures in a row: exit 1; next try in 30s (").run();
    assert_eq!(sandbox.state("a"), "open");
    sandbox.runs("a", &[], 0).code(75).run();
}

#[test]
fn a_success_clears_the_row() {
    let sandbox = Sandbox::new();
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    sandbox.exits("a", &[], 0);
    for _ in 0..4 {
        sandbox.exits("a", &[], 1);
    }
    assert_eq!(sandbox.state("a"), "closed");
    assert_eq!(sandbox.status("a")["consecutive_failures"], 4);
}
