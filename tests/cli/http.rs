//! `--http`: what a run counts as by the HTTP answers whose headers its command writes (cb-contract(7) 2.16 to 2.19).

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::support::server::{Answer, Server};
use crate::support::strace::can_trace;
use crate::support::{CB, Run, Sandbox, have};

/// A run of breaker `a` whose command writes this, where `\r`, `\n` and `\0` are what printf makes of them, and exits so.
fn writes(sandbox: &Sandbox, options: &[&str], headers: &str, code: i32) -> Run {
    let script = r#"printf '%b' "$0" >&3; exit "$1""#;
    let code_text = code.to_string();
    let words = ["run", "-n", "a", "--http", "--threshold", "100"].into_iter().chain(options.iter().copied());
    sandbox.cb(words.chain(["--", "sh", "-c", script, headers, &code_text])).code(code)
}

/// What the last run counted as.
#[track_caller]
fn counted_as(sandbox: &Sandbox) -> String {
    sandbox.status("a")["last"]["outcome"].as_str().expect("a word").to_owned()
}

#[test]
fn the_last_status_decides() {
    let sandbox = Sandbox::new();
    for (headers, code, outcome) in [
        ("HTTP/1.1 503 Out\r\n\r\n", 22, "failure"),
        ("HTTP/1.1 503 Out\r\n\r\n", 0, "failure"),
        ("HTTP/2 429 \r\n\r\n", 0, "failure"),
        ("HTTP/1.1 408 Slow\r\n\r\n", 22, "failure"),
        ("HTTP/1.1 404 None\r\n\r\n", 22, "success"),
        ("HTTP/1.1 404 None\r\n\r\n", 0, "success"),
        ("HTTP/1.1 401 Who\r\n\r\n", 75, "success"),
        ("HTTP/1.1 600 Odd\r\n\r\n", 0, "failure"),
        // Below 400 the exit code counts.
        ("HTTP/1.1 200 OK\r\n\r\n", 0, "success"),
        ("HTTP/1.1 200 OK\r\n\r\n", 18, "failure"),
        ("HTTP/1.1 399 OK\r\n\r\n", 75, "ignored"),
        ("HTTP/1.1 100 Continue\r\n\r\n", 52, "failure"),
        // Of several the last, whoever wrote it.
        ("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 503 Out\r\n\r\n", 0, "failure"),
        ("HTTP/1.1 503 Out\r\n\r\nHTTP/2 200 \r\n\r\n", 0, "success"),
        ("\\0\\0\\0 \t HTTP/1.1 502 Bad\n", 0, "failure"),
        // What looks like a status and is none, counts as no status.
        ("HTTP/1.1 503 Out\r\n\r\nHTTP/1.1 banana\r\n", 0, "success"),
        ("HTTP/1.1 503 Out\r\n\r\nHTTP/1.1 5033\r\n", 7, "failure"),
        ("no status at all: HTTP/1.1 503\n", 0, "success"),
        ("", 0, "success"),
        ("", 22, "failure"),
    ] {
        writes(&sandbox, &[], headers, code).run();
        assert_eq!(counted_as(&sandbox), outcome, "{headers:?} {code}");
    }
}

#[test]
fn a_list_and_a_limit_go_before_the_status_and_a_stop_before_all() {
    let sandbox = Sandbox::new();
    let (out, none) = ("HTTP/1.1 503 Out\r\n\r\n", "HTTP/1.1 404 None\r\n\r\n");
    for (options, headers, code, outcome) in [
        (["--success-codes", "22"], out, 22, "success"),
        (["--ignore-codes", "0"], out, 0, "ignored"),
        (["--failure-codes", "22"], none, 22, "failure"),
        // The list of failures changes what is in no list, but the status says more.
        (["--failure-codes", "7"], out, 22, "failure"),
        (["--failure-codes", "7"], none, 22, "success"),
        (["--failure-codes", "7"], "", 22, "ignored"),
    ] {
        writes(&sandbox, &options, headers, code).run();
        assert_eq!(counted_as(&sandbox), outcome, "{options:?} {headers:?} {code}");
    }
    let script = "printf 'HTTP/1.1 404 None\\r\\n' >&3; exec sleep 60";
    let run = ["run", "-n", "a", "--http", "--timeout", ".1", "--", "sh", "-c", script];
    sandbox.cb(run).code(124).run();
    assert_eq!(counted_as(&sandbox), "failure");
    let listed = [&["run", "--success-codes", "timeout"], &run[1..]].concat();
    sandbox.cb(listed).code(124).run();
    assert_eq!(counted_as(&sandbox), "success");

    let script = "printf 'HTTP/1.1 503 Out\\r\\n' >&3; kill -INT $PPID; exec sleep 60";
    sandbox.cb(["run", "-n", "a", "--http", "--", "sh", "-c", script]).code(130).run();
    assert_eq!(counted_as(&sandbox), "ignored");
}

#[test]
fn the_reason_says_the_status() {
    let sandbox = Sandbox::new();
    let opened = "cb: a: opened: 1 failure in a row: HTTP 503; next try in 30s (TIME), or now with 'cb reset a'\n";
    writes(&sandbox, &["--threshold", "1"], "HTTP/2 503 \r\n", 22).stderr_timeless(opened).run();
    let last = &sandbox.status("a")["last"];
    assert_eq!((&last["http_status"], &last["exit_code"]), (&503.into(), &22.into()));
    sandbox.cb(["status"]).stdout_has("HTTP 503, ").run();
    sandbox.cb(["reset", "a"]).run();
    writes(&sandbox, &["--threshold", "1"], "HTTP/2 200 \r\n", 18).stderr_has("1 failure in a row: exit 18;").run();
    assert_eq!(sandbox.status("a")["last"]["http_status"], 200);
    sandbox.cb(["reset", "a"]).run();
    let trips = ["--trip-codes", "22"];
    writes(&sandbox, &trips, "HTTP/2 404 \r\n", 22).stderr_has("opened: a trip code: exit 22;").run();
}

#[test]
fn the_command_has_one_descriptor_more_open_for_appending_and_empty() {
    // It looks before it opens anything itself.
    let child = r#"for fd in {0..255}; do [ -e /proc/$$/fd/$fd ] && list+="$fd "; done
        echo "$list"; readlink "/proc/$$/fd/$FD"; grep ^flags: "/proc/$$/fdinfo/$FD"; wc -c <"/proc/$$/fd/$FD""#;
    let sandbox = Sandbox::new();
    sandbox.program("child", &format!("#!/bin/bash\n{{ {child}; }} >list\n"));
    let seen = |wrapper: &str, fd: &str, closing: &str| {
        let script = format!("{wrapper} child 7</dev/null 200>/dev/null {closing}");
        sandbox.bash(&script).env("FD", fd).any_stderr().run();
        fs::read_to_string(sandbox.work().join("list")).expect("the list")
    };
    for closing in ["", "<&-", "2>&-", "<&- >&- 2>&-"] {
        // One that is there anyway, to compare.
        let expected = |fd: &str| {
            let theirs = seen("env", "7", &format!("{closing} {fd}>/dev/null"));
            theirs.lines().next().expect("a list").to_owned()
        };
        for (option, fd) in [("--http", "3"), ("--http=9", "9"), ("--http=true", "3")] {
            for probe in [false, true] {
                if probe {
                    sandbox.cb(["-q", "trip", "x", "--for", "0"]).run();
                }
                let text = seen(&format!("cb run -q -n x {option}"), fd, closing);
                // Not a place in a file that others could find; O_RDWR | O_APPEND | O_LARGEFILE.
                let file = "/memfd:cb-http (deleted)\nflags:\t0102002\n0\n";
                assert_eq!(text, format!("{}\n{file}", expected(fd)), "{option} {closing}");
            }
        }
        assert_eq!(seen("cb run -q -n x", "7", closing), seen("env", "7", closing), "without there is none");
        assert_eq!(seen("cb run -q -n x --http=false", "7", closing), seen("env", "7", closing));
    }
    assert_eq!(crate::support::names_in(&sandbox.state_dir()), ["x.json"], "nothing is on a disk");
}

#[test]
fn neither_a_hook_nor_a_fallback_nor_another_command_finds_it() {
    let sandbox = Sandbox::new();
    sandbox.script("list", r#"readlink "/proc/$$/fd/"* | grep memfd | sort -u >"$HOME/$1"; true"#);
    let seen = |by: &str| fs::read_to_string(sandbox.home().join(by)).expect("it was run");
    let options = ["--threshold", "1", "--on-change", "list hook", "--fallback", "list fallback"];
    writes(&sandbox, &options, "HTTP/1.1 503 Out\r\n", 22).stderr_has("cb: a: opened: ").run();
    writes(&sandbox, &options, "never", 0).run();
    assert_eq!((seen("hook"), seen("fallback")), (String::new(), String::new()));
    sandbox.cb(["run", "-n", "b", "--http", "--", "list", "command"]).run();
    assert_eq!(seen("command"), "/memfd:cb-http (deleted)\n");
}

#[test]
fn a_descriptor_that_is_in_use_is_an_error_of_an_option_and_a_warning_of_the_configuration() {
    let sandbox = Sandbox::new();
    let run = |options: &str, redirections: &str| {
        sandbox.bash(&format!("exec cb run -n a {options} -- sh -c 'echo ran' {redirections}"))
    };
    let in_use = |number: u8, cure: &str| format!("cb: --http: descriptor {number} is in use already; {cure}\n");
    run("--http", "3>taken").code(125).stderr(in_use(3, "write --http=4")).run();
    run("--http=4", "3>taken 4</dev/null 5>&1").code(125).stderr(in_use(4, "write --http=6")).run();
    run("--http=9", "9>taken").code(125).stderr(in_use(9, "write --http=3")).run();
    let all = "3>x 4>x 5>x 6>x 7>x 8>x 9>x";
    let none = "all from 3 to 9 are; close one for cb, as 7>&- does";
    run("--http=7", all).code(125).stderr(in_use(7, none)).run();
    run("--http", "3>taken 3>&-").stdout("ran\n").run();
    assert_eq!(sandbox.status("a")["totals"]["admitted"], 1, "nothing was started");

    let config = sandbox.configure("[breakers.a]\n\nhttp = true\n");
    let warning = |cure: &str| {
        let path = config.display();
        format!("cb: a: {path}:3: http: descriptor 3 is in use already, so the run is judged without; {cure}\n")
    };
    let script = "printf 'HTTP/1.1 503 Out\\n' >&3";
    for (redirections, cure) in [("3>taken", "write http = 4"), (all, &none.replace('7', "3"))] {
        let line = format!("exec cb run -n a -- sh -c \"{script}\" {redirections}");
        sandbox.bash(&line).stderr(warning(cure)).run();
        assert_eq!(counted_as(&sandbox), "success", "it is judged without");
    }
    assert_eq!(fs::read_to_string(sandbox.work().join("taken")).expect("a file"), "HTTP/1.1 503 Out\n");
    sandbox.bash(&format!("exec cb run -n a -- sh -c \"{script}\"")).run();
    assert_eq!(counted_as(&sandbox), "failure", "of the configuration too");
    // A run within a run.
    sandbox
        .cb(["run", "-n", "b", "--http", "--", CB, "run", "-n", "a", "--http", "--", "true"])
        .code(125)
        .stderr(in_use(3, "write --http=4"))
        .run();
    sandbox.cb(["run", "-n", "b", "--http", "--", CB, "run", "-n", "a", "--http=4", "--", "true"]).run();
}

#[test]
fn where_no_file_in_memory_is_to_be_had_it_is_nothing() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    let script = r#"readlink "/proc/$$/fd/3"; printf 'HTTP/1.1 503 Out\r\n' >&3"#;
    let lost = "cb: a: no file in memory is to be had, so what is written for --http is lost\n";
    for (error, volume, said) in
        [("ENOSYS", "-v", lost), ("EMFILE", "-q", ""), ("EPERM", "-q", ""), ("EACCES", "-q", "")]
    {
        for closing in ["", "<&- 2>&-"] {
            let script = format!(
                "exec strace -qqq -o /dev/null -e trace=memfd_create -e inject=memfd_create:error={error} \
                 cb run {volume} -n a --http -- sh -c '{}' {closing}",
                script.replace('\'', r"'\''")
            );
            let run = sandbox.bash(&script).stdout("/dev/null\n");
            if closing.is_empty() {
                run.stderr(said).run()
            } else {
                run.any_stderr().run()
            };
            assert_eq!(counted_as(&sandbox), "success", "{error}: by the exit code");
        }
    }
    // A kernel that does not know how to forbid execution.
    let script = "exec strace -qqq -o /dev/null -e trace=memfd_create -e inject=memfd_create:error=EINVAL:when=1 \
        cb run -n a --http -- sh -c 'printf \"HTTP/1.1 503 Out\\n\" >&3'";
    sandbox.bash(script).run();
    assert_eq!(counted_as(&sandbox), "failure");
}

#[test]
fn of_much_the_beginning_and_the_end_are_read() {
    let sandbox = Sandbox::new();
    let run = |script: &str| {
        sandbox.cb(["run", "-n", "a", "--http", "--threshold", "100", "--", "bash", "-c", script]).run();
        counted_as(&sandbox)
    };
    let many = |bytes: u32| format!("yes 'X-Filler: {}' | head -c {bytes} >&3", "y".repeat(50));
    let (good, bad) = ("echo HTTP/1.1 200 OK >&3", "echo HTTP/1.1 503 Out >&3");
    for bytes in [65_000, 131_000, 140_000, 1_000_000] {
        assert_eq!(run(&format!("{good}; {}; echo >&3; {bad}", many(bytes))), "failure", "{bytes}");
        assert_eq!(run(&format!("{bad}; {}", many(bytes))), "failure", "{bytes}");
        assert_eq!(run(&format!("{bad}; {}; echo >&3; {good}", many(bytes))), "success", "{bytes}");
    }
    // What begins exactly with the last 64 KiB is in them, and a line that is cut is none.
    let rest = 65_536 - "HTTP/1.1 503 Out\n".len();
    assert_eq!(run(&format!("{}; echo >&3; {bad}; head -c {rest} /dev/zero >&3", many(200_000))), "failure");
    let cut = format!("{good}; {}; printf 'xHTTP/1.1 503 Out\\n' >&3; head -c {rest} /dev/zero >&3", many(200_000));
    assert_eq!(run(&cut), "success");
    // Gigabytes, of which nothing is in memory.
    assert_eq!(run(&format!("{good}; truncate -s 8G /dev/fd/3; echo >&3; {bad}")), "failure");
    assert_eq!(run("head -c 300000 /dev/urandom >&3"), "success", "garbage says nothing");
    assert_eq!(run("exec 3>&-"), "success");
}

#[test]
fn nobody_who_still_has_it_open_is_waited_for() {
    let sandbox = Sandbox::new();
    // What stays behind writes another status once the run is over.
    let behind = "read -r line; printf 'HTTP/1.1 200 OK\\n' >&3; echo done >behind";
    let script = format!("printf 'HTTP/1.1 503 Out\\n' >&3; exec 4<&0; (exec <&4 >/dev/null 2>&1; {behind}) & exit 0");
    let words = ["run", "-n", "a", "--http", "--threshold", "100", "--", "sh", "-c", &script];
    let run = sandbox.cb(words).with(|command| {
        command.stdin(Stdio::piped());
    });
    let mut run = run.spawn();
    let input = run.stdin.take().expect("a pipe");
    assert!(run.wait().expect("it ends").success(), "while the other still has it open");
    assert_eq!(counted_as(&sandbox), "failure");
    let behind = sandbox.work().join("behind");
    assert!(!behind.exists());
    drop(input);
    while !behind.exists() {
        std::thread::yield_now();
    }
    assert_eq!(counted_as(&sandbox), "failure");
}

#[test]
fn the_kill_switch_and_a_run_without_a_guard_leave_the_descriptor() {
    let sandbox = Sandbox::new();
    let script = r#"readlink "/proc/$$/fd/3""#;
    let run =
        || sandbox.cb(["run", "-n", "a", "--http", "--", "sh", "-c", script]).stdout("/memfd:cb-http (deleted)\n");
    run().env("CB_DISABLED", "1").run();
    assert!(!sandbox.state_dir().exists());
    // It reads no configuration, so only an option gives the command the file.
    sandbox.configure("[defaults]\nhttp = true\n");
    let of_file = || sandbox.cb(["run", "-n", "a", "--", "sh", "-c", script]);
    of_file().env("CB_DISABLED", "1").code(1).run();
    of_file().stdout("/memfd:cb-http (deleted)\n").run();
    run().env("CB_STATE_DIR", "/dev/null/x").stderr_has("cb: a: unguarded: ").run();
    run().run();
}

#[test]
fn an_answer_alone_is_a_rule_by_which_it_opens() {
    let sandbox = Sandbox::new();
    writes(&sandbox, &["--threshold", "0"], "HTTP/1.1 500 Out\n", 0).run();
    sandbox.cb(["run", "-n", "a", "--threshold", "0", "--", "true"]).code(125).stderr_has("could never open").run();
    sandbox.configure("[defaults]\nthreshold = 0\nhttp = 4\n");
    sandbox.cb(["config", "a"]).stdout_has("http             4                    defaults, line 3").run();
    sandbox.cb(["run", "-n", "a", "--", "sh", "-c", "echo HTTP/1.1 503 >&4"]).run();
    assert_eq!(counted_as(&sandbox), "failure");
    sandbox.cb(["allow", "a"]).any_stdout().run();
    sandbox.cb(["check", "a"]).run();
}

#[test]
fn what_is_no_descriptor_is_told() {
    let sandbox = Sandbox::new();
    for wrong in ["2", "10", "", "yes"] {
        let said = format!("cb: --http: '{wrong}' is neither true nor false nor a descriptor from 3 to 9\n");
        let option = format!("--http={wrong}");
        let run = sandbox.cb(["run", "-n", "a", &option, "--", "true"]).code(125);
        if wrong.is_empty() {
            run.stderr_has("--http").run()
        } else {
            run.stderr(said).run()
        };
    }
    let lost = "cb: '--http 4' would run the command '4'; write --http=4\n";
    sandbox.cb(["run", "-n", "a", "--http", "4", "--", "true"]).code(125).stderr(lost).run();
    sandbox.cb(["run", "-n", "a", "--http", "4"]).code(125).stderr(lost).run();
    sandbox.cb(["run", "-n", "a", "--http", "--", "4"]).code(127).any_stderr().run();
    let config = sandbox.configure("[defaults]\nhttp = 2\n");
    let said =
        format!("cb: {}:2: http: '2' is neither true nor false nor a descriptor from 3 to 9\n", config.display());
    sandbox.cb(["run", "-n", "a", "--", "true"]).code(125).stderr(said).run();
}

#[test]
fn curl_writes_what_a_server_says() {
    if !have("curl") {
        return;
    }
    let sandbox = Sandbox::new();
    let server = Server::start();
    let url = server.url();
    let curl = |options: &str, code: i32| {
        let script =
            format!("exec cb run -n a --http --threshold 100 -- curl -sS {options} -D /dev/fd/3 -o /dev/null {url}");
        sandbox.bash(&script).code(code).any_stderr().run();
        let last = &sandbox.status("a")["last"];
        (last["outcome"].as_str().expect("a word").to_owned(), last["http_status"].as_u64())
    };
    let success = |status| ("success".to_owned(), Some(status));
    let failure = |status| ("failure".to_owned(), Some(status));
    assert_eq!(curl("", 0), success(200));
    for (status, bad) in [(404, false), (401, false), (408, true), (429, true), (500, true), (503, true)] {
        server.answers(Answer::of(status, "no"));
        let expected = if bad { failure(status.into()) } else { success(status.into()) };
        assert_eq!(curl("", 0), expected);
        assert_eq!(curl("-f", 22), expected);
    }
    // A redirection, and what it leads to.
    let moved = || Answer(302, format!("Location: {url}\r\n"), String::new());
    server.answers_first([moved()]);
    assert_eq!(curl("-L", 0), failure(503));
    server.answers(Answer::of(200, "yes"));
    server.answers_first([moved()]);
    assert_eq!(curl("-L", 0), success(200));
    server.answers_first([moved()]);
    assert_eq!(curl("", 0), success(302));
    // Two in one call: the first empties the file, the second appends to it.
    let two = format!("{url} -o /dev/null");
    server.answers_first([Answer::of(503, "")]);
    assert_eq!(curl(&two, 0), success(200));
    server.answers_first([Answer::of(200, ""), Answer::of(503, "")]);
    assert_eq!(curl(&two, 0), failure(503));
    // Two calls in one run, of which the second empties it again.
    server.answers_first([Answer::of(503, ""), Answer::of(200, "")]);
    let call = format!("curl -sS -D /dev/fd/3 {url}");
    let script = format!("exec cb run -n a --http --threshold 100 -- sh -c '{call} && {call}'");
    sandbox.bash(&script).run();
    assert_eq!(counted_as(&sandbox), "success");
    server.answers(Answer(429, format!("X-Filler: {}\r\n", "y".repeat(60_000)), "no".to_owned()));
    assert_eq!(curl("-f", 22), failure(429));
    server.answers(Answer(429, format!("X-Filler: {}\r\n", "y".repeat(1_000)).repeat(90), "no".to_owned()));
    assert_eq!(curl("-f", 22), failure(429));
}

#[test]
fn what_is_written_is_gone_with_the_run() {
    let sandbox = Sandbox::new();
    writes(&sandbox, &[], "HTTP/1.1 503 secret\r\nSet-Cookie: secret\r\n", 0).run();
    let mut all = String::new();
    for name in crate::support::names_in(&sandbox.state_dir()) {
        let mut file = fs::File::open(sandbox.state_dir().join(name)).expect("a file");
        file.read_to_string(&mut all).expect("text");
    }
    assert!(all.contains("\"a\"") && !all.contains("secret"), "{all}");
}

/// What is said of an opening for so long.
fn opened(why: &str, next: &str) -> String {
    format!("cb: a: opened: {why}; next try in {next} (TIME), or now with 'cb reset a'\n")
}

#[test]
fn a_retry_after_opens_at_once_for_as_long_as_it_says() {
    let sandbox = Sandbox::new();
    let dated = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: ";
    for (status, headers, away, next) in [
        (429, "Retry-After: 20".to_owned(), "20s", "20s"),
        (503, "retry-after: 20".to_owned(), "20s", "20s"),
        (404, "Retry-After: 3600".to_owned(), "1h", "1h"),
        (429, "retry-after-ms: 1500\r\nretry-after: 2".to_owned(), "1s 500ms", "2s"),
        (429, format!("{dated}Sun, 06 Nov 1994 08:50:00 GMT"), "23s", "23s"),
        (429, format!("{dated}Sunday, 06-Nov-94 08:50:00 GMT"), "23s", "23s"),
        (429, format!("{dated}Sun Nov  6 08:50:00 1994"), "23s", "23s"),
        // At most an hour, as also a Unix time in place of seconds.
        (429, "Retry-After: 7200".to_owned(), "1h", "1h"),
        (429, "Retry-After: 1795000000".to_owned(), "1h", "1h"),
        (429, "Retry-After: 18446744073709551617".to_owned(), "1h", "1h"),
    ] {
        let text = format!("HTTP/1.1 {status} No\r\n{headers}\r\n\r\n");
        for code in [0, 22, 75] {
            let said = opened(&format!("HTTP {status}, retry after {away}"), next);
            writes(&sandbox, &[], &text, code).stderr_timeless(said).run();
            sandbox.cb(["reset", "a"]).run();
        }
    }
    let text = "HTTP/1.1 429 No\r\nRetry-After: 7200\r\n";
    let said = opened("HTTP 429, retry after 1h 30m", "1h 30m");
    writes(&sandbox, &["--max-retry-after", "90m"], text, 0).stderr_timeless(said).run();
    sandbox.cb(["reset", "a"]).run();
    // From the clock, where the answer has no date.
    let date = sandbox.command("date", ["-u", "-d", "+20 minutes", "+%a, %d %b %Y %T GMT"]).any_stdout().run();
    let date = String::from_utf8(date.stdout).expect("text");
    let text = format!("HTTP/1.1 429 No\r\nRetry-After: {}\r\n", date.trim());
    writes(&sandbox, &[], &text, 0).stderr_has("opened: HTTP 429, retry after 19m ").run();
    sandbox.cb(["reset", "a"]).run();

    for useless in ["0", "-5", "soon", "", "Sun, 06 Nov 1994 08:49:37 GMT", "1h"] {
        let text = format!("HTTP/1.1 429 No\r\nRetry-After: {useless}\r\n\r\nRetry-After: 20\r\n");
        writes(&sandbox, &[], &text, 0).run();
        assert_eq!(counted_as(&sandbox), "failure", "{useless:?}");
    }
    for fine in ["HTTP/1.1 302 Moved", "HTTP/1.1 200 OK", "HTTP/1.1 429 No\r\nRetry-After: 20\r\n\r\nHTTP/2 200 "] {
        writes(&sandbox, &[], &format!("{fine}\r\nRetry-After: 20\r\n"), 0).run();
        assert_eq!(counted_as(&sandbox), "success", "{fine:?}");
    }
}

#[test]
fn a_retry_after_holds_for_every_failure_and_for_nothing_else() {
    let sandbox = Sandbox::new();
    let text = "HTTP/1.1 429 No\r\nRetry-After: 20\r\n";
    let said = || opened("HTTP 429, retry after 20s", "20s");
    writes(&sandbox, &["--failure-codes", "22"], text, 22).stderr_timeless(said()).run();
    sandbox.cb(["reset", "a"]).run();
    writes(&sandbox, &["--success-codes", "22"], text, 22).run();
    writes(&sandbox, &["--ignore-codes", "22"], text, 22).run();
    assert_eq!(sandbox.state("a"), "closed");
    let script = "printf 'HTTP/1.1 503 No\\r\\nRetry-After: 20\\r\\n' >&3; exec sleep 60";
    let run = ["run", "-n", "a", "--http", "--timeout", ".1", "--", "sh", "-c", script];
    sandbox.cb(run).code(124).stderr_timeless(opened("HTTP 503, retry after 20s", "20s")).run();
    assert_eq!(sandbox.status("a")["last"]["timed_out"], true);
    sandbox.cb(["reset", "a"]).run();
    let script = script.replace("; exec", "; kill -INT $PPID; exec");
    sandbox.cb(["run", "-n", "a", "--http", "--", "sh", "-c", &script]).code(130).run();
    assert_eq!(sandbox.state("a"), "closed");
}

#[test]
fn a_probe_that_is_told_to_wait_opens_for_the_longer_of_both() {
    let sandbox = Sandbox::new();
    for (seconds, expected) in [(5, 30_000), (90, 90_000)] {
        sandbox.cb(["-q", "trip", "a", "--for", "0"]).run();
        writes(&sandbox, &[], &format!("HTTP/1.1 429 No\r\nRetry-After: {seconds}\r\n"), 0).run();
        let status = sandbox.status("a");
        assert_eq!(status["state"], "open");
        let left = status["retry_in_ms"].as_u64().expect("a number");
        assert!(left <= expected && left > expected - 20_000, "{left}");
    }
}

#[test]
fn of_runs_that_are_told_at_once_the_longest_holds() {
    let sandbox = Sandbox::new();
    let script = r#"echo started; read -r seconds; printf 'HTTP/1.1 429 No\nRetry-After: %s\n' "$seconds" >&3"#;
    let begin = || sandbox.cb(["run", "-n", "a", "--http", "--", "sh", "-c", script]).begin();
    let runs = [begin(), begin(), begin(), begin()];
    let mut longest = 0;
    for (run, seconds) in runs.into_iter().zip([60, 600, 30, 1200]) {
        let mut run = run;
        run.release(seconds);
        assert!(run.wait().status.success());
        longest = longest.max(u64::try_from(seconds).expect("small"));
        let left = sandbox.status("a")["retry_in_ms"].as_u64().expect("a number") / 1000;
        assert!(left <= longest && left > longest - 25, "{left} after {seconds}");
    }
    assert_eq!(sandbox.status("a")["totals"]["late"], 3);
}

#[test]
fn curl_passes_on_for_how_long_a_server_wants_to_be_left_alone() {
    if !have("curl") {
        return;
    }
    let sandbox = Sandbox::new();
    let server = Server::start();
    let script = format!("exec cb run -n a --http -- curl -fsSL -D /dev/fd/3 {}", server.url());
    let run = || sandbox.bash(&script);
    server.answers(Answer(429, "Retry-After: 120\r\n".to_owned(), "no".to_owned()));
    run().code(22).stderr_has("HTTP 429, retry after 2m; next try in 2m").run();
    let answered = server.answered();
    run().code(75).run();
    assert_eq!(server.answered(), answered, "it is left alone");
    sandbox.shift("a", 120_000);
    server.answers(Answer::of(200, "back\n"));
    run().stdout("back\n").stderr_has("cb: a: closed again after ").run();
    // The answer to a redirection is not the last one.
    server.answers_first([Answer(302, format!("Location: {}\r\nRetry-After: 5\r\n", server.url()), String::new())]);
    run().stdout("back\n").run();
    server.answers(Answer::of(503, "no"));
    for failure in 1..=5 {
        let run = run().code(22);
        if failure < 5 {
            run.any_stderr().run()
        } else {
            run.stderr_has("opened: 5 failures in a row: HTTP 503;").run()
        };
    }
}

#[test]
fn a_command_whose_last_answer_is_a_failure_is_not_healthy() {
    let sandbox = Sandbox::new();
    // Each runs on for a second after the moment at which it would be healthy.
    for (status, outcome, code) in [(404, "success", None), (503, "failure", Some(0))] {
        let script = format!("echo HTTP/1.1 {status} X >&3; exec sleep 4");
        sandbox.cb(["run", "-n", "a", "--http", "--healthy-after", "3s", "--", "sh", "-c", &script]).run();
        let last = &sandbox.status("a")["last"];
        assert_eq!((&last["outcome"], &last["exit_code"]), (&outcome.into(), &code.into()), "{status}");
        assert_eq!(last["http_status"], status);
    }
    assert_eq!(sandbox.status("a")["totals"]["late"], 0);
}
