//! An outage from its beginning to its end: curl against a server that stops and comes back.

use std::fs;

use crate::server::{Answer, Server};
use crate::support::{Sandbox, have};

/// A sandbox in which every start of curl is counted.
struct Outage {
    sandbox: Sandbox,
    server: Server,
    options: &'static [&'static str],
}

impl Outage {
    fn new(options: &'static [&'static str]) -> Self {
        let sandbox = Sandbox::new();
        sandbox.script("curl", "echo started >>\"$HOME/curl.log\"\nexec /usr/bin/curl \"$@\"");
        Self { sandbox, server: Server::start(), options }
    }

    /// `cb run -n api [options of cb] -- curl [options of curl] URL`
    fn run(&self, options: &[&str]) -> crate::support::Run {
        let url = self.server.url();
        let curl = ["--", "curl", "-s"].into_iter().chain(self.options.iter().copied()).chain([url.as_str()]);
        self.sandbox.cb(["run", "-n", "api"].into_iter().chain(options.iter().copied()).chain(curl))
    }

    /// How often curl was started.
    fn started(&self) -> usize {
        fs::read_to_string(self.sandbox.home().join("curl.log")).map_or(0, |text| text.lines().count())
    }

    /// From a breaker that five runs have opened to one that a probe has closed. `mend` brings the server back.
    fn recovers(mut self, code: i32, mend: impl FnOnce(&mut Server)) {
        let sandbox = &self.sandbox;
        let started = self.started();
        let answered = self.server.answered();

        self.run(&[]).code(75).run();
        self.run(&["-v"])
            .code(75)
            .stderr_like(format!(
                "cb: api: refused, it is open (5 failures in a row: exit {code}); next try in <span> (<time>), \
                 or now with 'cb reset api'\n"
            ))
            .run();
        sandbox.cb(["check", "api"]).code(75).run();
        assert_eq!((self.started(), self.server.answered()), (started, answered), "curl was not started");

        // The cool-down is over, the server is not back: one probe, and it is open again, in silence.
        sandbox.shift("api", 30_000);
        self.run(&[]).code(code).run();
        assert_eq!(self.started(), started + 1);
        assert_eq!(sandbox.state("api"), "open");
        self.run(&[]).code(75).run();
        assert_eq!(self.started(), started + 1, "it was one probe");
        sandbox.shift("api", 30_000);
        self.run(&["-v"])
            .code(code)
            .stderr_like(format!(
                "cb: api: this run is a probe\n\
                 cb: api: open again: probe failed: exit {code}; next try in 30s (<time>), \
                 or now with 'cb reset api'\n"
            ))
            .run();
        assert_eq!(self.started(), started + 2);

        mend(&mut self.server);
        self.run(&[]).code(75).run();
        assert_eq!(self.started(), started + 2, "nobody asks before the cool-down is over");
        self.sandbox.shift("api", 30_000);
        self.run(&[]).stdout("ok\n").stderr("cb: api: closed again: probe succeeded\n").run();
        self.run(&[]).stdout("ok\n").run();
        let totals = &self.sandbox.status("api")["totals"];
        assert_eq!(totals["refused"], 4);
        assert_eq!(totals["opened"], 3);
    }
}

#[test]
fn a_server_that_is_gone_is_left_alone_until_it_is_back() {
    if !have("curl") {
        return;
    }
    let mut outage = Outage::new(&[]);
    for _ in 0..2 {
        outage.run(&[]).stdout("ok\n").run();
    }
    outage.server.stop();
    for _ in 0..4 {
        outage.run(&[]).code(7).run();
    }
    outage
        .run(&[])
        .code(7)
        .stderr_like(
            "cb: api: opened: 5 failures in a row: exit 7; next try in 30s (<time>), or now with 'cb reset api'\n",
        )
        .run();
    assert_eq!(outage.started(), 7);
    outage.recovers(7, Server::come_back);
}

#[test]
fn a_server_that_answers_503_is_left_alone_until_it_does_not() {
    if !have("curl") {
        return;
    }
    let outage = Outage::new(&["--fail"]);
    outage.run(&[]).stdout("ok\n").run();
    outage.server.answers(Answer::of(503, ""));
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
    assert_eq!((outage.started(), outage.server.answered()), (6, 6));
    outage.recovers(22, |server| server.answers(Answer::of(200, "ok\n")));
}
