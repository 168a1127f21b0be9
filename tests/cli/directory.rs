//! The directory of the states: who may write to it, what is in its place, and where it is. The command always runs,
//! and one line says what is wrong and what to do.
//! See cb-contract(7) 3.19, 3.20 and 5.1 to 5.5.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use crate::support::namespace::may_unshare;
use crate::support::{COMMAND, NOBODY, Sandbox, is_root, names_in, refused, unguarded};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
}

// Access rights.

#[test]
fn files_are_private_whatever_the_umask() {
    for umask in ["000", "022", "077", "277", "777"] {
        let sandbox = Sandbox::unprivileged();
        for _ in 0..2 {
            sandbox.bash(&format!("umask {umask}; exec cb run -n a -- false")).code(1).run();
        }
        assert_eq!(sandbox.status("a")["consecutive_failures"], 2, "umask {umask}");
        assert_eq!(mode(&sandbox.state_file("a")), 0o600, "umask {umask}");
        assert_eq!(mode(&sandbox.state_dir()), 0o700, "umask {umask}");
        assert_eq!(mode(&sandbox.home().join(".cache")), 0o700, "umask {umask}");
    }
}

#[test]
fn the_child_has_the_umask_of_the_caller() {
    let sandbox = Sandbox::new();
    sandbox.bash("umask 027; cb run -n a -- sh -c umask").stdout("0027\n").run();
}

#[test]
fn a_directory_that_is_shared_gives_its_files_to_its_group() {
    let sandbox = Sandbox::new();
    let dir = sandbox.home().join("shared-state");
    fs::create_dir(&dir).expect("a directory");
    // Root can give files to any group, others only to their own.
    if is_root() {
        chown(&dir, None, Some(12_345)).expect("root may");
    }
    fs::set_permissions(&dir, Permissions::from_mode(0o770)).expect("ours");
    let group = fs::metadata(&dir).expect("it is there").gid();
    sandbox.bash("umask 077; cb run -n a --state-dir ../shared-state -- true").run();
    let made = fs::metadata(dir.join("a.json")).expect("the state");
    assert_eq!((made.mode() & 0o7777, made.gid()), (0o660, group));
    // Without the group's right to write nothing is shared.
    fs::set_permissions(&dir, Permissions::from_mode(0o750)).expect("ours");
    sandbox.bash("cb run -n b --state-dir ../shared-state -- true").run();
    assert_eq!(mode(&dir.join("b.json")), 0o600);
}

#[test]
fn a_directory_need_not_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let dir = sandbox.home().join(OsStr::from_bytes(b"\xff"));
    sandbox.cb(["run", "-n", "a", "--", "true"]).env("CB_STATE_DIR", &dir).run();
    fs::write(dir.join("b.json"), "{").expect("a file");
    for command in ["status", "history"] {
        let run = sandbox.cb([command, "--json"]).env("CB_STATE_DIR", &dir).any_stderr();
        run.stdout_has(format!("{}/\u{fffd}/b.json\"", sandbox.home().display())).run();
    }
}

#[test]
fn a_file_that_cannot_be_given_to_the_group_stays_private() {
    if !is_root() {
        eprintln!("skipped: only root can make a directory of a group that is not ours");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    let dir = sandbox.home().join("shared-state");
    fs::create_dir(&dir).expect("a directory");
    chown(&dir, Some(NOBODY), Some(12_345)).expect("root may");
    fs::set_permissions(&dir, Permissions::from_mode(0o770)).expect("root may");
    sandbox.cb(["run", "-n", "a", "--state-dir", "../shared-state", "--", "true"]).run();
    let made = fs::metadata(dir.join("a.json")).expect("the state");
    assert_eq!((made.mode() & 0o7777, made.gid()), (0o600, NOBODY), "not readable by a group that nobody chose");
}

#[test]
fn a_directory_that_everybody_can_write_to_is_not_used() {
    let sandbox = Sandbox::new();
    let dir = sandbox.home().join("open-to-all");
    fs::create_dir(&dir).expect("a directory");
    for bits in [0o777, 0o702] {
        fs::set_permissions(&dir, Permissions::from_mode(bits)).expect("ours");
        let warning = format!(
            "{0} is writable by everybody, who could hold its locks; run 'chmod o-w {0}', or give another --state-dir",
            dir.display()
        );
        sandbox
            .cb(COMMAND)
            .env("CB_STATE_DIR", &dir)
            .stdout("ran\n")
            .stderr(format!("cb: a: unguarded: {warning}\n"))
            .run();
        sandbox.cb(["status"]).env("CB_STATE_DIR", &dir).code(125).stderr(format!("cb: {warning}\n")).run();
        assert_eq!(names_in(&dir), [""; 0]);
    }
    // The cure works.
    sandbox.command("chmod", ["o-w".as_ref(), dir.as_os_str()]).run();
    sandbox.cb(COMMAND).env("CB_STATE_DIR", &dir).stdout("ran\n").run();
    assert_eq!(names_in(&dir), ["a.json"]);
}

#[test]
fn advice_can_be_pasted_whatever_is_in_the_path() {
    let sandbox = Sandbox::new();
    let dir = sandbox.home().join("my \"$HOME\" `x` \\ it's!now");
    fs::create_dir(&dir).expect("a directory");
    fs::set_permissions(&dir, Permissions::from_mode(0o777)).expect("ours");
    let output = sandbox.cb(["status"]).env("CB_STATE_DIR", &dir).code(125).any_stderr().run();
    let said = String::from_utf8(output.stderr).expect("text");
    let (_, advice) = said.split_once("; run '").expect("advice");
    let (advice, _) = advice.rsplit_once("', or ").expect("an end of it");
    // bash expands history as at a prompt.
    let typed = format!("set -o history -H\n{advice}\n");
    fs::write(sandbox.work().join("typed"), typed).expect("a file");
    sandbox.bash("bash <typed").run();
    assert_eq!(fs::metadata(&dir).expect("it is there").mode() & 0o777, 0o775);
}

#[test]
fn the_default_directory_must_not_be_the_groups_either() {
    let sandbox = Sandbox::new();
    sandbox.make_state_dir();
    fs::set_permissions(sandbox.state_dir(), Permissions::from_mode(0o770)).expect("ours");
    let warning = format!(
        "{0} is writable by its group; run 'chmod g-w {0}', or name it with --state-dir to share it",
        sandbox.state_dir().display()
    );
    unguarded(&sandbox, &warning);
    refused(&sandbox, &warning);
    assert_eq!(names_in(&sandbox.state_dir()), [""; 0]);
}

#[test]
fn the_default_directory_must_be_ones_own() {
    if !is_root() {
        eprintln!("skipped: only root can leave a directory behind that is another's");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    sandbox.make_state_dir();
    chown(sandbox.state_dir(), Some(0), Some(0)).expect("root may");
    let shown = sandbox.state_dir().display().to_string();
    let warning = format!(
        "{shown} belongs to another user (0); run 'sudo chown -R {NOBODY} {shown}', or give another --state-dir"
    );
    unguarded(&sandbox, &warning);
    // A named directory may be another user's.
    fs::set_permissions(sandbox.state_dir(), Permissions::from_mode(0o755)).expect("root may");
    let dir = sandbox.state_dir();
    sandbox.cb(["status", "--state-dir"].map(AsRef::as_ref).into_iter().chain([dir.as_os_str()])).any_stdout().run();
}

#[test]
fn root_is_not_advised_to_take_a_users_directory() {
    if !is_root() {
        eprintln!("skipped: only root can be root");
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.make_state_dir();
    chown(sandbox.state_dir(), Some(NOBODY), Some(NOBODY)).expect("root may");
    let warning = format!(
        "{} belongs to another user ({NOBODY}); run cb as that user, or give another --state-dir",
        sandbox.state_dir().display()
    );
    unguarded(&sandbox, &warning);
    assert_eq!(names_in(&sandbox.state_dir()), [""; 0]);
}

#[test]
fn left_overs_of_a_run_under_sudo_are_explained() {
    if !is_root() {
        eprintln!("skipped: only root can leave a file behind that is root's");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    sandbox.put("a", "");
    chown(sandbox.state_file("a"), Some(0), Some(0)).expect("root may");
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o600)).expect("root may");
    let (path, dir) = (sandbox.state_file("a"), sandbox.state_dir());
    let warning = format!(
        "could not open {}: it belongs to another user (0), perhaps from a run under sudo; run 'sudo chown -R {NOBODY} {}'",
        path.display(),
        dir.display()
    );
    unguarded(&sandbox, &warning);
    refused(&sandbox, &warning);
    sandbox.cb(["trip", "a"]).code(125).stderr(format!("cb: {warning}\n")).run();
    // The cure works, as root.
    chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
    sandbox.exits("a", &[], 0);
}

#[test]
fn nobody_is_advised_to_take_what_is_not_theirs() {
    if !is_root() {
        eprintln!("skipped: only root can become a user whose home is not theirs");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    for (home, above) in [("/nonexistent", "/"), ("/usr/sbin", "/usr/sbin")] {
        let why = format!("Permission denied; {above} belongs to another user (0); give another --state-dir");
        let warning = format!("could not make the state directory {home}/.cache/cb: {why}");
        sandbox.cb(COMMAND).env("HOME", home).stdout("ran\n").stderr(format!("cb: a: unguarded: {warning}\n")).run();
    }
    // The user may have back the own cache that root made.
    let cache = sandbox.home().join(".cache");
    fs::create_dir(&cache).expect("a directory");
    chown(&cache, Some(0), Some(0)).expect("root may");
    let (cache, dir) = (cache.display(), sandbox.state_dir());
    let why = format!("{cache} belongs to another user (0), perhaps from a run under sudo");
    let cure = format!("run 'sudo chown -R {NOBODY} {cache}', or give another --state-dir");
    let warning = format!("could not make the state directory {}: Permission denied; {why}; {cure}", dir.display());
    unguarded(&sandbox, &warning);
}

#[test]
fn a_file_that_somebody_else_could_lock_is_made_private_again() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    for bits in [0o644, 0o666, 0o640] {
        fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(bits)).expect("ours");
        sandbox.exits("a", &[], 0);
        assert_eq!(mode(&sandbox.state_file("a")), 0o600);
    }
}

// The directory.

#[test]
fn a_directory_that_is_a_link_is_not_followed() {
    let sandbox = Sandbox::new();
    let elsewhere = sandbox.home().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    fs::create_dir(sandbox.home().join(".cache")).expect("a directory");
    symlink(&elsewhere, sandbox.state_dir()).expect("a link");
    let warning = format!(
        "{} is a symbolic link, which cb does not follow; give the directory itself as --state-dir",
        sandbox.state_dir().display()
    );
    unguarded(&sandbox, &warning);
    sandbox.cb(["status"]).code(125).stderr(format!("cb: {warning}\n")).run();
    // A slash, as completion adds it, would look through the link.
    for end in ["/", "//", "/."] {
        let dir = format!("{}{end}", sandbox.state_dir().display());
        sandbox.cb(["status", "--state-dir", &dir]).code(125).stderr(format!("cb: {warning}\n")).run();
        sandbox.cb(["status"]).env("CB_STATE_DIR", dir).code(125).stderr(format!("cb: {warning}\n")).run();
    }
    assert_eq!(names_in(&elsewhere), [""; 0]);
}

#[test]
fn a_directory_below_a_link_is_fine() {
    let sandbox = Sandbox::new();
    let elsewhere = sandbox.home().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    symlink(&elsewhere, sandbox.home().join(".cache")).expect("a link");
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 1);
    assert_eq!(names_in(&elsewhere.join("cb")), ["a.json"]);
}

#[test]
fn a_directory_that_is_a_file_is_not_used() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.home().join(".cache")).expect("a directory");
    fs::write(sandbox.state_dir(), "precious").expect("a file");
    let shown = sandbox.state_dir().display().to_string();
    unguarded(&sandbox, &format!("{shown} is not a directory; move it away, or give another --state-dir"));
    fs::remove_file(sandbox.state_dir()).expect("it is there");
    fs::remove_dir(sandbox.home().join(".cache")).expect("it is empty");
    fs::write(sandbox.home().join(".cache"), "precious").expect("a file");
    unguarded(&sandbox, &format!("could not look at {shown}: Not a directory; give another --state-dir"));
}

#[test]
fn a_home_in_which_nothing_can_be_made() {
    let sandbox = Sandbox::unprivileged();
    fs::set_permissions(sandbox.home(), Permissions::from_mode(0o500)).expect("ours");
    let shown = sandbox.state_dir().display().to_string();
    let cure = format!("run 'chmod u+rwx {}', or give another --state-dir", sandbox.home().display());
    let warning = format!("could not make the state directory {shown}: Permission denied; {cure}");
    unguarded(&sandbox, &warning);
    refused(&sandbox, &warning);
    sandbox.cb(["trip", "a"]).code(125).stderr(format!("cb: {warning}\n")).run();
    // Where there is nothing, commands that only look have no trouble.
    sandbox.cb(["check", "a"]).run();
    sandbox.cb(["status"]).stdout("no breakers yet; the first 'cb run --name NAME -- COMMAND' makes one\n").run();
}

#[test]
fn a_home_that_is_not_there() {
    let sandbox = Sandbox::unprivileged();
    fs::set_permissions(sandbox.home(), Permissions::from_mode(0o500)).expect("ours");
    let home = sandbox.home().join("absent");
    let warning = format!(
        "could not make the state directory {}/.cache/cb: Permission denied; run 'chmod u+rwx {}', or give another \
         --state-dir",
        home.display(),
        sandbox.home().display()
    );
    sandbox.cb(COMMAND).env("HOME", &home).stdout("ran\n").stderr(format!("cb: a: unguarded: {warning}\n")).run();
}

#[test]
fn a_directory_in_which_nothing_can_be_made() {
    let sandbox = Sandbox::unprivileged();
    sandbox.exits("b", &[], 1);
    fs::set_permissions(sandbox.state_dir(), Permissions::from_mode(0o500)).expect("ours");
    let path = sandbox.state_file("a");
    let warning = format!(
        "could not open {}: Permission denied; run 'chmod u+rwx {}', or give another --state-dir",
        path.display(),
        sandbox.state_dir().display()
    );
    unguarded(&sandbox, &warning);
    sandbox.exits("b", &[], 1);
    assert_eq!(sandbox.status("b")["consecutive_failures"], 2, "a file that is there is written in place");
}

#[test]
fn a_directory_that_cannot_be_listed() {
    let sandbox = Sandbox::unprivileged();
    sandbox.exits("a", &[], 1);
    fs::set_permissions(sandbox.state_dir(), Permissions::from_mode(0o300)).expect("ours");
    let line = format!(
        "cb: could not list {0}: Permission denied; run 'chmod u+rwx {0}', or give another --state-dir\n",
        sandbox.state_dir().display()
    );
    sandbox.cb(["status"]).code(125).stderr(&line).run();
    sandbox.cb(["reset", "--all"]).code(125).stderr(&line).run();
    sandbox.exits("a", &[], 1);
    assert_eq!(sandbox.status("a")["consecutive_failures"], 2, "its files can be used all the same");
}

#[test]
fn a_file_that_can_only_be_read_still_refuses() {
    let sandbox = Sandbox::unprivileged();
    sandbox.open_by("a", &["--cooldown", "1h"], 1);
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o400)).expect("ours");
    let before = sandbox.bytes("a");
    sandbox.cb(COMMAND).code(75).run();
    sandbox.cb(["run", "-v", "-n", "a", "--", "echo", "ran"]).code(75).stderr_has("cb: a: refused, it is open").run();
    let warning = format!(
        "could not open {0}: Permission denied; run 'chmod u+rw {0}', or give another --state-dir",
        sandbox.state_file("a").display()
    );
    refused(&sandbox, &warning);
    assert_eq!(sandbox.bytes("a"), before);
    // Once the cool-down is over it lets runs through, and says why nothing is recorded.
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o600)).expect("ours");
    sandbox.shift("a", 3_600_000);
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o400)).expect("ours");
    unguarded(&sandbox, &warning);
    // A state that cannot be read refuses nothing.
    fs::set_permissions(sandbox.state_file("a"), Permissions::from_mode(0o000)).expect("ours");
    unguarded(&sandbox, &warning);
}

// Where home is.

#[test]
fn relative_paths_of_the_environment_are_not_used() {
    let sandbox = Sandbox::new();
    sandbox.cb(["run", "-n", "a", "--", "true"]).env("XDG_CACHE_HOME", "relative").run();
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
    let cache = sandbox.home().join("other-cache");
    sandbox.cb(["run", "-n", "b", "--", "true"]).env("XDG_CACHE_HOME", &cache).run();
    assert_eq!(names_in(&cache.join("cb")), ["b.json"]);
    sandbox.cb(["run", "-n", "c", "--", "true"]).env("XDG_CACHE_HOME", &cache).env("HOME", "relative").run();
    sandbox.cb(["run", "-n", "d", "--", "true"]).env("XDG_CACHE_HOME", &cache).env_remove("HOME").run();
    assert_eq!(names_in(&cache.join("cb")), ["b.json", "c.json", "d.json"]);
    assert_eq!(names_in(&sandbox.work()), [""; 0]);
}

#[test]
fn without_home_the_one_in_passwd_is_used() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let home = sandbox.home().display();
    fs::write(sandbox.work().join("passwd"), format!("root:x:0:0::{home}/of-passwd:/bin/sh\n")).expect("a file");
    fs::create_dir(sandbox.home().join("of-passwd")).expect("a directory");
    for (name, home) in [("unset", "unset HOME"), ("empty", "HOME="), ("relative", "HOME=relative")] {
        let script = format!(
            "exec unshare -Urm sh -c 'mount --bind passwd /etc/passwd && {home} && exec cb run -n {name} -- echo ran'"
        );
        sandbox.bash(&script).stdout("ran\n").run();
    }
    let dir = sandbox.home().join("of-passwd/.cache/cb");
    assert_eq!(names_in(&dir), ["empty.json", "relative.json", "unset.json"]);
    assert_eq!(names_in(&sandbox.work()), ["passwd"]);
}

#[test]
fn root_uses_no_home_of_another_user() {
    if !is_root() {
        eprintln!("skipped: only root can make a home of another user");
        return;
    }
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let home = sandbox.home();
    fs::write(sandbox.work().join("passwd"), format!("root:x:0:0::{}/of-root:/bin/sh\n", home.display()))
        .expect("a file");
    let configured = |dir: &str, threshold: u32| {
        fs::create_dir_all(home.join(dir).join("cb")).expect("a directory");
        let text = format!("[defaults]\nthreshold = {threshold}\n");
        fs::write(home.join(dir).join("cb/config.toml"), text).expect("a file");
    };
    for (dir, threshold) in [("of-root/.config", 11), ("of-ann/.config", 12), ("conf-of-ann", 13), ("conf-of-root", 14)]
    {
        configured(dir, threshold);
    }
    for dir in ["of-root", "of-ann", "cache-of-ann", "cache-of-root"] {
        fs::create_dir_all(home.join(dir)).expect("a directory");
    }
    // Root could use them but for their owner.
    for dir in ["of-ann", "cache-of-ann", "conf-of-ann"] {
        fs::set_permissions(home.join(dir), Permissions::from_mode(0o755)).expect("ours");
        chown(home.join(dir), Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    let threshold = |environment: &str| {
        let script = format!(
            "exec unshare -Urm sh -c 'mount --bind passwd /etc/passwd && cd .. && export {environment} && \
             cb run -n a -- true && cb config a --json'"
        );
        let output = sandbox.bash(&script).any_stdout().run();
        let config: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        config["settings"]["threshold"]["value"].as_str().expect("text").to_owned()
    };
    let made = |dir: &str| {
        let cache = home.join(dir);
        let made = cache.join("cb/a.json").exists();
        drop(fs::remove_dir_all(cache.join("cb")));
        made
    };
    // Another user's path counts as not set, and so does one that root would make in another user's directory.
    for environment in [
        "HOME=$PWD/of-ann",
        "HOME=$PWD/of-ann/absent/too",
        "HOME=$PWD/of-ann XDG_CACHE_HOME=$PWD/cache-of-ann XDG_CONFIG_HOME=$PWD/conf-of-ann",
        "HOME=$PWD/of-root XDG_CACHE_HOME=$PWD/cache-of-ann/absent XDG_CONFIG_HOME=$PWD/conf-of-ann",
    ] {
        assert_eq!(threshold(environment), "11", "{environment}");
        assert!(made("of-root/.cache"), "{environment}");
        for dir in ["of-ann", "cache-of-ann"] {
            assert!(!home.join(dir).join(".cache").exists() && !home.join(dir).join("cb").exists(), "{environment}");
        }
    }
    // What is root's own is used beside it.
    let environment = "HOME=$PWD/of-ann XDG_CACHE_HOME=$PWD/cache-of-root XDG_CONFIG_HOME=$PWD/conf-of-root";
    assert_eq!(threshold(environment), "14");
    assert!(made("cache-of-root"));
}

#[test]
fn a_home_that_is_anothers_is_used_by_a_user_who_can_write_to_it() {
    if !is_root() {
        eprintln!("skipped: only root can make a home of another user");
        return;
    }
    let sandbox = Sandbox::unprivileged();
    let home = sandbox.home().join("of-root");
    fs::create_dir(&home).expect("a directory");
    fs::set_permissions(&home, Permissions::from_mode(0o777)).expect("ours");
    sandbox.cb(["run", "-n", "a", "--", "true"]).env("HOME", &home).run();
    assert_eq!(names_in(&home.join(".cache/cb")), ["a.json"]);
}

#[test]
fn without_any_home_the_command_runs() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let script = |command: &str| {
        format!("exec unshare -Urm sh -c 'mount --bind /dev/null /etc/passwd && unset HOME && exec {command}'")
    };
    let why = "there is no home directory to keep the state in; set HOME to an absolute path, or give --state-dir";
    let run = sandbox.bash(&script("cb run -n a -- echo ran"));
    run.stdout("ran\n").stderr(format!("cb: a: unguarded: {why}\n")).run();
    let run = sandbox.bash(&script("cb run -n a --on-state-error refuse -- echo ran"));
    run.code(125).stderr(format!("cb: {why}\n")).run();
    sandbox.bash(&script("cb status")).code(125).stderr(format!("cb: {why}\n")).run();
    sandbox.bash(&script("cb run -n a --state-dir state -- echo ran")).stdout("ran\n").run();
    assert_eq!(names_in(&sandbox.work().join("state")), ["a.json"]);
}
