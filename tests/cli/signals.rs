//! Signals: `cb` passes each on to the child, once, and dies as the child dies.
//! See cb-contract(7) 2.1, 2.8, 3.7 and 3.9 to 3.12.
//!
//! The children of these tests block all signals and take them one by one, so that none is lost and each counts.

use crate::support::python::check;

#[test]
fn every_signal_to_cb_alone_reaches_the_child() {
    check(
        r#"
reports = Reports()
process = start(CB + reports.child("MARK=0"), group=True)
same(reports.line(), "ready")
ours = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU, MARK}
others = sorted(signal.valid_signals() - ours)
assert len(others) > 50, others
for number in others:
    os.kill(process.pid, number)
    said, expected = reports.line(), called(number) + " by cb"
    same(said, expected)
    if number == signal.SIGTSTP:
        same(stop(process.pid), "stopped by SIGTSTP")
        os.kill(process.pid, signal.SIGCONT)
        same(reports.line(), "SIGCONT by cb")
os.kill(process.pid, MARK)
same(reports.rest(), ["MARK by cb"])
same(end(process.pid), "exit 0")
"#,
    );
}

#[test]
fn signals_that_queue_are_passed_on_one_by_one() {
    check(
        r#"
reports = Reports()
process = start(CB + reports.child("MARK=0"))
same(reports.line(), "ready")
os.kill(process.pid, signal.SIGSTOP)
same(stop(process.pid), "stopped by SIGSTOP")
for _ in range(3):
    os.kill(process.pid, signal.SIGRTMIN)
os.kill(process.pid, MARK)
os.kill(process.pid, signal.SIGCONT)
said = reports.rest()
same(said.count("RT0 by cb"), 3)
same(end(process.pid), "exit 0")
"#,
    );
}

#[test]
fn what_concerns_cb_itself_is_not_passed_on() {
    check(
        r#"
reports = Reports()
process = start(CB + reports.child("MARK=0"), group=True)
same(reports.line(), "ready")
os.kill(process.pid, signal.SIGCHLD)
for number in signal.SIGTTIN, signal.SIGTTOU:
    os.kill(process.pid, number)
    same(stop(process.pid), "stopped by " + number.name)
    os.kill(process.pid, signal.SIGCONT)
    same(reports.line(), "SIGCONT by cb")
os.kill(process.pid, MARK)
same(reports.rest(), ["MARK by cb"])
same(end(process.pid), "exit 0")
"#,
    );
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    check(
        r#"
ours = {signal.SIGKILL, signal.SIGSTOP, MARK}
ignored = signal.valid_signals() - ours
reports = Reports()
process = start(CB + reports.child("MARK=1"), ignore=ignored, group=True)
same(reports.line(), "ready")
for number in sorted(ignored):
    os.kill(process.pid, number)
os.kill(process.pid, MARK)
same(reports.rest(), ["MARK by cb"])
same(end(process.pid), "exit 1")
# Nor did the user stop anything by it.
same(last(), ["failure", 1, None, False])
"#,
    );
}

#[test]
fn before_the_child_has_started_signals_end_cb_at_once() {
    check(
        r#"
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
subprocess.run(CB + ["true"], check=True)
state = open(os.environ["HOME"] + "/.cache/cb/x.json", "r+")
fcntl.flock(state, fcntl.LOCK_EX)

def waiting(**options):
    process = start(CB + ["touch", "started"], stderr=subprocess.PIPE, **options)
    queued = lambda line: "->" in line and str(process.pid) in line.split()
    while not any(queued(line) for line in open("/proc/locks")):
        assert process.poll() is None, process.stderr.read()
    return process

for number in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM, signal.SIGTERM, MARK:
    process = waiting()
    os.kill(process.pid, number)
    same(end(process.pid), "died of " + called(number))
    same(process.stderr.read(), b"")
assert not os.path.exists("started")

# One that is ignored does not.
process = waiting(ignore=[signal.SIGINT])
os.kill(process.pid, signal.SIGINT)
fcntl.flock(state, fcntl.LOCK_UN)
same(end(process.pid), "exit 0")
same(process.stderr.read(), b"")
assert os.path.exists("started")
text = subprocess.run(["cb", "status", "--json", "x"], stdout=subprocess.PIPE, check=True).stdout
same(json.loads(text)["breakers"][0]["totals"]["admitted"], 2, text)
"#,
    );
}

#[test]
fn a_child_that_the_user_stopped_counts_as_nothing() {
    check(
        r#"
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for name in "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1":
    for how in "0", "1", "130", "death":
        reports = Reports()
        process = start(CB + reports.child(name + "=" + how))
        same(reports.line(), "ready")
        os.kill(process.pid, signal.Signals[name])
        same(reports.rest(), [name + " by cb"])
        died = how == "death"
        same(end(process.pid), "died of " + name if died else "exit " + how)
        outcome = "success" if how == "0" else "failure" if name == "SIGUSR1" else "ignored"
        expected = [outcome, None if died else int(how), name if died else None, False]
        same(last(), expected, (name, how))
"#,
    );
}

#[test]
fn a_limit_from_outside_counts_where_that_is_asked_for() {
    check(
        r#"
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
# Whatever a list says of it, who was stopped is judged by that alone. Where a user stops it too, it is the user's.
OPTIONS = ["--threshold", "99", "--ignore-codes", "3,SIGTERM", "--trip-codes", "4"]
for option in [], ["--count-stopped"], ["--count-stopped=false"]:
    for how in "0", "1", "3", "4", "death":
        reports = Reports()
        process = start(CB + OPTIONS + option + reports.child("SIGTERM=" + how))
        same(reports.line(), "ready")
        os.kill(process.pid, signal.SIGTERM)
        same(reports.rest(), ["SIGTERM by cb"])
        died = how == "death"
        same(end(process.pid), "died of SIGTERM" if died else "exit " + how)
        outcome = "success" if how == "0" else "failure" if option == ["--count-stopped"] else "ignored"
        same(last(), [outcome, None if died else int(how), "SIGTERM" if died else None, False], (option, how))
for first, second in [("SIGTERM", "SIGINT"), ("SIGHUP", "SIGTERM"), ("SIGQUIT", "SIGTERM")]:
    reports = Reports()
    process = start(CB + ["--count-stopped"] + reports.child("MARK=5"))
    same(reports.line(), "ready")
    for name in first, second:
        os.kill(process.pid, signal.Signals[name])
        same(reports.line(), name + " by cb")
    os.kill(process.pid, MARK)
    same(reports.rest(), ["MARK by cb"])
    same(end(process.pid), "exit 5")
    same(last(), ["ignored", 5, None, False], (first, second))
text = subprocess.run(["cb", "status", "--json", "x"], stdout=subprocess.PIPE, check=True).stdout
same(json.loads(text)["breakers"][0]["settings"]["count_stopped"], True)

# GNU timeout ends cb and its whole group.
command = ["timeout", ".2"] + CB + ["--count-stopped", "--threshold", "1", "sleep", "60"]
process = start(command, stderr=subprocess.PIPE)
same(end(process.pid), "exit 124")
said = process.stderr.read()
assert said.startswith(b"cb: x: opened: 1 failure in a row: SIGTERM"), said
same(last(), ["failure", None, "SIGTERM", False])
"#,
    );
}

#[test]
fn an_alarm_and_a_pending_signal_from_before_the_start_reach_the_child() {
    check(
        r#"
for number, before in (
    (signal.SIGALRM, lambda: signal.setitimer(signal.ITIMER_REAL, 0.01)),
    (signal.SIGUSR1, lambda: os.kill(os.getpid(), signal.SIGUSR1)),
):
    reports = Reports()
    # Blocked it waits for the child, even if it comes before that has started.
    process = start(CB + reports.child(number.name + "=4"), block=[number], before=before)
    same(reports.rest(), ["ready", number.name + " by cb"], number)
    same(end(process.pid), "exit 4")
"#,
    );
}

#[test]
fn what_the_terminal_sends_to_both_is_not_sent_twice() {
    check(
        r#"
def resize(terminal):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))

for name, act in (
    ("SIGINT", lambda terminal: os.write(terminal, b"\x03")),
    ("SIGQUIT", lambda terminal: os.write(terminal, b"\x1c")),
    ("SIGWINCH", resize),
):
    reports = Reports()
    pid, terminal = in_terminal(CB + reports.child("MARK=1"))
    same(reports.line(), "ready")
    # While cb is stopped, the child takes what the terminal sends; a second one would then come from cb.
    os.kill(pid, signal.SIGSTOP)
    same(stop(pid), "stopped by SIGSTOP")
    act(terminal)
    same(reports.line(), name + " by kernel")
    os.kill(pid, signal.SIGCONT)
    os.kill(pid, MARK)
    said = reports.rest()
    same(said, ["SIGCONT by cb", "MARK by cb"], name)
    same(end(pid), "exit 1")
    same(last()[0], "failure" if name == "SIGWINCH" else "ignored")
    os.close(terminal)
"#,
    );
}

#[test]
fn ctrl_z_stops_and_fg_goes_on() {
    check(
        r#"
reports = Reports()
child = "echo ready >&$0; read line; echo read $line >&$0; exit 7"
script = 'set -m; cb run -n x -- sh -c "$2" "$1"; echo status $? >&$1; fg >/dev/null; echo status $? >&$1'
pid, terminal = in_terminal(["bash", "-c", script, "bash", str(reports.writer), child])
same(reports.line(), "ready")
os.write(terminal, b"\x1a")
same(reports.line(), "status %d" % (128 + signal.SIGTSTP))
os.write(terminal, b"a line\n")
same(reports.line(), "read a line")
same(reports.line(), "status 7")
same(reports.rest(), [])
same(end(pid), "exit 0")
same(last(), ["failure", 7, None, False])
"#,
    );
}

#[test]
fn a_background_child_that_reads_the_terminal_stops_with_cb() {
    check(
        r#"
reports = Reports()
child = "read line; echo read $line >&$0; exit 7"
script = 'set -m; cb run -n x -- sh -c "$1" "$0" & wait $!; echo status $? >&$0; fg >/dev/null; echo status $? >&$0'
pid, terminal = in_terminal(["bash", "-c", script, str(reports.writer), child])
same(reports.line(), "status %d" % (128 + signal.SIGTTIN))
os.write(terminal, b"a line\n")
same(reports.rest(), ["read a line", "status 7"])
same(end(pid), "exit 0")
"#,
    );
}

#[test]
fn a_hang_up_reaches_the_child_of_the_session_leader() {
    check(
        r#"
reports = Reports()
pid, terminal = in_terminal(CB + reports.child("SIGHUP=3"))
same(reports.line(), "ready")
os.close(terminal)
same(reports.rest(), ["SIGHUP by cb"])
same(end(pid), "exit 3")
same(last(), ["ignored", 3, None, False])
"#,
    );
}

#[test]
fn a_hang_up_of_the_whole_group_reaches_the_child_once() {
    check(
        r#"
reports = Reports()
script = 'cb run -n x -- "$@"; exit 9'
pid, terminal = in_terminal(["sh", "-c", script, "sh"] + reports.child("MARK=3"))
same(reports.line(), "ready")
cb = int(open("/proc/%d/task/%d/children" % (pid, pid)).read())
os.close(terminal)
# The leader alone is told, and dies; when it has ended, the kernel tells the others.
same(end(pid), "died of SIGHUP")
same(reports.until("SIGCONT by kernel"), ["SIGHUP by kernel", "SIGCONT by kernel"])
os.kill(cb, MARK)
# The end of the file is the end of cb too.
same(reports.rest(), ["MARK by cb"])
same(last(), ["ignored", 3, None, False])
"#,
    );
}

#[test]
fn a_child_reads_the_terminal() {
    check(
        r#"
reports = Reports()
child = "echo ready >&$0; read line </dev/tty; echo read $line >&$0"
pid, terminal = in_terminal(CB + ["sh", "-c", child, str(reports.writer)])
same(reports.line(), "ready")
os.write(terminal, b"a line\n")
same(reports.rest(), ["read a line"])
same(end(pid), "exit 0")
"#,
    );
}

#[test]
fn a_loop_in_a_shell_ends_on_ctrl_c_if_the_child_died_of_it() {
    check(
        r#"
script = 'for i in 1 2; do cb run -n x -- "$@"; echo "$i: $?" >&$0; done'

def loop(how):
    reports = Reports()
    pid, terminal = in_terminal(["bash", "-c", script, str(reports.writer)] + reports.child("SIGINT=" + how))
    same(reports.line(), "ready")
    os.write(terminal, b"\x03")
    return reports, pid, terminal

reports, pid, terminal = loop("death")
same(reports.rest(), ["SIGINT by kernel"])
same(end(pid), "died of SIGINT")
for status in "0", "130":
    reports, pid, terminal = loop(status)
    same(reports.until("ready"), ["SIGINT by kernel", "1: " + status, "ready"])
    os.write(terminal, b"\x03")
    same(reports.rest(), ["SIGINT by kernel", "2: " + status])
    same(end(pid), "exit 0")
"#,
    );
}
