//! `--timeout` and its family, as in GNU `timeout`.
//! See cb-contract(7) 1.30, 2.6, 3.8 and 3.13 to 3.16.
//!
//! Where a child must be ready before its time is over, all signals are blocked from its birth: however late it is, it
//! finds them pending.

use crate::support::python::check;

#[test]
fn it_ends_as_gnu_timeout_does() {
    check(
        r#"
sleep = ["sleep", "60"]
# TERM is blocked where these run: they notice, and end as they like.
seven = ["python3", "-c", "import signal, sys; signal.sigwait([signal.SIGTERM]); sys.exit(7)"]
zero = ["python3", "-c", "import signal, sys; signal.sigwait([signal.SIGTERM])"]
stopped = ["sh", "-c", "kill -STOP $$"]
TERM = signal.SIGTERM
runs = []
for number, (options, time, command, setting, expected) in enumerate((
    ([], ".1", sleep, {}, 124),
    (["-s", "INT"], "0.1s", sleep, {}, 124),
    (["-s", "SIGUSR1"], ".1", sleep, {}, 124),
    (["-s", "hup"], ".1", sleep, {}, 124),
    (["--signal=10"], ".1", sleep, {}, 124),
    (["-s", "RTMAX"], ".1", sleep, {}, 124),
    (["-s", "RTMIN+3"], ".1", sleep, {}, 124),
    (["-s", "IOT"], ".1", sleep, {}, 124),
    (["-s0", "-k.1"], ".1", sleep, {}, 137),
    (["-s0", "-k.1", "--foreground"], ".1", sleep, {}, 137),
    (["-s", "KILL"], ".1", sleep, {}, 137),
    (["--foreground", "-s", "KILL"], ".1", sleep, {}, 137),
    (["--foreground"], ".1", sleep, {}, 124),
    (["--preserve-status"], ".1", sleep, {}, 143),
    (["--preserve-status", "-s", "INT"], ".1", sleep, {}, 130),
    (["--preserve-status", "-s", "KILL"], ".1", sleep, {}, 137),
    (["-k", ".1"], ".1", sleep, {"block": [TERM]}, 137),
    (["--kill-after=.1", "--preserve-status"], ".1", sleep, {"block": [TERM]}, 137),
    (["-k", ".1", "--foreground"], ".1", sleep, {"block": [TERM]}, 137),
    (["-k", "60"], ".1", sleep, {}, 124),
    (["-k", "0"], ".1", sleep, {}, 124),
    ([], ".1", stopped, {}, 124),
    ([], ".1", seven, {"block": [TERM]}, 124),
    (["-k", "60"], ".1", seven, {"block": [TERM]}, 124),
    (["--preserve-status"], ".1", seven, {"block": [TERM]}, 7),
    ([], ".1", zero, {"block": [TERM]}, 124),
    (["--preserve-status"], ".1", zero, {"block": [TERM]}, 0),
    ([], "60", ["sh", "-c", "exit 7"], {}, 7),
    ([], "60", ["sh", "-c", "exit 124"], {}, 124),
    ([], "60", ["sh", "-c", "kill -TERM $$"], {}, 143),
    ([], "60", ["sh", "-c", "kill -KILL $$"], {}, 137),
    ([], "0", ["sh", "-c", "exit 3"], {}, 3),
    ([], "9223372036854775808d", ["sh", "-c", "exit 3"], {}, 3),
    (["-k", "9223372036854775808d"], ".1", sleep, {}, 124),
    ([], "60", ["no-such-program"], {}, 127),
    ([], "60", ["/"], {}, 126),
    ([], "42D", ["true"], {}, 125),
    ([], "", ["true"], {}, 125),
    ([], "-1", ["true"], {}, 125),
    (["-s", "NOPE"], "1", ["true"], {}, 125),
    (["-k", "1x"], "1", ["true"], {}, 125),
)):
    both = (
        ["timeout", *options, time, *command],
        ["cb", "run", "-n", "x%d" % number, *options, "--timeout", time, "--", *command],
    )
    runs.append((both, [start(words, stderr=subprocess.DEVNULL, **setting) for words in both], expected))
for both, processes, expected in runs:
    codes = [process.wait() for process in processes]
    codes = [code if code >= 0 else 128 - code for code in codes]
    same(codes, [expected, expected], both)
"#,
    );
}

#[test]
fn its_own_codes_are_exits_and_preserved_ones_are_deaths() {
    check(
        r#"
for options, how in (
    (["--timeout", ".1"], "exit 124"),
    (["--timeout", ".1", "--signal", "KILL"], "exit 137"),
    (["--timeout", ".1", "--preserve-status"], "died of SIGTERM"),
    (["--timeout", ".1", "--preserve-status", "--signal", "KILL"], "died of SIGKILL"),
):
    process = start(CB + options + ["sleep", "60"])
    same(end(process.pid), how, (options, how))
    same(last(), ["failure", None, None, True])
"#,
    );
}

#[test]
fn the_signal_is_followed_by_cont_and_the_result_is_a_failure() {
    check(
        r#"
CB += ["--threshold", "9"]
for name in "SIGTERM", "SIGUSR2", "SIGCONT":
    reports = Reports()
    command = CB + ["--timeout", ".1", "--signal", name] + reports.child("SIGCONT=3")
    process = start(command, block=signal.valid_signals())
    expected = ["ready", name + " by cb", "SIGCONT by cb"]
    same(reports.rest(), expected if name != "SIGCONT" else expected[:2])
    same(end(process.pid), "exit 124")
    same(last(), ["failure", None, None, True])

# That the status is kept changes nothing about that, and the child's own 124 is none of ours.
reports = Reports()
command = CB + ["--timeout", ".1", "--preserve-status"] + reports.child("SIGTERM=0")
process = start(command, block=signal.valid_signals())
same(end(process.pid), "exit 0")
same(last(), ["failure", None, None, True])
process = start(CB + ["--timeout", "60", "sh", "-c", "exit 124"])
same(end(process.pid), "exit 124")
same(last(), ["failure", 124, None, False])
"#,
    );
}

/// A leader and its child in one process group. The leader prints where it is and becomes a reporter. So does the
/// child, which gets the number of its parent as an argument, as the parent may end before the child can ask.
const FAMILY: &str = r#"
FAMILY = 'read _ _ _ _ group _ </proc/self/stat; PARENT=$$ "$@" & echo $$ $! $group; exec "$@"'
FAMILY = ["sh", "-c", FAMILY, "sh"]

def told_by(process):
    """The leader, its child, and the group they are in."""
    return [int(word) for word in process.stdout.readline().split()]

def said_by(reports):
    """All that the two report to their end, sorted, but that the child has ended."""
    return sorted(line for line in reports.rest() if not line.startswith("SIGCHLD"))
"#;

#[test]
fn the_whole_group_of_the_child_is_signalled_and_not_the_callers() {
    check(&format!(
        "{FAMILY}{}",
        r#"
# We are in the group of `cb`.
ours = [signal.SIGTERM, signal.SIGCONT]
signal.pthread_sigmask(signal.SIG_BLOCK, ours)
reports = Reports()
command = CB + ["--timeout", "2"] + FAMILY + reports.child("SIGCONT=3")
process = start(command, block=signal.valid_signals(), stdout=subprocess.PIPE)
leader, child, group = told_by(process)
assert group == leader != os.getpgrp()
said = ["ready", "SIGTERM by cb", "SIGCONT by cb", "ready", "SIGTERM by another", "SIGCONT by another"]
same(said_by(reports), sorted(said))
same(end(process.pid), "exit 124")
assert not signal.sigpending().intersection(ours)

# KILL too: both are there, and at the end of the file both have ended.
reports = Reports()
command = CB + ["--timeout", "2", "--kill-after", ".1"] + FAMILY + reports.child()
process = start(command, block=signal.valid_signals(), stdout=subprocess.PIPE)
same(len(told_by(process)), 3)
reports.rest()
same(end(process.pid), "exit 137")
same(last(), ["failure", None, None, True])
"#
    ));
}

#[test]
fn in_the_foreground_the_child_alone_is_signalled() {
    check(&format!(
        "{FAMILY}{}",
        r#"
reports = Reports()
command = CB + ["--foreground", "--timeout", "2"] + FAMILY + reports.child("SIGCONT=3", "MARK=0")
process = start(command, block=signal.valid_signals(), stdout=subprocess.PIPE)
leader, child, group = told_by(process)
same(group, os.getpgrp())
same(end(process.pid), "exit 124")
os.kill(child, MARK)
said = ["ready", "ready", "SIGTERM by cb", "SIGCONT by cb", "MARK by another"]
same(said_by(reports), sorted(said))
"#
    ));
}

#[test]
fn without_a_limit_the_child_stays_in_the_callers_group() {
    check(&format!(
        "{FAMILY}{}",
        r#"
for options in [], ["--timeout", "0"], ["--probe-timeout", "1"], ["--kill-after", "1"], ["--timeout", "0", "--signal", "KILL"]:
    process = start(CB + options + FAMILY + ["true"], stdout=subprocess.PIPE)
    same(told_by(process)[2], os.getpgrp(), options)
    same(end(process.pid), "exit 0")
"#
    ));
}

#[test]
fn a_child_that_left_its_group_is_signalled_all_the_same() {
    check(
        r#"
leave = "import os, sys; os.setpgid(0, os.getpgid(os.getppid())); os.execvp(sys.argv[1], sys.argv[1:])"
reports = Reports()
command = CB + ["--timeout", "1", "python3", "-c", leave] + reports.child("SIGCONT=3")
process = start(command, block=signal.valid_signals())
same(reports.rest(), ["ready", "SIGTERM by cb", "SIGCONT by cb"])
same(end(process.pid), "exit 124")
"#,
    );
}

#[test]
fn a_quick_child_ends_at_once() {
    check(
        r#"
import time
began = time.monotonic()
for options in [], ["--kill-after", "50"], ["--foreground"]:
    process = start(CB + ["--timeout", "50"] + options + ["sh", "-c", "exit 7"])
    same(end(process.pid), "exit 7")
    same(last(), ["failure", 7, None, False])
assert time.monotonic() - began < 40
"#,
    );
}

#[test]
fn a_probe_has_a_limit_of_its_own() {
    check(
        r#"
def state():
    text = subprocess.run(["cb", "status", "--json", "x"], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(text)["breakers"][0]["state"]

limits = ["--timeout", "60", "--probe-timeout", ".1"]
same(end(start(CB + limits + ["sleep", ".3"]).pid), "exit 0")
subprocess.run(["cb", "trip", "x", "--for", "0"], check=True)
same(end(start(CB + limits + ["sleep", "60"]).pid), "exit 124")
same(last(), ["failure", None, None, True])
same(state(), "open")

# One of 0 is none, in place of that of all runs.
subprocess.run(["cb", "trip", "x", "--for", "0"], check=True)
same(end(start(CB + ["-q", "--timeout", ".1", "--probe-timeout", "0", "sleep", ".3"]).pid), "exit 0")
same(state(), "closed")

# Without one it has that of all runs.
subprocess.run(["cb", "trip", "x", "--for", "0"], check=True)
same(end(start(CB + ["--timeout", ".1", "sleep", "60"]).pid), "exit 124")
same(state(), "open")
"#,
    );
}

#[test]
fn a_user_who_stops_what_is_over_time_is_obeyed() {
    check(
        r#"
reports = Reports()
command = CB + ["--timeout", ".1", "--kill-after", "50"] + reports.child("SIGUSR1=3")
process = start(command, block=signal.valid_signals())
same(reports.until("SIGCONT by cb"), ["ready", "SIGTERM by cb", "SIGCONT by cb"])
os.kill(process.pid, signal.SIGTERM)
same(reports.line(), "SIGTERM by cb")
same(reports.line(), "SIGCONT by cb")
os.kill(process.pid, signal.SIGUSR1)
same(reports.rest(), ["SIGUSR1 by cb"])
same(end(process.pid), "exit 124")
same(last(), ["ignored", None, None, True])
"#,
    );
}

#[test]
fn a_user_who_stops_it_before_its_time_waits_no_longer_than_kill_after() {
    // As under GNU timeout, which cannot be asked here: it forgets a signal that comes before it knows its child's number.
    check(
        r#"
stopped = ["sh", "-c", "echo $$; kill -STOP $$"]
# It ignores TERM, and waits for what never comes.
deaf = ["sh", "-c", "trap '' TERM; echo $$; exec tail -f /dev/null"]
for number, (options, command, expected) in enumerate((
    ([], stopped, 143),
    (["-k", "60"], stopped, 143),
    (["-k", ".1"], deaf, 137),
    (["-k", ".1", "--foreground"], deaf, 137),
)):
    process = start(["cb", "run", "-n", "x%d" % number, *options, "--timeout", "60", "--", *command], stdout=subprocess.PIPE)
    child = int(process.stdout.readline())
    while command is stopped and open("/proc/%d/stat" % child).read().split()[2] != "T":
        os.sched_yield()
    os.kill(process.pid, signal.SIGTERM)
    code = process.wait()
    same(code if code >= 0 else 128 - code, expected, options)
    same(last("x%d" % number)[0], "ignored")
"#,
    );
}

#[test]
fn at_a_terminal_the_child_keeps_it() {
    check(&format!(
        "{FAMILY}{}",
        r#"
# It is in the group of `cb` and reads what is typed.
reports = Reports()
child = "read _ _ _ _ group _ </proc/self/stat; echo ready >&$0; read line; echo $group read $line >&$0"
pid, terminal = in_terminal(CB + ["--timeout", "50", "sh", "-c", child, str(reports.writer)])
same(reports.line(), "ready")
os.write(terminal, b"a line\n")
same(reports.rest(), ["%d read a line" % pid])
same(end(pid), "exit 0")
os.close(terminal)

# What the terminal sends reaches it once.
reports = Reports()
pid, terminal = in_terminal(CB + ["--timeout", "50"] + reports.child("MARK=1"))
same(reports.line(), "ready")
os.kill(pid, signal.SIGSTOP)
same(stop(pid), "stopped by SIGSTOP")
os.write(terminal, b"\x03")
same(reports.line(), "SIGINT by kernel")
os.kill(pid, signal.SIGCONT)
os.kill(pid, MARK)
same(reports.rest(), ["SIGCONT by cb", "MARK by cb"])
same(end(pid), "exit 1")
same(last(), ["ignored", 1, None, False])
os.close(terminal)

# Its time over, it alone is signalled. When the leader of the session has ended, the kernel tells the others.
reports = Reports()
command = CB + ["--timeout", "2"] + FAMILY + reports.child("SIGCONT=3", "SIGHUP=0")
pid, terminal = in_terminal(command, block=signal.valid_signals())
said = ["ready", "SIGTERM by cb", "SIGCONT by cb", "ready", "SIGHUP by kernel"]
same(said_by(reports), sorted(said))
same(end(pid), "exit 124")
"#
    ));
}

#[test]
fn what_is_typed_reaches_a_child_in_a_group_of_its_own() {
    check(
        r#"
# Started in the background, so with a group of its own, and then brought to the front.
script = '''
set -m
cb run -n x --timeout 50 -- "$@" &
echo "job $!" >&$0
read -r go <&$GO
fg >/dev/null
echo "status $?" >&$0
read -r go <&$GO
fg >/dev/null
echo "status $?" >&$0
'''
reports = Reports()
go, told_to_go = os.pipe()
os.set_inheritable(go, True)
os.environ["GO"] = str(go)
pid, terminal = in_terminal(["bash", "-c", script, str(reports.writer)] + reports.child("MARK=7"))
words = [reports.line(), reports.line()]
assert "ready" in words, words
job = int([word for word in words if word != "ready"][0].split()[1])

os.write(told_to_go, b"go\n")
while os.tcgetpgrp(terminal) != job:
    os.sched_yield()
os.write(terminal, b"\x03")
same(reports.line(), "SIGINT by cb")
same(reports.line(), "SIGCONT by cb")
os.write(terminal, b"\x1a")
same(sorted([reports.line(), reports.line()]), ["SIGTSTP by cb", "status %d" % (128 + signal.SIGTSTP)])
os.write(told_to_go, b"go\n")
same(reports.line(), "SIGCONT by cb")
os.kill(job, MARK)
same(reports.rest(), ["MARK by cb", "status 7"])
same(end(pid), "exit 0")
same(last(), ["ignored", 7, None, False])
"#,
    );
}
