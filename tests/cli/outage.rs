//! An outage from beginning to end: curl against a server that answers with errors. The README tells, and tests, that
//! of a server that is gone.
//! See cb-contract(7) 1.4 to 1.7, 3.17 and 3.18.

use std::fs;

use crate::support::server::{Answer, Server};
use crate::support::{Run, Sandbox, have};

/// A sandbox in which every start of curl is counted.
struct Outage {
    sandbox: Sandbox,
    server: Server,
}

impl Outage {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.script("curl", "echo started >>\"$HOME/curl.log\"\nexec /usr/bin/curl \"$@\"");
        Self { sandbox, server: Server::start() }
    }

    /// `cb run -n api [options] -- curl -s --fail URL`
    fn run(&self, options: &[&str]) -> Run {
        let url = self.server.url();
        let curl = ["--", "curl", "-s", "--fail", &url];
        self.sandbox.cb(["run", "-n", "api"].iter().chain(options).chain(&curl))
    }

    /// How often curl was started, and how often the server answered.
    fn counts(&self) -> (usize, usize) {
        let log = fs::read_to_string(self.sandbox.home().join("curl.log"));
        (log.map_or(0, |text| text.lines().count()), self.server.answered())
    }
}

#[test]
fn a_server_that_answers_503_is_left_alone_until_it_does_not() {
    if !have("curl") {
        return;
    }
    let outage = Outage::new();
    let sandbox = &outage.sandbox;
    outage.run(&[]).stdout("ok\n").run();
    outage.server.answers(Answer::of(503, "sorry\n"));
    for _ in 0..4 {
        outage.run(&[]).code(22).run();
    }
    outage
        .run(&[])
        .code(22)
        .stderr_like(
            "cb: api: opened: 5 failures in a row: exit 22; next try in 30s (<time>), or now with 'cb reset api'\n",
        )
        .run();
    assert_eq!(outage.counts(), (6, 6));
    outage.run(&[]).code(75).run();
    outage
        .run(&["-v"])
        .code(75)
        .stderr_like(
            "cb: api: refused, it is open (5 failures in a row: exit 22); next try in <span> (<time>), \
             or now with 'cb reset api'\n",
        )
        .run();
    sandbox.cb(["check", "api"]).code(75).run();
    assert_eq!(outage.counts(), (6, 6), "curl was not started");

    // The cool-down is over, the server is not back: one probe, and it is open again, in silence.
    sandbox.shift("api", 30_000);
    outage.run(&[]).code(22).run();
    assert_eq!(sandbox.state("api"), "open");
    outage.run(&[]).code(75).run();
    assert_eq!(outage.counts(), (7, 7), "it was one probe");
    sandbox.shift("api", 30_000);
    outage
        .run(&["-v"])
        .code(22)
        .stderr_like(
            "cb: api: this run is a probe\n\
             cb: api: open again: probe failed: exit 22; next try in 30s (<time>), or now with 'cb reset api'\n",
        )
        .run();
    assert_eq!(outage.counts(), (8, 8));

    outage.server.answers(Answer::of(200, "ok\n"));
    outage.run(&[]).code(75).run();
    assert_eq!(outage.counts(), (8, 8), "nobody asks before the cool-down is over");
    sandbox.shift("api", 30_000);
    outage.run(&[]).stdout("ok\n").stderr("cb: api: closed again: probe succeeded\n").run();
    outage.run(&[]).stdout("ok\n").run();
    let totals = &sandbox.status("api")["totals"];
    assert_eq!(totals["refused"], 4);
    assert_eq!(totals["opened"], 3);
}
