//! `cb` killed by SIGKILL: the command goes with it; and with `--count-stopped` that is a failure.

use crate::support::namespace::may_unshare;
use crate::support::python::check;
use crate::support::strace::can_trace;
use crate::support::{Sandbox, have};

/// Waits for the end of all that could write to a pipe, and fails where that does not come.
const GONE: &str = r#"
import select, time
def gone(reports):
    os.close(reports.writer)
    reports.writer = os.open(os.devnull, os.O_WRONLY)
    assert select.select([reports.reader], [], [], 60)[0], "it lives on"
    same(reports.rest(), [])
"#;

#[test]
fn sigkill_of_cb_takes_with_it_what_it_has_started() {
    check(&format!(
        r#"{GONE}
subprocess.run(["cb", "trip", "held"], stderr=subprocess.DEVNULL)
for options, name in (
    ([], "x"), (["--count-stopped"], "x"), (["--timeout", "9m"], "x"), (["--foreground", "--timeout", "9m"], "x"),
    (["--fallback", "SAYS"], "held"), (["--threshold", "1", "--on-change", "SAYS"], "opens"),
):
    reports = Reports()
    says = "echo ready >&%d; exec sleep 600" % reports.writer
    options = [says if option == "SAYS" else option for option in options]
    child = says if name == "x" else "exit 1"
    process = start(["cb", "run", "-n", name, *options, "--", "sh", "-c", child], stderr=subprocess.DEVNULL)
    same(reports.line(), "ready")
    os.kill(process.pid, signal.SIGKILL)
    same(end(process.pid), "died of SIGKILL")
    gone(reports)
"#
    ));
}

#[test]
fn what_the_command_has_started_lives_on() {
    check(
        r#"
reports = Reports()
process = start(CB + ["sh", "-c", '"$@" & echo $! >&$0; wait', str(reports.writer)] + reports.child("MARK=0"))
grandchild = int(reports.line())
same(reports.line(), "ready")
os.kill(process.pid, signal.SIGKILL)
same(end(process.pid), "died of SIGKILL")
os.kill(grandchild, MARK)
same(reports.rest(), ["MARK by another"])
"#,
    );
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_behind() {
    check(&format!(
        r#"{GONE}
reports = Reports()
for delay in range(120):
    process = start(CB + ["--threshold", "999", "sleep", "600"])
    # Where it dies, not a wait for anything.
    time.sleep(delay / 10000)
    os.kill(process.pid, signal.SIGKILL)
    same(end(process.pid), "died of SIGKILL")
gone(reports)
"#
    ));
}

/// Its birth is held up until `cb` is dead: nobody would tell it of that any more.
#[test]
fn a_child_that_was_orphaned_before_it_could_know_does_not_start() {
    if !can_trace() {
        return;
    }
    check(
        r#"
slow = ["strace", "-qqq", "-f", "-o", "trace", "-e", "trace=prctl,getppid", "-e", "inject=prctl:delay_enter=1500000"]
process = start(slow + CB + ["touch", "started"])

def children(pid):
    try:
        return [int(child) for child in open("/proc/%d/task/%d/children" % (pid, pid)).read().split()]
    except FileNotFoundError:
        return []

# strace may have others, for a moment.
while not (parents := [child for child in children(process.pid) if children(child)]):
    assert process.poll() is None
cb = parents[0]
os.kill(cb, signal.SIGKILL)
process.wait()
assert not os.path.exists("started")
assert "getppid()" in open("trace").read(), open("trace").read()
"#,
    );
}

#[test]
fn a_parent_in_another_namespace_is_none_that_died() {
    // Without --fork: only the child of cb is in the new one.
    let options = ["--user", "--map-root-user", "--pid"];
    if !may_unshare(&options) {
        return;
    }
    let sandbox = Sandbox::new();
    let cb = ["cb", "run", "-n", "x", "--", "sh", "-c", "echo $$; exit 3"];
    sandbox.command("unshare", options.into_iter().chain(cb)).stdout("1\n").code(3).run();
}

#[test]
fn process_1_reaps_orphans() {
    let options = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    if !may_unshare(&options) || !have("ps") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.cb(["trip", "x", "--for", "0"]).any_stderr().run();
    let script = "for i in 1 2 3; do sh -c 'true &'; done; i=0\n\
                  while ps -o stat= --ppid 1 | grep -q Z; do i=$((i + 1)); [ $i -lt 500 ] || exit 9; done; exit 4";
    let cb = ["cb", "run", "-n", "x", "--healthy-after", "1ms", "--on-change", "sh -c 'true &'", "sh", "-c", script];
    let closed = "cb: x: closed again: probe succeeded\n";
    sandbox.command("unshare", options.into_iter().chain(cb)).code(4).stderr(closed).run();
}
