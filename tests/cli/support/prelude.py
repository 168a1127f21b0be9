# What the test programs in Python share. Their descriptors are the synchronisation: a child that has one to write to
# reports through it, and its end is seen as the end of the file.
import atexit, ctypes, fcntl, json, os, pty, resource, signal, struct, subprocess, sys, termios

# Whoever runs the tests may have ignored or blocked some; Python ignores two.
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, ())


def too_long(number, frame):
    raise TimeoutError("this test hangs")


# A test that hangs must fail.
signal.signal(signal.SIGALRM, too_long)
signal.alarm(60)


@atexit.register
def leave_nothing_behind():
    """Ends all that are left. Those whose parents end become our children: we are a subreaper."""
    while children := open("/proc/self/task/%d/children" % os.getpid()).read().split():
        for pid in map(int, children):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

CB = ["cb", "run", "-n", "x"]
# Uncaught it ends a process, terminals and shells do not send it, and it is larger than every signal with a name: what
# `cb` is sent before it, `cb` has dealt with when this one arrives.
MARK = signal.SIGRTMIN + 6

# A child that blocks every signal and reports each that it gets, by whom it was sent and in the order of arrival. Its
# arguments are the descriptor to report to and, as NAME=CODE, what ends it and how; the code "death" is the signal itself.
REPORTER = """
import os, signal, sys
ends = dict(word.split("=") for word in sys.argv[2:])
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
parent = int(os.environ.get("PARENT", os.getppid()))
os.write(int(sys.argv[1]), b"ready\\n")
while True:
    info = signal.sigwaitinfo(signal.valid_signals())
    name = "MARK" if info.si_signo == signal.SIGRTMIN + 6 else "RT%d" % (info.si_signo - signal.SIGRTMIN)
    if info.si_signo < 32:
        name = signal.Signals(info.si_signo).name
    sender = "kernel" if info.si_code == 128 else "cb" if info.si_pid == parent else "another"
    os.write(int(sys.argv[1]), ("%s by %s\\n" % (name, sender)).encode())
    end = ends.get(name)
    if end == "death":
        signal.signal(info.si_signo, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [info.si_signo])
        os.kill(os.getpid(), info.si_signo)
    elif end:
        os._exit(int(end))
"""


def same(actual, expected, where=""):
    """Asserts that what happened is what should have."""
    assert actual == expected, "%s: %r is not %r" % (where, actual, expected)


class Reports:
    """A pipe whose writing end our children inherit."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        os.set_inheritable(self.writer, True)

    def child(self, *ends):
        """The command of a child that reports here."""
        return [sys.executable, "-c", REPORTER, str(self.writer), *ends]

    def line(self):
        """The next line. At the end of the file it is empty."""
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self.reader, 1)
            if not byte:
                break
            line += byte
        return line.decode().rstrip("\n")

    def until(self, last):
        """The lines up to this one, or to the end of the file."""
        lines = [self.line()]
        while lines[-1] not in (last, ""):
            lines.append(self.line())
        return lines

    def rest(self):
        """What is written until all who could write have ended."""
        os.close(self.writer)
        return self.until("")[:-1]


# Python reaps a child that nobody has a name for.
STARTED = []


def start(command, ignore=(), block=(), group=False, before=lambda: None, **options):
    """Starts a command that finds these signals ignored and blocked. It inherits descriptors."""

    def ready():
        for number in ignore:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, block)
        if group:
            os.setpgrp()
        before()

    STARTED.append(subprocess.Popen(command, preexec_fn=ready, close_fds=False, **options))
    return STARTED[-1]


def in_terminal(command, block=()):
    """Starts a command as the leader of a session with a terminal of its own: its number, and the other end."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, block)
        os.execvp(command[0], command)
    return pid, terminal


def called(number):
    """The name of a signal."""
    return signal.Signals(number).name if number < 32 else "RT%d" % (number - signal.SIGRTMIN)


def told(status):
    """A status of waitpid in words."""
    if os.WIFSTOPPED(status):
        return "stopped by " + called(os.WSTOPSIG(status))
    if os.WIFSIGNALED(status):
        return "died of " + called(os.WTERMSIG(status))
    return "exit %d" % os.WEXITSTATUS(status)


def stop(pid):
    """Waits until a child is stopped, or has ended, and says which."""
    return told(os.waitpid(pid, os.WUNTRACED)[1])


def end(pid):
    """Waits for the end of a child and says what it was."""
    return told(os.waitpid(pid, 0)[1])


def last(name="x"):
    """What `cb status` says of the last result: the outcome, the exit code, the signal, whether its time was over."""
    text = subprocess.run(["cb", "status", "--json", name], stdout=subprocess.PIPE, check=True).stdout
    result = json.loads(text)["breakers"][0]["last"]
    return [result[key] for key in ("outcome", "exit_code", "signal", "timed_out")]
