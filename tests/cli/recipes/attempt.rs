//! One function for each recipe.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Crontab, Daemon, Recipe, closed, counted, down, outage, replaced, service, started, up};
use crate::support::namespace::may_unshare;
use crate::support::server::{Answer, Server, address};
use crate::support::{Sandbox, have, is_root, unmeasured};

const MINUTE: i64 = 60_000;

// Jobs.

pub fn cron(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    service(&sandbox, "fetch-feed");
    let bin = format!("{}/bin", sandbox.home().display());
    let crontab = Crontab::of(&recipe.text("crontab", &[("/usr/local/bin", &bin)]));
    let mut mails = Vec::new();
    for tick in 0..20 {
        match tick {
            2 => down(&sandbox),
            16 => up(&sandbox),
            _ => {}
        }
        let mail = crontab.mail(&sandbox);
        if !mail.is_empty() {
            mails.push((tick, unmeasured(&mail)));
        }
        sandbox.shift("feed", 5 * MINUTE);
    }
    let opened = "cb: feed: opened: 5 failures in a row: exit 7; next try in 30m (TIME), or now with 'cb reset feed'\n";
    assert_eq!(mails, [(6, opened.to_owned()), (18, closed("feed"))]);
    // One probe in 30 minutes, of which two come in an outage of 70.
    let log = fs::read_to_string(sandbox.home().join("feed.log")).expect("the log");
    assert_eq!(log, "fetched\n".repeat(2) + &"no answer\n".repeat(6) + &"fetched\n".repeat(2));
}

/// The result of a unit that systemd starts.
#[derive(Debug, PartialEq)]
enum Unit {
    Done,
    Skipped,
    Failed,
}

pub fn systemd(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    service(&sandbox, "fetch-feed");
    let bin = format!("{}/bin/", sandbox.home().display());
    let state = sandbox.state_dir().display().to_string();
    // systemd would have made the directory and put its path in place of %C.
    let service = recipe.text("ini", &[("/usr/local/bin/", &bin), ("%C/feed/cb", &state)]);
    let timer = recipe.text("ini", &[]);
    for (name, text) in [("feed.service", &service), ("feed.timer", &timer)] {
        assert!(text.starts_with(&format!("# /etc/systemd/system/{name}\n")), "it says where it belongs");
        fs::write(sandbox.work().join(name), text).expect("the unit");
    }
    sandbox.command("systemd-analyze", ["verify", "./feed.service", "./feed.timer"]).run();

    // By systemd.service(5). A shell reads these commands as systemd does, except for the dollar signs.
    let service = service.replace("\\\n", "").replace("$$", "$");
    let value = |key: &str| service.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = |key: &str| value(key).expect("it is set").to_owned();
    let (variable, content) =
        value("Environment").split_once('=').map(|(name, to)| (name.to_owned(), to.to_owned())).expect("one");
    let exits = |key: &str, says: &str| {
        let run = sandbox.command("sh", ["-c", &format!("exec 2>&1\n{}", value(key))]).env(&variable, &content);
        let output = run.output();
        let text = unmeasured(&String::from_utf8(output.stdout).expect("text"));
        assert!(text.contains(says) && (!says.is_empty() || text.is_empty()), "{key} said {text}");
        output.status.code().expect("an exit")
    };
    let starts = |says: [&str; 2]| match exits("ExecCondition", says[0]) {
        0 => match exits("ExecStart", says[1]) {
            0 => Unit::Done,
            code if code.to_string() == value("SuccessExitStatus") => Unit::Done,
            _ => Unit::Failed,
        },
        255 => Unit::Failed,
        _ => Unit::Skipped,
    };
    assert_eq!(starts(["", "fetched"]), Unit::Done);
    down(&sandbox);
    for _ in 0..4 {
        assert_eq!(starts(["", "no answer"]), Unit::Failed);
    }
    assert_eq!(starts(["", "cb: feed: opened: 5 failures in a row: exit 7; next try in 30m ("]), Unit::Failed);
    assert_eq!(started(&sandbox), 6);
    assert_eq!(starts(["", ""]), Unit::Skipped);
    // It opened after the condition had been asked.
    assert_eq!(exits("ExecStart", "").to_string(), value("SuccessExitStatus"));
    assert_eq!(started(&sandbox), 6);
    sandbox.cb(["status", "--state-dir", &state]).stdout_has("feed").run();

    let configuration = sandbox.configure("[defaults]\ncool = 1\n");
    assert_eq!(
        starts(["'cool' is not a setting", "'cool' is not a setting"]),
        Unit::Failed,
        "a mistake is not skipped"
    );
    fs::remove_file(configuration).expect("the configuration");
    up(&sandbox);
    sandbox.shift("feed", 30 * MINUTE);
    assert_eq!(starts(["", &closed("feed")]), Unit::Done);
}

// Services.

pub fn json_api(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let mut server = Server::start();
    let items = format!("http://{}", server.address);
    let script = recipe.text("sh", &[("https://api.example.com", &items)]);
    let run = || sandbox.bash(&script);
    let said = |status: u16| format!("curl: (22) The requested URL returned error: {status}\n");
    let seconds_left = || sandbox.status("api.example.com")["retry_in_ms"].as_f64().expect("a number") / 1000.0;

    server.answers(Answer::of(200, "{\"items\": []}"));
    run().stdout("{\"items\": []}").run();
    assert_eq!(server.asked().what, "GET /v1/items");
    let date = |when: &str| {
        let command = sandbox.command("date", ["-u", "-d", when, "+%a, %d %b %Y %T GMT"]).any_stdout();
        String::from_utf8(command.run().stdout).expect("text").trim().to_owned()
    };
    for (status, after, expected) in [
        (429, "120".to_owned(), 120),
        (503, "120".to_owned(), 120),
        (429, date("50 minutes"), 3000),
        (429, "1795000000".to_owned(), 3600),
        (429, date("2 years"), 3600),
    ] {
        server.answers(Answer(status, format!("Retry-After: {after}\r\n"), "slow down".to_owned()));
        let opened = format!("cb: api.example.com: opened: HTTP {status}, retry after ");
        run().code(22).stderr_has(said(status)).stderr_has(opened).run();
        let left = seconds_left();
        assert!(left <= f64::from(expected) && left > f64::from(expected) - 30.0, "{left} for {after}");
        let answered = server.answered();
        run().code(75).run();
        assert_eq!(server.answered(), answered, "it is left alone");
        server.answers(Answer::of(200, "{}"));
        sandbox.shift("api.example.com", i64::from(expected) * 1000);
        run().stdout("{}").stderr_has("cb: api.example.com: closed again after ").run();
    }
    server.answers(Answer::of(404, "no such thing"));
    for _ in 0..6 {
        run().code(22).stderr(said(404)).run();
    }
    assert_eq!(counted(&sandbox, "api.example.com"), [json!("closed"), json!(5), json!(0)], "each 429 and 503 was one");
    server.stop();
    run().code(7).stderr_has("curl: (7) ").run();
    assert_eq!(counted(&sandbox, "api.example.com"), [json!("closed"), json!(6), json!(0)]);
}

pub fn python_helper(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let mut server = Server::start();
    for name in ["guard.py", "items.py"] {
        let text = recipe.text("python", &[]);
        assert!(text.starts_with(&format!("# {name}")), "it says what it is called");
        fs::write(sandbox.work().join(name), text).expect("the program");
    }
    let url = server.url();
    let run = || sandbox.command("python3", ["-B", "items.py", &url]);
    run().stdout("ok\n\n").run();
    server.answers(Answer::of(404, "none"));
    run().stdout("none\n").run();
    // What is fine brings no Retry-After that counts, and a date is left out.
    server.answers(Answer(200, "Retry-After: 7\r\n".to_owned(), "fine".to_owned()));
    run().stdout("fine\n").run();
    server.answers(Answer(503, "Retry-After: Sun, 06 Nov 2094 08:49:37 GMT\r\n".to_owned(), "out".to_owned()));
    run().stdout("out\n").run();
    assert_eq!(counted(&sandbox, "api.example.com"), [json!("closed"), json!(1), json!(0)]);
    server.answers(Answer(429, "Retry-After: 120\r\n".to_owned(), "later".to_owned()));
    run().stdout("later\n").stderr_has("cb: api.example.com: opened: HTTP 429, retry after 2m; next try in 2m (").run();
    let answered = server.answered();
    run().code(1).stderr_has("guard.Refused: api.example.com").run();
    assert_eq!(server.answered(), answered, "it is left alone");
    sandbox.shift("api.example.com", 2 * MINUTE);
    server.stop();
    run().code(1).stderr_has("Connection refused").run();
    assert_eq!(counted(&sandbox, "api.example.com"), [json!("open"), json!(3), json!(0)], "the probe failed");
}

pub fn before_tool(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    recipe.program(&sandbox, "bash", &[]);
    let call = |command: &str| {
        let call = json!({ "command": command }).to_string();
        sandbox.bash("before-tool <<<\"$CALL\"").env("CALL", call)
    };
    let asks = "curl -sS https://api.example.com/v1/items | jq .";
    call(asks).run();
    assert!(!sandbox.state_dir().exists(), "it changes nothing");
    sandbox.cb(["-q", "record", "api.example.com", "--http-status", "429", "--retry-after", "5m"]).run();
    let before = sandbox.bytes("api.example.com");
    let output = call(asks).any_stdout().run();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["decision"], "block");
    assert_eq!(answer["reason"], "api.example.com is to be left alone: HTTP 429, retry after 5m");
    assert_eq!(answer["retry_at"], sandbox.status("api.example.com")["retry_at"]);
    assert_eq!(sandbox.bytes("api.example.com"), before);
    for other in ["ls", "curl https://www.example.com/", "", "echo http://"] {
        call(other).run();
    }
    sandbox.cb(["-q", "trip", "api.example.com", "--reason", "moving \"house\""]).run();
    call(asks).stdout_has(r#"left alone: moving \"house\"""#).run();
}

/// Where Debian has the programs of the newest `PostgreSQL`.
fn programs_of_postgresql() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let programs = versions.map(|version| version.expect("a version").path().join("bin"));
    let newest = programs.filter(|programs| programs.join("postgres").exists()).max();
    newest.or_else(|| have("postgres").then(|| PathBuf::from("/usr/bin")))
}

pub fn postgresql(recipe: &Recipe) {
    let script = recipe.text("sh", &[]);
    let Some(programs) = programs_of_postgresql() else { return };
    // PostgreSQL does not run as root.
    let sandbox = Sandbox::unprivileged();
    let (programs, home) = (programs.display(), sandbox.home().display().to_string());
    let start = || {
        let script = format!("exec {programs}/postgres -F -D \"$HOME/data\" -k \"$HOME\" -c listen_addresses=");
        Daemon::start(&sandbox, &script, "database system is ready to accept connections")
    };
    let initdb = format!("{programs}/initdb -D \"$HOME/data\" -U tester -A trust -E UTF8 --locale=C --no-sync");
    sandbox.bash(&initdb).any_stdout().run();
    let server = start();
    let psql = |database: &str, sql: &str| {
        let words = ["-X", "-q", "-h", &home, "-U", "tester", "-At", "-c", sql, database];
        sandbox.command("psql", words)
    };
    psql("postgres", "create database shop").run();
    psql("shop", "create table orders (number int); insert into orders values (1), (2)").run();

    // The server is at a socket here, and the recipe names no user.
    let script = replaced(&script, &[("PGHOST=db.example.com", &format!("PGHOST={home} PGUSER=tester"))]);
    let run = || sandbox.bash(&script);
    let counts = " count \n-------\n     2\n(1 row)\n\n";
    run().stdout(counts).run();

    // SQL that is wrong is no outage.
    let wrong = replaced(&script, &[("orders", "no_such_table")]);
    for _ in 0..4 {
        sandbox.bash(&wrong).code(1).stderr_has("does not exist").run();
    }
    assert_eq!(counted(&sandbox, "db.example.com"), [json!("closed"), json!(0), json!(4)]);
    // At the time limit, a shorter one here, the query ends in the server as well.
    let slow = [("select count(*) from orders", "select pg_sleep(600)"), ("--timeout 30s", "--timeout 2s")];
    sandbox
        .bash(&replaced(&script, &slow))
        .code(124)
        .stderr("Cancel request sent\nERROR:  canceling statement due to user request\n")
        .run();
    let others = "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()";
    psql("shop", others).stdout("0\n").run();
    run().stdout(counts).run();

    server.stop();
    let mut server = None;
    assert_eq!(counted(&sandbox, "db.example.com"), [json!("closed"), json!(1), json!(4)]);
    outage(&sandbox, "db.example.com", &run, 3, (&[2], "psql: error: connection to server on socket"), || {
        server = Some(start());
    });
    run().stdout(counts).stderr(closed("db.example.com")).run();
}

pub fn redis(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let address = address();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let start = || {
        let script = format!("exec redis-server --bind {ip} --port {port} --save '' --dir \"$HOME\"");
        Daemon::start(&sandbox, &script, "eady to accept connections")
    };
    // The port is not that of Redis.
    let here = format!("-h {ip} -p {port}");
    let script = recipe.text("sh", &[("-h cache.example.com", &here)]);
    let run = || sandbox.bash(&script);
    let client = |command: &str| sandbox.bash(&format!("redis-cli {here} {command}"));

    let server = start();
    client("rpush jobs one two").stdout("2\n").run();
    run().stdout("one\n").run();
    // Only with -e is an error of the server a failure.
    client(&format!("replicaof {ip} 1")).stdout("OK\n").run();
    let read_only = "READONLY You can't write against a read only replica.";
    let without = replaced(&script, &[("redis-cli -e", "redis-cli")]);
    sandbox.bash(&without).stdout(format!("{read_only}\n\n")).run();
    run().code(1).stderr_has(read_only).run();
    assert_eq!(counted(&sandbox, "cache.example.com"), [json!("closed"), json!(1), json!(0)]);
    client("replicaof no one").stdout("OK\n").run();
    run().stdout("two\n").run();

    server.stop();
    let mut server = None;
    outage(&sandbox, "cache.example.com", &run, 3, (&[1], "Could not connect to Redis at"), || server = Some(start()));
    client("rpush jobs three").stdout("1\n").run();
    run().stdout("three\n").stderr(closed("cache.example.com")).run();
}

pub fn git(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let address = address();
    let start = || {
        let script = format!(
            "exec \"$(git --exec-path)/git-daemon\" --verbose --export-all --reuseaddr --listen={} --port={} \
             --base-path=\"$HOME\"",
            address.ip(),
            address.port()
        );
        Daemon::start(&sandbox, &script, "Ready to rumble")
    };
    let upstream = |message: &str| {
        let commit = format!(
            "git -C ~/upstream -c user.name=T -c user.email=t@example.com commit -q --allow-empty -m '{message}'"
        );
        sandbox.bash(&commit).run();
    };
    let newest = |message: &str| {
        sandbox.bash("git log -1 --format=%s origin/main").stdout(format!("{message}\n")).run();
    };
    sandbox.bash("git init -q -b main ~/upstream").run();
    upstream("first");
    let mut server = Some(start());
    sandbox.bash(&format!("git clone -q git://{address}/upstream .")).run();
    let script = recipe.text("sh", &[]);
    let run = || sandbox.bash(&script);
    upstream("second");
    run().run();
    newest("second");
    server.take().expect("it runs").stop();
    upstream("third");
    outage(&sandbox, "git.example.com", &run, 5, (&[128], "fatal: unable to connect to"), || server = Some(start()));
    newest("second");
    run().stderr(closed("git.example.com")).run();
    newest("third");
    // A branch that cannot be updated is no outage.
    sandbox.bash("git branch -q old origin/main && git -C ~/upstream reset -q --hard main~1").run();
    upstream("another third");
    let one = replaced(&script, &[("--prune origin", "origin main:old")]);
    sandbox.bash(&one).code(1).run();
    assert_eq!(counted(&sandbox, "git.example.com"), [json!("closed"), json!(5), json!(1)]);
}

/// A host that is reached with ssh: sshd on an address of its own, and an `ssh` that finds it under every name.
struct Host<'sandbox> {
    sandbox: &'sandbox Sandbox,
    /// Makes a directory that only root's sshd needs, where nobody sees it.
    prepare: &'static str,
}

impl<'sandbox> Host<'sandbox> {
    /// `None` where a server cannot be started.
    fn new(sandbox: &'sandbox Sandbox) -> Option<Self> {
        let needs_directory = is_root() && !PathBuf::from("/run/sshd").exists();
        if needs_directory && !may_unshare(&["--mount"]) {
            return None;
        }
        let prepare = "exec unshare --mount sh -c 'mount -t tmpfs none /run && mkdir /run/sshd && exec \"$@\"' sh";
        let prepare = if needs_directory { prepare } else { "exec" };
        sandbox.bash("for key in host user; do ssh-keygen -q -t ed25519 -N '' -f ~/$key; done").run();
        let (address, home) = (address(), sandbox.home().display());
        let write = |name: &str, text: String| fs::write(sandbox.home().join(name), text).expect("a file");
        write(
            "sshd_config",
            format!(
                "ListenAddress {address}\nHostKey {home}/host\nAuthorizedKeysFile {home}/user.pub\nStrictModes no\n\
                 UsePAM no\nPidFile none\nPermitRootLogin prohibit-password\nSetEnv HOME={home}\n"
            ),
        );
        write(
            "ssh_config",
            format!(
                "Host *\nHostName {}\nPort {}\nIdentityFile {home}/user\nIdentitiesOnly yes\n\
                 UserKnownHostsFile {home}/known_hosts\n",
                address.ip(),
                address.port()
            ),
        );
        let key = fs::read_to_string(sandbox.home().join("host.pub")).expect("the key");
        write("known_hosts", format!("[{}]:{} {key}", address.ip(), address.port()));
        sandbox.script("ssh", "exec /usr/bin/ssh -F \"$HOME/ssh_config\" \"$@\"");
        Some(Self { sandbox, prepare })
    }

    fn start(&self) -> Daemon {
        let script = format!("{} /usr/sbin/sshd -D -e -f \"$HOME/sshd_config\"", self.prepare);
        Daemon::start(self.sandbox, &script, "Server listening on")
    }
}

pub fn ssh(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let file = sandbox.home().join("lock");
    let script = recipe.text("sh", &[("/srv/backup/.lock", &file.display().to_string())]);
    let run = || sandbox.bash(&script);
    let Some(host) = Host::new(&sandbox) else { return };
    let mut server = Some(host.start());
    // The remote command says no, which is an answer.
    for _ in 0..2 {
        run().code(1).run();
    }
    assert_eq!(counted(&sandbox, "backup.example.com"), [json!("closed"), json!(0), json!(2)]);
    fs::write(file, "").expect("the file");
    run().run();
    server.take().expect("it runs").stop();
    outage(&sandbox, "backup.example.com", &run, 5, (&[255], "Connection refused"), || server = Some(host.start()));
    run().stderr(closed("backup.example.com")).run();
}

pub fn rsync(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let (from, to) = (sandbox.home().join("data"), sandbox.home().join("backup"));
    let directory = |path: &PathBuf| format!("{}/", path.display());
    let script = recipe.text("sh", &[("/srv/data/", &directory(&from)), ("/srv/backup/", &directory(&to))]);
    let run = || sandbox.bash(&script);
    let Some(host) = Host::new(&sandbox) else { return };
    let mut server = Some(host.start());
    // The file to send is missing, which is not the host's fault.
    for _ in 0..2 {
        run().code(23).stderr_has("No such file or directory").run();
    }
    assert_eq!(counted(&sandbox, "backup.example.com"), [json!("closed"), json!(0), json!(2)]);
    fs::create_dir(&from).expect("a directory");
    fs::write(from.join("file"), "text").expect("a file");
    run().run();
    assert_eq!(fs::read(to.join("file")).expect("the copy"), b"text");
    server.take().expect("it runs").stop();
    fs::write(from.join("file"), "another text").expect("a file");
    outage(&sandbox, "backup.example.com", &run, 5, (&[12, 255], "Connection refused"), || server = Some(host.start()));
    run().stderr(closed("backup.example.com")).run();
    assert_eq!(fs::read(to.join("file")).expect("the copy"), b"another text");
}

// Models.

/// The answer of a provider.
fn says(text: &str) -> Answer {
    Answer::of(200, &json!({"choices": [{"message": {"content": text}}]}).to_string())
}

/// Puts the key of a provider where its program looks for it.
fn give_key(sandbox: &Sandbox, host: &str) {
    let directory = sandbox.home().join(".config/llm");
    fs::create_dir_all(&directory).expect("the directory");
    fs::write(directory.join(host), format!("Authorization: Bearer key of {host}\n")).expect("the key");
}

// What runs on.

/// Waits until a breaker is as it should be.
#[track_caller]
fn until(sandbox: &Sandbox, name: &str, is_so: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = if sandbox.state_file(name).exists() { sandbox.status(name) } else { Value::Null };
        if is_so(&status) {
            return;
        }
        assert!(Instant::now() < deadline, "it is not: {status}");
    }
}

/// A program that ends with this code while the service is gone, else when the FIFO `gate` is written to.
fn runs_on(sandbox: &Sandbox, name: &str, code: u8) {
    sandbox.script(
        name,
        &format!(
            "echo started >>\"$HOME/started\"\ntest -e \"$HOME/up\" || exit {code}\nread -r line <\"$HOME/gate\"\nexit {code}"
        ),
    );
    sandbox.bash("mkfifo ~/gate && touch ~/up").run();
}

pub fn tunnel(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    runs_on(&sandbox, "link", 255);
    let bin = format!("{}/bin/", sandbox.home().display());
    let state = sandbox.state_dir().display().to_string();
    let unit = recipe.text("ini", &[("/usr/local/bin/", &bin), ("%C/tunnel/cb", &state)]);
    assert!(unit.starts_with("# /etc/systemd/system/tunnel.service\n"), "it says where it belongs");
    fs::write(sandbox.work().join("tunnel.service"), &unit).expect("the unit");
    sandbox.command("systemd-analyze", ["verify", "./tunnel.service"]).run();

    // In place of ssh a program that needs no other side; and it is well sooner.
    let unit =
        replaced(&unit, &[("\\\n", ""), ("/usr/bin/ssh", "link"), ("--healthy-after 30s", "--healthy-after 100ms")]);
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).expect("it is set");
    assert_eq!(value("Restart"), "always");
    let start = || sandbox.command("sh", ["-c", value("ExecStart")]);
    let name = "db.example.com";
    let running = |successes: u64| {
        let run = start().spawn();
        until(&sandbox, name, |status| status["totals"]["successes"] == successes);
        sandbox.bash("echo >~/gate").run();
        let output = run.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(255));
        String::from_utf8(output.stderr).expect("text")
    };
    assert_eq!(running(1), "");
    fs::remove_file(sandbox.home().join("up")).expect("the service is gone");
    for failure in 1..=3 {
        let output = start().output();
        assert_eq!(output.status.code(), Some(255));
        let opened = "cb: db.example.com: opened: 3 failures in a row: exit 255; next try in 1m (";
        assert_eq!(String::from_utf8(output.stderr).expect("text").starts_with(opened), failure == 3);
    }
    let refused = start().output().status.code().expect("an exit").to_string();
    assert_eq!((started(&sandbox), &*refused), (4, value("SuccessExitStatus")));
    up(&sandbox);
    sandbox.shift(name, MINUTE);
    assert_eq!(unmeasured(&running(2)), closed(name));
    assert_eq!(counted(&sandbox, name), [json!("closed"), json!(3), json!(0)]);
}

pub fn worker(recipe: &Recipe) {
    let sandbox = Sandbox::unprivileged();
    runs_on(&sandbox, "worker", 7);
    let bin = format!("{}/bin/", sandbox.home().display());
    let soon = [("/usr/local/bin/", &*bin), ("user=worker\n", ""), ("--healthy-after 1m", "--healthy-after 100ms")];
    let program = recipe.text("ini", &soon);
    assert!(program.starts_with("; /etc/supervisor/conf.d/worker.conf\n"), "it says where it belongs");
    let home = sandbox.home().display();
    let own = format!("[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={home}/pid\n");
    fs::write(sandbox.work().join("supervisord.conf"), own + &program).expect("the configuration");
    let daemon = Daemon::start(&sandbox, "exec supervisord -n -c supervisord.conf", "entered RUNNING state");
    let name = "queue.example.com";
    let has = |state: &'static str, successes: u64| {
        until(&sandbox, name, move |status| status["state"] == state && status["totals"]["successes"] == successes);
    };
    has("closed", 1);
    // It ends, is restarted, and cannot go on: the breaker opens, and cb waits.
    sandbox.bash("rm ~/up && echo >~/gate").run();
    has("open", 1);
    assert_eq!(started(&sandbox), 6);
    sandbox.bash("touch ~/up").run();
    sandbox.shift(name, MINUTE);
    has("closed", 2);
    assert_eq!(started(&sandbox), 7);
    daemon.stop();
    // Nobody is left who would read.
    sandbox.bash("timeout .5 sh -c 'echo >~/gate'").code(124).run();
    assert_eq!(counted(&sandbox, name), [json!("closed"), json!(5), json!(0)]);
}

pub fn model(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let mut servers = [Server::start(), Server::start()];
    let hosts = servers.each_ref().map(|server| server.address.to_string());
    for host in &hosts {
        give_key(&sandbox, host);
    }
    recipe.program(&sandbox, "bash", &[("https://", "http://")]);
    recipe.program(&sandbox, "bash", &[("llm.example.com", &hosts[0]), ("llm.example.net", &hosts[1])]);
    let run = || sandbox.bash("printf 'Say \"hello\"\\nin German' | llm");
    servers[0].answers(says("hallo"));
    servers[1].answers(says("guten Tag"));
    run().stdout("hallo\n").run();
    let request = servers[0].asked();
    assert_eq!(request.what, "POST /v1/chat/completions");
    let prompt = json!({"model": "small", "messages": [{"role": "user", "content": "Say \"hello\"\nin German"}]});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&request.body).expect("JSON"), prompt);
    for header in [format!("Authorization: Bearer key of {}", hosts[0]), "Content-Type: application/json".to_owned()] {
        assert!(request.headers.contains(&header), "{header} in {:?}", request.headers);
    }
    assert_eq!(servers[1].answered(), 0);

    // The first provider is overloaded. The other is asked at once; after two failures the first is not asked at all.
    servers[0].answers(Answer::of(429, ""));
    run().stdout("guten Tag\n").run();
    let opened = format!(
        "cb: {}: opened: 2 failures in a row: HTTP 429; next try in 2m (<time>), or now with 'cb reset {}'\n",
        hosts[0], hosts[0]
    );
    run().stdout("guten Tag\n").stderr_like(opened).run();
    run().stdout("guten Tag\n").run();
    assert_eq!(servers.each_ref().map(Server::answered), [3, 3]);
    // It says for how long, and then has lost our key, which is no failure.
    sandbox.shift(&hosts[0], 2 * MINUTE);
    servers[0].answers(Answer(429, "Retry-After: 600\r\n".to_owned(), String::new()));
    run().stdout("guten Tag\n").run();
    sandbox.shift(&hosts[0], 9 * MINUTE);
    run().stdout("guten Tag\n").run();
    assert_eq!(servers[0].answered(), 4);
    sandbox.shift(&hosts[0], MINUTE);
    servers[0].answers(Answer::of(401, ""));
    let lost = format!("ask: {}: HTTP 401\n", hosts[0]);
    run().stdout("guten Tag\n").stderr_has(&lost).stderr_has("closed again").run();
    run().stdout("guten Tag\n").stderr(lost).run();
    servers[0].answers(Answer::of(500, ""));
    run().stdout("guten Tag\n").run();
    run().stdout("guten Tag\n").any_stderr().run();
    assert_eq!(sandbox.state(&hosts[0]), "open");

    // Then the other is gone as well. A run that both refuse ends as a refusal.
    servers[1].stop();
    run().code(7).stderr_has("curl: (7) ").run();
    run().code(7).stderr_has(format!("cb: {}: opened: 2 failures", hosts[1])).run();
    run().code(75).run();

    servers[0].answers(says("hallo"));
    sandbox.shift(&hosts[0], 2 * MINUTE);
    run().stdout("hallo\n").stderr(closed(&hosts[0])).run();
}

pub fn agent(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let server = Server::start();
    let host = server.address.to_string();
    give_key(&sandbox, &host);
    let model = Recipe::of("A language model, and another in its place");
    model.program(&sandbox, "bash", &[("https://", "http://")]);
    recipe.program(&sandbox, "bash", &[("llm.example.com", &host)]);
    let prompts = sandbox.work().join("prompts");
    fs::write(prompts, "first\nsecond\nthird\n").expect("the prompts");
    // A loop that does not end must fail.
    let run = || sandbox.bash("exec timeout 60 agent <prompts");

    // The model goes away after the first answer. The agent tries the second twice, then it waits.
    server.answers_first([says("one"), Answer::of(503, ""), Answer::of(503, "")]);
    server.answers(says("more"));
    let mut agent = run().spawn();
    let mut speech = BufReader::new(agent.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with("cb: ") {
        line.clear();
        assert_ne!(speech.read_line(&mut line).expect("text"), 0, "it has ended");
    }
    assert!(line.starts_with(&format!("cb: {host}: opened: 2 failures in a row: HTTP 503; next try in ")), "{line}");
    assert_eq!(server.answered(), 3);
    // The cool-down with all its jitter is over.
    sandbox.shift(&host, 36_000);
    line.clear();
    speech.read_to_string(&mut line).expect("text");
    assert_eq!(unmeasured(&line), closed(&host));
    let output = agent.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"one\nmore\nmore\n"[..]));
    assert_eq!(server.answered(), 5);

    // A wrong request is not tried again, and says nothing about the model.
    server.answers(Answer::of(400, ""));
    run().code(65).stderr(format!("ask: {host}: HTTP 400\n")).run();
    assert_eq!(server.answered(), 6);
    assert_eq!(counted(&sandbox, &host), [json!("closed"), json!(2), json!(0)]);
    // Nor is a command that cannot be started.
    fs::remove_file(sandbox.home().join("bin/ask")).expect("the program");
    run().code(127).stderr_has("ask").run();
    assert_eq!(counted(&sandbox, &host), [json!("closed"), json!(2), json!(1)]);
}

// Many calls.

/// A curl that is counted.
fn count_curl(sandbox: &Sandbox) {
    sandbox.script("curl", "echo started >>\"$HOME/started\"\nexec /usr/bin/curl \"$@\"");
}

pub fn xargs(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let mut server = Server::start();
    count_curl(&sandbox);
    let script = recipe.text("sh", &[]);
    let run = || sandbox.bash(&script);
    let names: BTreeSet<String> = (0..40).map(|number| format!("{number}.jpg")).collect();
    let urls: Vec<String> = names.iter().map(|name| server.url() + name + "\n").collect();
    fs::write(sandbox.work().join("urls"), urls.concat()).expect("the list");
    run().run();
    let files = || {
        let entries = fs::read_dir(sandbox.work()).expect("a directory");
        let names = entries.map(|entry| entry.expect("a file").file_name().into_string().expect("text"));
        names.filter(|name| name != "urls").collect::<BTreeSet<_>>()
    };
    assert_eq!((files(), server.answered()), (names, 40));
    // Pictures that do not exist are no outage, but xargs tells of them.
    server.answers(Answer::of(404, ""));
    run().code(123).any_stderr().run();
    assert_eq!(server.answered(), 80);
    assert_eq!(counted(&sandbox, "img.example.com"), [json!("closed"), json!(0), json!(0)]);

    // At most the runs that were under way when the breaker opened start a curl.
    server.stop();
    let gives_up = || {
        let output = run().output();
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains("cb: exited with status 255; aborting\n"), "{said}");
        // 124 stands for the 255, 123 for another that failed while xargs waited for the rest.
        assert!([Some(123), Some(124)].contains(&output.status.code()), "{}", output.status);
        said
    };
    let started_before = started(&sandbox);
    assert!(gives_up().contains("cb: img.example.com: opened: 5 failures in a row: exit 7; next try in 30s ("));
    let tried = started(&sandbox) - started_before;
    assert!((5..=12).contains(&tried), "{tried} of 40 were tried");
    gives_up();
    assert_eq!(started(&sandbox) - started_before, tried);
}

pub fn breaker_inside(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let mut server = Server::start();
    recipe.program(&sandbox, "sh", &[]);
    // Nobody waits here.
    sandbox.script("sleep", "echo \"$1\" >>\"$HOME/slept\"");
    let slept = || {
        let log = sandbox.home().join("slept");
        let text = fs::read_to_string(&log).unwrap_or_default();
        fs::write(log, "").expect("the log");
        text
    };
    let url = server.url();
    let run = || sandbox.bash(&format!("fetch {url}"));
    let failed = "curl: (22) The requested URL returned error: 503\n";
    run().stdout("ok\n").run();
    assert_eq!(slept(), "");
    server.answers_first([Answer::of(503, ""), Answer::of(503, "")]);
    run().stdout("ok\n").stderr(failed.repeat(2)).run();
    assert_eq!(slept(), "1\n5\n");
    server.answers_first((0..4).map(|_| Answer::of(503, "")));
    run().code(22).stderr(failed.repeat(4)).run();
    assert_eq!(slept(), "1\n5\n25\n");
    // The next failure opens the breaker, so the try after that is refused, and is the last.
    server.stop();
    run().code(75).stderr_has("cb: api.example.com: opened: 5 failures in a row: exit 7; next try in 30s (").run();
    assert_eq!(slept(), "1\n");
    run().code(75).run();
    assert_eq!(slept(), "");
    assert_eq!(server.answered(), 8);
}

pub fn retry_inside(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let mut server = Server::start();
    let script = recipe.text("sh", &[("https://api.example.com", &format!("http://{}", server.address))]);
    // A try that fails before one that succeeds is no failure. curl waits a second between them.
    server.answers_first([Answer::of(503, "")]);
    sandbox.bash(&script).stdout("ok\n").any_stderr().run();
    assert_eq!(server.answered(), 2);
    assert_eq!(counted(&sandbox, "api.example.com"), [json!("closed"), json!(0), json!(0)]);
    // There are fewer tries here, as each makes curl wait for longer.
    let script = replaced(&script, &[("--retry 3", "--retry 1")]);
    let run = || sandbox.bash(&script);
    server.stop();
    outage(&sandbox, "api.example.com", &run, 2, (&[7], "curl: (7) "), || server.come_back());
    run().stdout("ok\n").stderr(closed("api.example.com")).run();
}

// Watching.

pub fn ping(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let server = Server::start();
    let text = recipe.text("toml", &[("https://hc.example.com/UUID", &format!("{}UUID", server.url()))]);
    assert!(text.starts_with("# ~/.config/cb/config.toml\n"), "it says where it belongs");
    sandbox.configure(&text);
    let pinged = |count: usize, what: &str, body: &str| {
        assert_eq!(server.answered(), count);
        let request = server.asked();
        assert_eq!((request.what.as_str(), request.body.as_str()), (what, body));
    };
    sandbox.exits("feed", &[], 0);
    assert_eq!(server.answered(), 0);
    sandbox.open_by("feed", &[], 7);
    pinged(1, "POST /UUID/fail", "feed: 5 failures in a row: exit 7");
    sandbox.exits("feed", &[], 75);
    sandbox.shift("feed", MINUTE);
    sandbox.exits("feed", &[], 7);
    assert_eq!(server.answered(), 1, "nothing has changed");
    sandbox.shift("feed", MINUTE);
    sandbox.runs("feed", &[], 0).stderr(closed("feed")).run();
    pinged(2, "POST /UUID", "feed: probe succeeded");
    sandbox.cb(["trip", "feed", "--reason", "moving"]).run();
    pinged(3, "POST /UUID/fail", "feed: moving");
    sandbox.cb(["reset", "feed"]).run();
    pinged(4, "POST /UUID", "feed: reset");
    sandbox.cb(["disable", "feed"]).run();
    assert_eq!(server.answered(), 4);
    // The hook does not run for other breakers.
    sandbox.cb(["-q", "trip", "other"]).run();
    assert_eq!(server.answered(), 4);
}

/// A breaker opens in the sixth minute: 14 minutes later there is no alert, 16 minutes later there is one.
const TEST_OF_RULES: &str = r#"
rule_files: [rules.yml]
tests:
  - interval: 1m
    input_series:
      - series: cb_state{name="feed",state="closed"}
        values: 1x5 0x30
    alert_rule_test:
      - eval_time: 20m
        alertname: BreakerOpen
        exp_alerts: []
      - eval_time: 22m
        alertname: BreakerOpen
        exp_alerts:
          - exp_labels: {name: feed, state: closed}
            exp_annotations: {summary: The breaker feed has not been closed for 15 minutes}
"#;

pub fn prometheus(recipe: &Recipe) {
    let sandbox = Sandbox::new();
    let directory = sandbox.home().join("metrics");
    fs::create_dir(&directory).expect("the directory");
    let (bin, path) = (format!("{}/bin", sandbox.home().display()), directory.display().to_string());
    let examples = [("/usr/local/bin", bin.as_str()), ("/var/lib/prometheus/node-exporter", path.as_str())];
    let crontab = Crontab::of(&recipe.text("crontab", &examples));
    let written = || {
        let names = fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("a file").file_name());
        let text = fs::read_to_string(directory.join("cb.prom")).expect("the metrics");
        (names.collect::<Vec<_>>(), text)
    };
    let metrics = || String::from_utf8(sandbox.cb(["metrics"]).any_stdout().run().stdout).expect("text");
    sandbox.exits("feed", &[], 0);
    assert_eq!(crontab.mail(&sandbox), "");
    let before = metrics();
    assert_eq!(written(), (vec!["cb.prom".into()], before.clone()));
    sandbox
        .command("promtool", ["check", "metrics"])
        .with(|command| {
            command.stdin(fs::File::open(directory.join("cb.prom")).expect("the metrics"));
        })
        .run();
    // On a full disk cron mails the error, and the old file stays.
    sandbox.exits("feed", &[], 7);
    let temporary = directory.join("cb.prom.tmp");
    std::os::unix::fs::symlink("/dev/full", &temporary).expect("a link");
    assert!(crontab.mail(&sandbox).contains("No space left on device"), "it says what is wrong");
    assert_eq!(written().1, before);
    fs::remove_file(temporary).expect("the link");
    assert_eq!(crontab.mail(&sandbox), "");
    assert_eq!(written(), (vec!["cb.prom".into()], metrics()));

    let rules = recipe.text("yaml", &[]);
    let write = |name: &str, text: &str| fs::write(sandbox.work().join(name), text).expect("a file");
    write("rules.yml", &rules);
    sandbox
        .command("promtool", ["check", "rules", "rules.yml"])
        .stdout("Checking rules.yml\n  SUCCESS: 1 rules found\n\n")
        .run();
    // The rule asks for one of the metrics above.
    sandbox.exits("feed", &[], 0);
    sandbox.open_by("feed", &[], 7);
    assert!(metrics().contains("\ncb_state{name=\"feed\",state=\"closed\"} 0\n"));
    write("test.yml", TEST_OF_RULES);
    sandbox.command("promtool", ["test", "rules", "test.yml"]).stdout_has("SUCCESS").run();
}
