//! `--failure-output`: cb-contract(7) 2.1, 3.1.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::terminal::Terminal;
use crate::support::{Sandbox, have, pick};

/// A run of a script for the shell whose output is looked at.
fn script(pattern: &str, script: &str) -> Vec<String> {
    ["run", "-n", "a", "--threshold", "100", "--failure-output", pattern, "--", "sh", "-c", script]
        .map(str::to_owned)
        .to_vec()
}

/// How many were successes, failures and ignored.
fn counts(sandbox: &Sandbox) -> serde_json::Value {
    pick(&sandbox.status("a"), ["totals.successes", "totals.failures", "totals.ignored"])
}

#[test]
fn a_line_that_matches_makes_a_success_a_failure() {
    let sandbox = Sandbox::new();
    let run = |text: &str| sandbox.cb(script("^error: rate.limit", &format!("printf '{text}'")));
    run("error: rate limit\\n").stdout("error: rate limit\n").run();
    assert_eq!(counts(&sandbox), json!([0, 1, 0]));
    run("all is well\\n").stdout("all is well\n").run();
    run("no error: rate limit\\n").stdout("no error: rate limit\n").run();
    run("").run();
    assert_eq!(counts(&sandbox), json!([3, 1, 0]));
    run("one\\nerror: rate-limit").stdout("one\nerror: rate-limit").run();
    sandbox.cb(script("limit", "echo limit >&2")).stderr("limit\n").run();
    assert_eq!(counts(&sandbox), json!([3, 3, 0]));
    // What says "again later" or stands for no start is a failure too, and so is any other.
    for code in [1, 75, 127] {
        sandbox.cb(script("limit", &format!("echo limit; exit {code}"))).code(code).stdout("limit\n").run();
    }
    assert_eq!(counts(&sandbox), json!([3, 6, 0]));
    assert!(!String::from_utf8_lossy(&sandbox.bytes("a")).contains("limit"), "what matched is not stored");
}

#[test]
fn lists_and_a_stop_by_the_user_go_before_it() {
    let sandbox = Sandbox::new();
    let run = |lists: &[&str], code: i32| {
        let script = format!("echo limit; exit {code}");
        let head = ["run", "-n", "a", "--failure-output", "limit"];
        let tail = ["--", "sh", "-c", &script];
        let words = head.iter().chain(lists).chain(&tail);
        sandbox.cb(words).code(code).stdout("limit\n").any_stderr().run();
    };
    run(&["--success-codes", "0"], 0);
    run(&["--ignore-codes", "3"], 3);
    run(&["--failure-codes", "9"], 3);
    assert_eq!(counts(&sandbox), json!([1, 1, 1]));
    sandbox
        .cb(script("limit", "trap 'exit 3' INT; echo limit; kill -INT $PPID; while :; do sleep 0.01; done"))
        .code(3)
        .stdout("limit\n")
        .run();
    assert_eq!(counts(&sandbox), json!([1, 1, 2]));
}

#[test]
fn it_may_stand_in_the_configuration_and_an_empty_one_is_none() {
    let sandbox = Sandbox::new();
    sandbox.configure("[breakers.a]\nfailure-output = 'no quota'\nthreshold = 1\n");
    let run = |options: &[&str]| {
        let words =
            ["run", "-n", "a"].iter().chain(options).chain(&["--", "sh", "-c", "echo no quota; test -p /dev/fd/1"]);
        sandbox.cb(words).stdout("no quota\n")
    };
    run(&["--failure-output", ""]).run();
    run(&["--failure-output", "other"]).run();
    assert_eq!(sandbox.state("a"), "closed");
    run(&[])
        .stderr_timeless(
            "cb: a: opened: 1 failure in a row: output; next try in 30s (TIME), or now with 'cb reset a'\n",
        )
        .any_stderr()
        .run();
    assert_eq!(sandbox.state("a"), "open");
    let wrong = ["run", "-n", "a", "--failure-output", "a(b", "true"];
    sandbox
        .cb(wrong)
        .code(125)
        .stderr("cb: --failure-output: 'a(b' is not a regular expression: unclosed group\n")
        .run();
}

#[test]
fn the_output_is_passed_on_byte_for_byte() {
    let sandbox = Sandbox::new();
    // All bytes, far more than a pipe holds, and no line end at the end.
    let bytes: Vec<u8> = (0..=255_u8).cycle().take(3_000_001).collect();
    fs::write(sandbox.work().join("bytes"), &bytes).expect("a file");
    let output = sandbox.cb(script("nothing of it", "cat bytes")).any_stdout().run();
    assert!(output.stdout == bytes);
    let output = sandbox.cb(script("nothing of it", "cat bytes >&2")).any_stderr().run();
    assert!(output.stderr == bytes);
    // To a file too, and behind what is in it.
    sandbox
        .bash("echo first >out; cb run -n a --failure-output 'nothing of it' -- cat bytes >>out; tail -c 3000001 out | cmp - bytes")
        .run();
    assert_eq!(counts(&sandbox), json!([3, 0, 0]));
}

#[test]
fn what_is_written_to_one_open_file_stays_in_order() {
    let sandbox = Sandbox::new();
    let count = "for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done";
    let expected = (1..=9).fold(String::new(), |text, number| format!("{text}o{number}\ne{number}\n"));
    let line = format!("cb run -n a --failure-output x -- sh -c '{count}' 2>&1");
    sandbox.bash(&line).stdout(&expected).run();
    // Two files are two.
    let line = format!("cb run -n a --failure-output x -- sh -c '{count}' >out 2>err; wc -l <out; wc -l <err");
    sandbox.bash(&line).stdout("9\n9\n").run();
    let same = "cb run -n a --failure-output x -- sh -c 'test /proc/self/fd/1 -ef /proc/self/fd/2; echo $?'";
    sandbox.bash(&format!("{same} 2>&1")).stdout("0\n").run();
    sandbox.bash(&format!("{same} 2>err")).stdout("1\n").run();
}

#[test]
fn it_is_passed_on_at_once() {
    let sandbox = Sandbox::new();
    // The test reads this line, which is looked at when it ends, while the child waits.
    let run = sandbox.cb(script("ended", r#"echo started; read -r code; printf ended; exit "$code""#));
    let mut begun = run.begin();
    begun.release(0);
    assert_eq!(begun.wait().stdout, b"ended");
    assert_eq!(counts(&sandbox), json!([0, 1, 0]));
}

#[test]
fn what_is_closed_stays_closed_and_nothing_leaks() {
    let sandbox = Sandbox::new();
    let line = "cb run -n a --failure-output x -- sh -c 'for i in 0 1 2 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$i && printf $i; done >seen; :'";
    for (closed, open) in
        [("", "012"), (">&-", "012"), ("2>&-", "01"), (">&- 2>&-", "01"), ("<&- >&- 2>&-", "1"), ("<&-", "12")]
    {
        sandbox.bash(&format!("timeout --foreground 60 {line} {closed}")).run();
        let seen = fs::read_to_string(sandbox.work().join("seen")).expect("a file");
        // The redirection itself is 1.
        assert_eq!(seen, open, "{closed}");
    }
    let look = "cb run -n a --failure-output x -- sh -c 'test -e /dev/fd/1; echo $? >seen'";
    sandbox.bash(&format!("{look} >&-")).run();
    assert_eq!(fs::read_to_string(sandbox.work().join("seen")).expect("a file"), "1\n");
}

#[test]
fn who_reads_no_more_gives_the_command_sigpipe() {
    let sandbox = Sandbox::new();
    sandbox.unread("cb run -n a --failure-output x -- yes").code(141).run();
    sandbox.bash("set -o pipefail; cb run -n a --failure-output x -- yes | head -1").code(141).stdout("y\n").run();
    assert_eq!(counts(&sandbox), json!([0, 0, 2]), "as without it");
}

#[test]
fn what_cannot_be_written_is_said() {
    let sandbox = Sandbox::new();
    let told = "cb: a: could not pass on all of the output: No space left on device\n";
    let run = |code: i32| {
        let line =
            format!("cb run -n a --failure-output none -- sh -c 'echo text; echo done >file; exit {code}' >/dev/full");
        sandbox.bash(&line)
    };
    run(0).code(125).stderr(told).run();
    run(3).code(3).stderr(told).run();
    // The command has done what it does.
    assert_eq!(fs::read_to_string(sandbox.work().join("file")).expect("a file"), "done\n");
    assert_eq!(counts(&sandbox), json!([1, 1, 0]));
}

#[test]
fn nobody_waits_for_what_runs_on_in_the_background() {
    let sandbox = Sandbox::new();
    let command = "sleep 1000 & echo $! >pid; echo done";
    sandbox.cb(script("x", command)).stdout("done\n").run();
    let pid = fs::read_to_string(sandbox.work().join("pid")).expect("a number");
    sandbox.bash(&format!("kill {pid}")).run();
    // Nor for one that writes on and on.
    let command = "(trap '' PIPE; while echo more; do :; done 2>/dev/null) & echo done";
    let output = sandbox.cb(script("^done$", command)).any_stdout().run();
    assert!(String::from_utf8(output.stdout).expect("text").contains("done\n"));
    assert_eq!(counts(&sandbox), json!([1, 1, 0]));
}

#[test]
fn a_reader_that_stands_still_holds_up_no_limit_and_no_signal() {
    let sandbox = Sandbox::new();
    let begun = Instant::now();
    // Nobody reads the pipe, which is full at once.
    let line = "mkfifo pipe; exec 3<>pipe; cb run -n a --timeout 0.2 --failure-output x -- yes >pipe";
    sandbox.bash(line).code(124).run();
    let line = "exec 3<>pipe; cb run -n a --failure-output x -- sh -c 'kill -TERM $PPID; exec yes' >pipe";
    // The shell tells of it too.
    sandbox.bash(line).code(143).any_stderr().run();
    // One that has ended by itself has a limit too, until all is passed on.
    let line = "exec 3<>pipe; cb run -n a --timeout 0.2 --failure-output x -- head -c 200000 /dev/zero >pipe";
    let code = sandbox.bash(line).code(124).run().status.code();
    assert!(begun.elapsed() < Duration::from_secs(30), "{code:?}");
    // And one that reads late gets all of it.
    let line = "exec 3<>pipe; (cb run -n b --failure-output x -- head -c 200000 /dev/zero >pipe 3>&-; echo $? >code) &
        head -c 200000 <&3 | wc -c; wait; cat code";
    sandbox.bash(line).stdout("200000\n0\n").run();
}

#[test]
fn the_command_sees_no_terminal() {
    if !have("script") {
        return;
    }
    let sandbox = Sandbox::new();
    let line = "cb run -n a --failure-output x -- sh -c 'for i in 0 1 2; do test -t $i; echo $?; done'";
    let (status, seen) = Terminal::start(&sandbox, line).end();
    assert_eq!((status.code(), seen.as_str()), (Some(0), "0\n1\n1\n"));
}

#[test]
fn where_it_cannot_be_watched_the_command_runs_all_the_same() {
    if !have("strace") {
        return;
    }
    let sandbox = Sandbox::new();
    let line =
        "strace -f -qq -o /dev/null -e inject=CALL:error=EAGAIN cb run -n a --failure-output limit -- echo limit";
    for (call, why) in [("clone3", "Resource temporarily unavailable"), ("pipe2", "Resource temporarily unavailable")] {
        let told = format!("cb: a: the output is not looked at: {why}\n");
        sandbox.bash(&line.replace("CALL", call)).stdout("limit\n").stderr(told).run();
    }
    assert_eq!(counts(&sandbox), json!([2, 0, 0]));
}
