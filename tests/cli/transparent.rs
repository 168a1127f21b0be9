//! `cb run` is transparent: a command finds what it would find under `env`, and ends as it would.
//! See cb-contract(7) 2.7, 3.1 to 3.7 and 3.24.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::support::namespace::may_unshare;
use crate::support::python::{check, python};
use crate::support::{CB, Run, Sandbox, have, linked_statically};

/// All ways to close some of the standard descriptors, and those that are left.
const CLOSINGS: [(&str, &str); 8] = [
    ("", "0 1 2"),
    ("<&-", "1 2"),
    (">&-", "0 2"),
    ("2>&-", "0 1"),
    ("<&- >&-", "2"),
    ("<&- 2>&-", "1"),
    (">&- 2>&-", "0"),
    ("<&- >&- 2>&-", ""),
];

/// Makes an executable copy, by a process of its own. If we wrote it, a child that another test is starting could hold
/// it open for writing too, and nobody could run it.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("install").args(["-D", "-m", "755"]).args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "could not install {}", to.display());
}

/// Makes a program, with this path from the directory in which commands start.
fn program(sandbox: &Sandbox, path: &str, text: &str) {
    let draft = sandbox.home().join("draft");
    fs::write(&draft, text).expect("a draft");
    copy(&draft, &sandbox.work().join(path));
}

/// The line about a command that cannot be run.
fn not_run(word: &str, why: &str) -> String {
    format!("cb: could not run '{word}': {why}\n")
}

#[test]
fn a_child_has_the_callers_descriptors_and_no_others() {
    // The child looks before it opens anything itself.
    let child = r#"for fd in {0..255}; do [ -e /proc/$$/fd/$fd ] && list+="$fd "; done; echo "$list$CB_PROBE" >list"#;
    let sandbox = Sandbox::new();
    for (closing, left) in CLOSINGS {
        let seen_under = |wrapper: &str| {
            let script = format!("{wrapper} bash -c \"$CHILD\" 7</dev/null 200>/dev/null {closing}");
            sandbox.bash(&script).env("CHILD", child).run();
            fs::read_to_string(sandbox.work().join("list")).expect("the list")
        };
        // The caller of the tests may have left some open, which the child must get too.
        let expected = seen_under("env");
        assert!(expected.starts_with(format!("{left} 7 ").trim_start()) && expected.contains(" 200 "), "{expected}");
        assert_eq!(seen_under("cb run -n x"), expected, "{closing}");
        assert_eq!(seen_under("cb run -n x --timeout 50"), expected, "{closing}");
        sandbox.cb(["-q", "trip", "x", "--for", "0"]).run();
        assert_eq!(seen_under("cb run -q -n x"), expected.replace('\n', "1\n"), "{closing}, a probe");
    }
}

#[test]
fn nothing_is_open_in_place_of_a_closed_descriptor() {
    let sandbox = Sandbox::new();
    // A new breaker and a used one.
    for _ in 0..2 {
        for (closed, open) in [("<&-", "1\n2\n"), ("2>&-", "0\n1\n"), ("<&- 2>&-", "1\n")] {
            let name = closed.replace(['<', '&', '>', ' '], "");
            let script = format!("exec cb run -n x{name} -- sh -c 'ls \"/proc/$PPID/fd\" | grep \"^[012]$\"' {closed}");
            sandbox.bash(&script).stdout(open).run();
        }
    }
}

#[test]
fn what_cb_says_never_lands_in_one_of_its_files() {
    for (closing, _) in CLOSINGS {
        let sandbox = Sandbox::new();
        let config = sandbox.home().join(".config/cb/config.toml");
        fs::create_dir_all(config.parent().expect("a directory")).expect("a directory for the configuration");
        fs::write(&config, "[defaults]\nthreshold = 1\n").expect("a configuration");
        for code in [3, 75, 75] {
            sandbox.bash(&format!("cb run -v -n x -- sh -c 'exit 3' {closing}")).code(code).any_stderr().run();
        }
        assert_eq!(sandbox.status("x")["totals"]["refused"], 2, "{closing}");
        assert_eq!(fs::read_to_string(&config).expect("the configuration"), "[defaults]\nthreshold = 1\n", "{closing}");
        let files: Vec<_> = fs::read_dir(sandbox.state_dir())
            .expect("the state")
            .map(|file| file.expect("a file").file_name())
            .collect();
        assert_eq!(files, ["x.json"], "{closing}");
    }
}

#[test]
fn the_state_is_not_locked_while_the_child_runs() {
    if !have("flock") {
        return;
    }
    let sandbox = Sandbox::new();
    let child = ["flock", "--nonblock", "--conflict-exit-code", "9"].map(OsString::from).into_iter();
    let child = child.chain([sandbox.state_file("x").into_os_string(), "echo".into(), "free".into()]);
    let run = || sandbox.cb(["run", "-q", "-n", "x"].map(OsString::from).into_iter().chain(child.clone()));
    run().stdout("free\n").run();
    sandbox.cb(["trip", "x", "--for", "0"]).run();
    run().stdout("free\n").run();
}

#[test]
fn arguments_may_hold_any_bytes() {
    let sandbox = Sandbox::new();
    let every_byte: Vec<u8> = (1..=255).collect();
    let words: Vec<Vec<u8>> = vec![
        every_byte,
        b"".to_vec(),
        b"--name".to_vec(),
        b"-n".to_vec(),
        b"--".to_vec(),
        b"-\xff".to_vec(),
        b" ".to_vec(),
        vec![b'x'; 100_000],
    ];
    for end_of_options in [true, false] {
        let options = ["run", "-n", "x"].into_iter().chain(end_of_options.then_some("--"));
        let command = options.chain(["printf", "%s\\0"]).map(OsString::from);
        let output = sandbox.cb(command.chain(words.iter().cloned().map(OsString::from_vec))).any_stdout().run();
        let expected: Vec<u8> = words.iter().flat_map(|word| word.iter().copied().chain([0])).collect();
        assert_eq!(output.stdout, expected);
    }
    // Many of them, too.
    let many: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let words = ["run", "-n", "x", "printf", "%s\n"].map(str::to_owned).into_iter().chain(many.iter().cloned());
    sandbox.cb(words).stdout(many.join("\n") + "\n").run();
}

#[test]
fn the_command_may_hold_any_bytes() {
    let sandbox = Sandbox::new();
    let name = OsString::from_vec(b"pro\xff\ngram".to_vec());
    program(&sandbox, "other", "#!/bin/sh\nexit 4\n");
    fs::rename(sandbox.work().join("other"), sandbox.work().join(&name)).expect("a name");
    let path = Path::new("./").join(&name).into_os_string();
    sandbox.cb(["run".into(), "-n".into(), "x".into(), path]).code(4).run();
}

#[test]
fn the_environment_is_the_callers_byte_by_byte() {
    check(
        r#"
# Python has no dictionary for an environment like this one: without names, with the same name twice.
libc = ctypes.CDLL(None, use_errno=True)
odd = [b"HOME=" + os.environb[b"HOME"], b"PATH=" + os.environb[b"PATH"], b"A=1", b"no name", b"", b"=x", b"A=2", b"B=\xff\n",
    b"CB_NAMED=1", b"CB_NAME", b"cb_name=2", b"XCB_NAME=3", b"CB_PROBER=4", b"A=1", b"LAST="]

def shown(command, environment):
    def change():
        strings = lambda words: (ctypes.c_char_p * (len(words) + 1))(*words, None)
        path = os.path.join(os.environ["HOME"], "bin/cb") if command[0] == "cb" else "/usr/bin/env"
        libc.execve(path.encode(), strings([word.encode() for word in command]), strings(environment))
    output = subprocess.run(["true"], preexec_fn=change, stdout=subprocess.PIPE, check=True).stdout
    return output.split(b"\0")

under_env = shown(["env", "cat", "/proc/self/environ"], odd)
same(under_env, odd + [b""])
under_cb = shown(["cb", "run", "-n", "x", "cat", "/proc/self/environ"], odd)
same(under_cb.count(b"CB_NAME=x"), 1)
under_cb.remove(b"CB_NAME=x")
same(under_cb, under_env)

# What an outer one has left is replaced, wherever and however often it stands.
left = [b"CB_NAME=outer", b"CB_PROBE=7", b"CB_NAME=", b"CB_PROBE="]
under_cb = shown(["cb", "run", "-n", "x", "cat", "/proc/self/environ"], left[:2] + odd + left[2:])
same(under_cb.count(b"CB_NAME=x"), 1)
under_cb.remove(b"CB_NAME=x")
same(under_cb, under_env)
"#,
    );
}

/// Runs a child that prints its variables of `cb`, sorted.
fn variables(sandbox: &Sandbox, options: &[&str]) -> Run {
    let child = ["--", "sh", "-c", "env | grep ^CB_ | sort"];
    sandbox.cb(["run", "-q", "-n", "x"].into_iter().chain(options.iter().copied()).chain(child))
}

#[test]
fn a_probe_is_told_that_it_is_one_and_others_are_not() {
    let sandbox = Sandbox::new();
    variables(&sandbox, &[]).stdout("CB_NAME=x\n").run();
    variables(&sandbox, &[]).env("CB_PROBE", "1").stdout("CB_NAME=x\n").run();
    variables(&sandbox, &[]).env("CB_PROBE", "1").env("CB_DISABLED", "1").stdout("CB_DISABLED=1\nCB_NAME=x\n").run();
    for inherited in ["", "7"] {
        sandbox.cb(["-q", "trip", "x", "--for", "0"]).run();
        variables(&sandbox, &[]).env("CB_PROBE", inherited).stdout("CB_NAME=x\nCB_PROBE=1\n").run();
    }
    variables(&sandbox, &[]).env("CB_PROBE", "1").stdout("CB_NAME=x\n").run();
}

#[test]
fn a_child_finds_the_places_that_were_named() {
    let sandbox = Sandbox::new();
    let work = sandbox.work();
    let work = work.display();
    fs::write(sandbox.work().join("c.toml"), "").expect("a configuration");
    variables(&sandbox, &["--state-dir", "s"]).stdout(format!("CB_NAME=x\nCB_STATE_DIR={work}/s\n")).run();
    variables(&sandbox, &["--config", "./c.toml"]).stdout(format!("CB_CONFIG={work}/c.toml\nCB_NAME=x\n")).run();
    // An option replaces an inherited path, and becomes absolute too, as the child may be in another directory.
    let both = variables(&sandbox, &["--state-dir", "s"]).env("CB_STATE_DIR", "other").env("CB_CONFIG", "c.toml");
    both.stdout(format!("CB_CONFIG={work}/c.toml\nCB_NAME=x\nCB_STATE_DIR={work}/s\n")).run();
    let inherited = |value| variables(&sandbox, &[]).env("CB_STATE_DIR", value);
    inherited("../work/s").stdout(format!("CB_NAME=x\nCB_STATE_DIR={work}/../work/s\n")).run();
    inherited("/dev/null/s").any_stderr().stdout("CB_NAME=x\nCB_STATE_DIR=/dev/null/s\n").run();
    variables(&sandbox, &[]).env("CB_STATE_DIR", "").stdout("CB_NAME=x\nCB_STATE_DIR=\n").run();
    assert!(!sandbox.work().join("other").exists());
    // So a child can trip its own breaker, wherever it goes.
    let child = ["run", "-n", "y", "--state-dir", "s", "sh", "-c", "cd /; cb trip \"$CB_NAME\""];
    let opened = "cb: y: opened: reported by the run; next try in 30s (TIME), or now with 'cb reset y'\n";
    sandbox.cb(child).stderr_timeless(opened).run();
    sandbox.cb(["run", "-n", "y", "--state-dir", "s", "true"]).code(75).run();
    // So can a child whose path came from the environment, also under the kill switch, and so can fallback and hook.
    let relative = |args: &[&str]| sandbox.cb(args).env("CB_STATE_DIR", "s").env("CB_CONFIG", "c.toml");
    let show = r#"cd /; echo "$CB_STATE_DIR $CB_CONFIG"; cb config y | head -1"#;
    let seen = format!("{work}/s {work}/c.toml\nthreshold        5                    built in\n");
    relative(&["run", "-n", "z", "sh", "-c", show]).stdout(&seen).run();
    relative(&["run", "-n", "z", "sh", "-c", show]).env("CB_DISABLED", "1").stdout(&seen).run();
    relative(&["run", "-n", "y", "--fallback", show, "true"]).stdout(&seen).run();
    fs::write(sandbox.work().join("c.toml"), format!("[defaults]\non-change = '''{show}'''\n")).expect("a file");
    relative(&["reset", "y"]).stderr(&seen).run();
}

#[test]
fn a_child_is_the_process_that_it_would_be() {
    let sandbox = Sandbox::new();
    let child = r"
umask; pwd -P; nice; ulimit -Sa; ulimit -Ha
read -r _ _ _ _ group session terminal front _ </proc/$$/stat
echo $group $session $terminal $front
cat /proc/$$/cgroup /proc/$$/limits /proc/$$/oom_score_adj /proc/$$/personality
grep -E '^(Umask|Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Cpus_allowed|Mems_allowed)' /proc/$$/status
";
    program(&sandbox, "child", child);
    let child = sandbox.work().join("child");
    let child = child.display();
    // The tests may run at a lower priority themselves.
    let nice = String::from_utf8(sandbox.bash("nice -n 5 nice").any_stdout().run().stdout).expect("text");
    let nice = nice.trim_end();
    for options in ["", "--timeout 0", "--foreground --timeout 50"] {
        let script = format!(
            "umask 027; ulimit -Sn 77; ulimit -St 1000; ulimit -Hc 0; cd /usr; \
            nice -n 5 env bash {child}; echo; nice -n 5 cb run -n x {options} -- bash {child}"
        );
        let output = sandbox.bash(&script).any_stdout().run();
        let output = String::from_utf8(output.stdout).expect("text");
        let (under_env, under_cb) = output.split_once("\n\n").expect("two parts");
        assert!(under_env.starts_with(&format!("0027\n/usr\n{nice}\n")), "{under_env}");
        assert!(under_env.contains("\nUmask:\t0027\n") && under_env.contains("\nMems_allowed:\t"), "{under_env}");
        assert_eq!(under_cb.trim_end(), under_env);
    }
}

#[test]
fn dispositions_and_masks_are_as_under_env() {
    check(
        r#"
every = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
names = "PIPE CHLD INT HUP XFSZ QUIT TERM TSTP TTIN TTOU USR1 ALRM SEGV CONT".split()
settings = [{}, {"ignore": every}, {"block": every}, {"ignore": every, "block": every}]
for number in [signal.Signals["SIG" + name] for name in names] + [signal.SIGRTMIN, signal.SIGRTMAX]:
    settings += [{"ignore": [number]}, {"block": [number]}]

def seen(command, setting, **options):
    process = start(command + ["cat", "/proc/self/status"], stdout=subprocess.PIPE, **setting, **options)
    lines = process.stdout.read().decode().splitlines()
    same(process.wait(), 0, (command, setting))
    return [line for line in lines if line.startswith(("SigP", "Shd", "SigB", "SigI", "SigC"))]

CB = ["cb", "run", "-q", "-n", "x"]
for setting in settings:
    expected = seen(["env"], setting)
    same(len(expected), 5)
    for options in [], ["--timeout", "50"]:
        same(seen(CB + options, setting), expected, (setting, options))

# A probe; and where what is said goes to a pipe that nobody reads.
expected = seen(["env"], settings[3])
subprocess.run(["cb", "trip", "x", "--for", "0"], check=True)
same(seen(CB, settings[3]), expected)
reader, writer = os.pipe()
os.close(reader)
subprocess.run(["cb", "trip", "x", "--for", "0"], check=True)
same(seen(["cb", "run", "-v", "-n", "x"], {}, stderr=writer), seen(["env"], {}))

# And where the state was waited for in vain.
state = open(os.environ["HOME"] + "/.cache/cb/x.json", "r+")
fcntl.flock(state, fcntl.LOCK_EX)
setting = {"ignore": [signal.SIGRTMAX, signal.SIGINT], "block": [signal.SIGRTMAX, signal.SIGUSR1]}
same(seen(CB, setting, stderr=subprocess.DEVNULL), seen(["env"], setting))
"#,
    );
}

#[test]
fn every_exit_code_passes_through() {
    let sandbox = Sandbox::new();
    let script = r#"
for code in {0..255}; do
    cb run -n x --ignore-codes 1-255 -- sh -c "exit $code"
    [ $? = $code ] || echo "$? for $code"
done
"#;
    sandbox.bash(script).run();
    assert_eq!(sandbox.status("x")["totals"]["ignored"], 255);
}

#[test]
fn a_death_by_a_signal_is_the_death_of_cb() {
    let sandbox = Sandbox::new();
    // By default these end nothing: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH. Two more are the C library's own.
    let others = [17, 18, 19, 20, 21, 22, 23, 28, 32, 33];
    for number in (1..=64).filter(|number| !others.contains(number)) {
        let name = format!("s{number}");
        let kill = format!("ulimit -c 0; kill -{number} $$; exit 99");
        // The caller of the tests may have ignored some.
        let words = ["--default-signal", CB, "run", "-n", &name, "sh", "-c", &kill];
        let run = sandbox.command("env", words).code(128 + number).run();
        assert_eq!(run.status.signal(), Some(number), "it must die, not exit");
        let outcome = if number == 2 || number == 13 { "ignored" } else { "failure" };
        assert_eq!(sandbox.status(&name)["last"]["outcome"], outcome, "signal {number}");
        assert_eq!(sandbox.status(&name)["last"]["exit_code"], serde_json::Value::Null);
    }
    assert_eq!(sandbox.status("s15")["last"]["signal"], "SIGTERM");
    assert_eq!(sandbox.status("s64")["last"]["signal"], "SIG64");
}

#[test]
fn a_death_that_is_ignored_or_blocked_at_the_start_is_one_all_the_same() {
    check(
        r#"
kill = "import os, signal; signal.signal(15, signal.SIG_DFL); signal.pthread_sigmask(signal.SIG_UNBLOCK, [15]); os.kill(os.getpid(), 15)"
for setting in {"ignore": [signal.SIGTERM]}, {"block": [signal.SIGTERM]}:
    process = start(CB + ["python3", "-c", kill], **setting)
    same(end(process.pid), "died of SIGTERM", setting)
"#,
    );
}

#[test]
fn a_child_that_came_with_cb_is_not_taken_for_the_commands() {
    check(
        r#"
def with_a_child():
    pid = os.fork()
    if pid == 0:
        os._exit(9)
    # It has ended, and is left for cb.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

for options in [], ["--timeout", "50"]:
    reports = Reports()
    process = start(CB + options + reports.child("MARK=4"), before=with_a_child)
    same(reports.line(), "ready")
    os.kill(process.pid, MARK)
    same(reports.rest(), ["MARK by cb"])
    same(end(process.pid), "exit 4")
"#,
    );
}

#[test]
fn there_is_one_core_dump() {
    check(
        r#"
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
quit = ["sh", "-c", "kill -QUIT $$"]
_, dumped = os.waitpid(start(["env"] + quit).pid, 0)
same(told(dumped), "died of SIGQUIT")
if os.WCOREDUMP(dumped):
    _, status = os.waitpid(start(CB + quit).pid, 0)
    same(told(status), "died of SIGQUIT")
    assert not os.WCOREDUMP(status)
else:
    print("skipped: no core is dumped here")
"#,
    );
}

#[test]
fn process_1_exits_with_what_it_cannot_die_of() {
    let options = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    if !may_unshare(&options) {
        return;
    }
    let sandbox = Sandbox::new();
    let run = |child: &str| {
        let cb = ["env", "--default-signal", "cb", "run", "-q", "-n", "x", "--threshold", "99", "sh", "-c", child];
        sandbox.command("unshare", options.into_iter().chain(cb))
    };
    for number in [1, 2, 6, 9, 13, 15, 34, 64] {
        let output = run(&format!("ulimit -c 0; kill -{number} $$; exit 99")).code(128 + number).run();
        assert_eq!(output.status.code(), Some(128 + number), "it must exit");
    }
    // Process 1 passes on a signal from which the kernel protects it.
    run("trap 'echo got; exit 42' TERM; kill -TERM 1; while :; do sleep .01; done").code(42).stdout("got\n").run();
}

const NOT_FOUND: &str =
    "command not found; cb starts programs: for functions, aliases and builtins see 'cb allow --help'";

#[test]
fn a_command_that_cannot_be_run_is_126_or_127() {
    let sandbox = Sandbox::new();
    program(&sandbox, "readable", "");
    fs::set_permissions(sandbox.work().join("readable"), fs::Permissions::from_mode(0o644)).expect("not executable");
    std::os::unix::fs::symlink("loop", sandbox.work().join("loop")).expect("a link to itself");
    for (word, code, why) in [
        ("no-such-program", 127, NOT_FOUND),
        ("", 127, NOT_FOUND),
        ("-", 127, NOT_FOUND),
        ("1=2", 127, NOT_FOUND),
        ("a-b=2", 127, NOT_FOUND),
        ("./no-such-program", 127, "not found: no such file, or the interpreter that it names is missing"),
        ("./date -u", 127, "command not found; it is one word: leave out the quotes, or write sh -c"),
        ("date -r /etc/passwd", 127, "command not found; it is one word: leave out the quotes, or write sh -c"),
        (
            &format!("date {}", "-u ".repeat(100)),
            126,
            "File name too long; it is one word: leave out the quotes, or write sh -c",
        ),
        ("TZ=UTC", 127, "command not found; to set a variable write 'env TZ=UTC COMMAND'"),
        ("_P=/a:/b", 127, "command not found; to set a variable write 'env _P=/a:/b COMMAND'"),
        ("--cooldown", 127, "command not found; options of cb stand before --"),
        ("date -u", 127, "command not found; it is one word: leave out the quotes, or write sh -c"),
        ("-x", 127, "command not found; options of cb stand before --"),
        (".", 126, "Permission denied"),
        ("/", 126, "Permission denied"),
        ("./readable", 126, "Permission denied"),
        ("./readable/x", 126, "Not a directory"),
        ("./loop", 126, "Too many levels of symbolic links"),
    ] {
        for options in [&[][..], &["--timeout", "50"]] {
            let words = ["run", "-n", "x"].into_iter().chain(options.iter().copied()).chain(["--", word, "a"]);
            sandbox.cb(words).code(code).stderr(not_run(word, why)).run();
            sandbox.command("env", ["--", word, "a"]).code(code).any_stderr().run();
        }
    }
    sandbox
        .cb(["run", "-n", "x", "a\n\u{1b}[2Jb"])
        .code(127)
        .stderr(not_run("a\\n\\u{1b}[2Jb", "command not found; it is one word: leave out the quotes, or write sh -c"))
        .run();
    // The status says nothing about the service.
    let totals = &sandbox.status("x")["totals"];
    assert_eq!((&totals["ignored"], &totals["admitted"]), (&39.into(), &39.into()));
}

#[test]
fn a_program_that_is_being_written_is_126() {
    check(
        r#"
with open("busy", "w") as busy:
    os.chmod("busy", 0o755)
    process = start(CB + ["./busy"], stderr=subprocess.PIPE)
    said = process.stderr.read().decode()
    same(said, "cb: could not run './busy': Text file busy\n")
    same(end(process.pid), "exit 126")
"#,
    );
}

#[test]
fn a_script_without_an_interpreter_line_is_run_by_the_shell() {
    let sandbox = Sandbox::new();
    program(&sandbox, "plain", "printf '[%s]' \"$0\" \"$@\"; exit 3\n");
    program(&sandbox, "empty", "");
    program(&sandbox, "bin/found", "echo found \"$@\"\n");
    sandbox.cb(["run", "-n", "x", "./plain", "a b", "", "-c"]).code(3).stdout("[./plain][a b][][-c]").run();
    sandbox.cb(["run", "-n", "x", "./empty"]).run();
    let many: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let words = ["run", "-n", "x", "found"].map(str::to_owned).into_iter().chain(many.iter().cloned());
    sandbox.cb(words).env("PATH", "bin:/usr/bin:/bin").stdout(format!("found {}\n", many.join(" "))).run();
}

#[test]
fn too_many_arguments_are_126() {
    let sandbox = Sandbox::new();
    // The environment of the child is longer than that of cb by the absolute path of the state directory. So one that
    // just lets cb start is too long for the child.
    let script = r#"
ulimit -s 512
part=$(printf 'd%.0s' {1..200})
mkdir -p $part/$part/$part/$part/$part/$part/$part/$part
cd $part/$part/$part/$part/$part/$part/$part/$part
for ((size = 131072; size > 0; size -= 256)); do
    PAD=$(printf "%${size}s") cb run -n x --state-dir s true 2>err
    code=$?
    grep -q bash err || break
done
echo $code $size $(cat err)
"#;
    let output = sandbox.bash(script).any_stdout().run();
    let said = String::from_utf8(output.stdout).expect("text");
    let said: Vec<&str> = said.splitn(3, ' ').collect();
    assert_eq!((said[0], said[2]), ("126", not_run("true", "Argument list too long").as_str()), "{said:?}");
}

#[test]
fn the_path_is_searched_as_everybody_does() {
    let sandbox = Sandbox::new();
    program(&sandbox, "bin/one", "#!/bin/sh\necho bin\n");
    program(&sandbox, "two/one", "#!/bin/sh\necho two\n");
    program(&sandbox, "one", "#!/bin/sh\necho here\n");
    program(&sandbox, "closed/one", "");
    program(&sandbox, "closed/two", "");
    fs::set_permissions(sandbox.work().join("closed/one"), fs::Permissions::from_mode(0o644)).expect("closed");
    fs::set_permissions(sandbox.work().join("closed/two"), fs::Permissions::from_mode(0o644)).expect("closed");
    program(&sandbox, "dirs/one/file", "");
    program(&sandbox, "mkdir", "#!/bin/sh\necho ours\n");
    for (path, word, code, stdout) in [
        (Some("bin:two"), "one", 0, "bin\n"),
        (Some("two:bin"), "one", 0, "two\n"),
        (Some("none:/dev/null/x:closed:dirs:two"), "one", 0, "two\n"),
        (Some(":two"), "one", 0, "here\n"),
        (Some("bin"), "./one", 0, "here\n"),
        (Some("bin"), "two/one", 0, "two\n"),
        (Some("none"), "bin/two", 127, ""),
        (Some("closed"), "two", 126, ""),
        (Some("closed:none"), "two", 126, ""),
        (Some("dirs"), "one", 126, ""),
        (Some("none"), "one", 127, ""),
        (Some("none:/dev/null/x"), "one", 126, ""),
        (Some(""), "one", 0, "here\n"),
        // The C library's own: /bin and /usr/bin.
        (None, "one", 127, ""),
        (None, "echo", 0, "a b\n"),
    ] {
        let under = |run: Run| {
            let run = match path {
                Some(path) => run.env("PATH", path),
                None => run.env_remove("PATH"),
            };
            run.code(code).stdout(stdout).any_stderr().run();
        };
        under(sandbox.command("/usr/bin/env", [word, "a", "b"]));
        under(sandbox.cb(["run", "-n", "x", word, "a", "b"]));
    }
}

#[test]
fn a_run_without_a_command_is_wrong_usage() {
    let sandbox = Sandbox::new();
    let missing = "cb: COMMAND is missing; write 'cb run --name NAME -- COMMAND'\n";
    for words in [&["run", "-n", "x"][..], &["run", "-n", "x", "--"]] {
        sandbox.cb(words).code(125).stderr(missing).run();
    }
    assert!(!sandbox.state_dir().exists(), "nothing is touched");
}

#[test]
fn standard_input_is_left_for_who_reads_it() {
    let sandbox = Sandbox::new();
    sandbox.cb(["-q", "trip", "open"]).run();
    for (words, code) in [
        ("-n open cat", 75),
        ("-n x true", 0),
        ("-n x --timeout 50 true", 0),
        ("-n x no-such-program", 127),
        ("-n x", 125),
        ("-n x --threshold no cat", 125),
    ] {
        let script = format!("printf 'a\\nb\\n' | {{ cb run {words} 2>/dev/null; echo $?; cat; }}");
        sandbox.bash(&script).stdout(format!("{code}\na\nb\n")).run();
    }
}

#[test]
fn nobody_who_listens_changes_nothing() {
    check(
        r#"
gone, writer = os.pipe()
os.close(gone)
full = os.open("/dev/full", os.O_WRONLY)
closed = lambda: os.close(2)

def run(name, *words, **options):
    return start(["cb", "run", "-v", "-n", name, "--threshold", "1", *words], **options).wait()

for number, setting in enumerate((
    {"stderr": writer}, {"stderr": full}, {"before": closed}, {"stderr": writer, "ignore": [signal.SIGPIPE]},
)):
    name = "x%d" % number
    same(run(name, "no-such-program", **setting), 127)
    # It opens, refuses, probes, closes; each of that would be said.
    same(run(name, "sh", "-c", "exit 3", **setting), 3)
    same(run(name, "true", **setting), 75)
    subprocess.run(["cb", "trip", name, "--for", "0"], check=True)
    same(run(name, "true", **setting), 0)
    same(run(name, "sh", "-c", "kill -TERM $$", **setting), -signal.SIGTERM)
    same(start(["cb", "run", "--nonsense"], **setting).wait(), 125)
    # No state: the command runs all the same.
    os.environ["CB_STATE_DIR"] = "/dev/null/x"
    same(run(name, "sh", "-c", "exit 4", **setting), 4)
    same(run(name, "--on-state-error", "refuse", "true", **setting), 125)
    del os.environ["CB_STATE_DIR"]

# That nobody reads what it says is no signal to the child.
subprocess.run(["cb", "-q", "trip", "x", "--for", "0"], check=True)
reports = Reports()
process = start(["cb", "run", "-v", "-n", "x"] + reports.child("MARK=0"), stderr=writer)
same(reports.line(), "ready")
os.kill(process.pid, MARK)
same(reports.rest(), ["MARK by cb"])
same(end(process.pid), "exit 0")
"#,
    );
}

#[test]
fn a_limit_on_the_size_of_files_is_no_limit_on_commands() {
    let sandbox = Sandbox::new();
    let path = sandbox.state_file("x");
    let trouble =
        format!("could not write {}: File too large; raise the file size limit (ulimit -f)\n", path.display());
    for _ in 0..2 {
        let warning = format!("cb: x: unguarded: {trouble}");
        sandbox.bash("ulimit -f 0; exec cb run -n x -- sh -c 'exit 3'").code(3).stderr(warning).run();
        let refuse = sandbox.bash("ulimit -f 0; exec cb run -n x --on-state-error refuse -- echo never");
        refuse.code(125).stderr(format!("cb: {trouble}")).run();
        // An existing state makes no difference.
        sandbox.exits("x", &[], 0);
    }
    assert_eq!(sandbox.status("x")["totals"]["admitted"], 2);
    // A state that can be read still refuses.
    sandbox.cb(["trip", "x"]).run();
    sandbox.bash("ulimit -f 0; exec cb run -n x -- sh -c 'exit 3'").code(75).run();
}

#[test]
fn a_limit_on_descriptors_is_no_limit_on_commands() {
    // The child is cb too: a static program needs no descriptor to start.
    if !linked_statically() {
        return;
    }
    let sandbox = Sandbox::new();
    let child = "cb run -n x -- cb --version";
    let version = format!("cb {}\n", env!("CARGO_PKG_VERSION"));
    let why = format!("could not open {}: Too many open files", sandbox.state_file("x").display());
    for limit in 0..=3 {
        let run = sandbox.bash(&format!("ulimit -n {limit}; exec {child}")).stdout(&version);
        run.stderr_has(format!("cb: x: unguarded: {why}")).run();
    }
    let refuse = sandbox.bash("ulimit -n 3; exec cb run -n x --on-state-error refuse -- cb --version");
    refuse.code(125).stderr_has(format!("cb: {why}")).run();
    assert!(!sandbox.state_file("x").exists());
    sandbox.bash(&format!("ulimit -n 4; exec {child}")).stdout(&version).run();
    assert_eq!(sandbox.status("x")["totals"]["successes"], 1);
}

#[test]
fn where_no_process_is_to_be_had_it_is_125() {
    let sandbox = Sandbox::new();
    // The limit does not bind root, so another user must run this, who must reach the program and be able to write.
    copy(Path::new(CB), &sandbox.home().join("cb"));
    fs::set_permissions(sandbox.home(), fs::Permissions::from_mode(0o755)).expect("open");
    fs::create_dir(sandbox.home().join("state")).expect("a state directory");
    let program = r#"
home = os.environ["HOME"]
if os.getuid() == 0:
    os.chown(home + "/state", 65534, 65534)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
os.execv(home + "/cb", ["cb", "run", "-n", "x", "--state-dir", home + "/state", "echo", "never"])
"#;
    let Some(run) = python(&sandbox, program) else { return };
    let why = "could not start a process: Resource temporarily unavailable";
    run.code(125).stderr(not_run("echo", why)).run();
    let state = sandbox.home().join("state");
    let output = sandbox.cb(["status", "x", "--json"]).env("CB_STATE_DIR", state).any_stdout().run();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["breakers"][0]["totals"]["ignored"], 1);
}
