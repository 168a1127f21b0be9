//! Every cure works: the user who reads it carries it out as it is written, and then the run is guarded and silent.
//! See cb-contract(7) 3.19.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::namespace::may_unshare;
use crate::support::{COMMAND, NOBODY, Run, Sandbox, have, is_root, names_in};

/// A user whom the system does not know, and the user's group.
const MEMBER: u32 = 12_345;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is there, and ours");
}

#[track_caller]
fn give(path: &Path, user: u32, group: u32) {
    chown(path, Some(user), Some(group)).expect("root may");
}

/// The one line by which a run says what is wrong. Nothing else may be wrong with the run.
#[track_caller]
fn said(run: Run) -> String {
    let output = run.output();
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// The command in a line's cure.
#[track_caller]
fn command_in(said: &str) -> String {
    let (_, rest) = said.split_once("run '").unwrap_or_else(|| panic!("{said} tells no command"));
    let (command, _) = rest.split_once("', or ").or_else(|| rest.trim_end().rsplit_once('\'')).expect("an end of it");
    command.to_owned()
}

/// Carries out a line's cure: with sudo as root, else as the user of the sandbox.
#[track_caller]
fn carry_out(sandbox: &Sandbox, said: &str) {
    let command = command_in(said);
    match command.strip_prefix("sudo ") {
        Some(command) => run_as(0, 0, command),
        None => drop(sandbox.bash(&command).run()),
    }
}

/// Does something as another user.
#[track_caller]
fn run_as(user: u32, group: u32, command: &str) {
    let status = Command::new("bash").args(["-c", command]).uid(user).gid(group).current_dir("/").status();
    assert!(status.expect("bash starts").success(), "{command}");
}

/// Whether a test needs root to prepare it, and we are not root.
fn needs_root() -> bool {
    if !is_root() {
        eprintln!("skipped: only root can make what belongs to another user");
    }
    !is_root()
}

#[track_caller]
fn is_guarded(run: Run, state: &Path) {
    run.stdout("ran\n").run();
    assert!(fs::read_to_string(state).expect("a state").contains("\"write\""), "{} was written", state.display());
}

/// The cure in a run's line works. One fault makes one line, however often the state is asked.
#[track_caller]
fn is_cured_by_what_is_told(sandbox: &Sandbox, part: &str) {
    let told = said(sandbox.cb(COMMAND));
    assert!(told.contains("cb: a: unguarded: ") && told.contains(part), "{told}");
    carry_out(sandbox, &told);
    is_guarded(sandbox.cb(COMMAND), &sandbox.state_file("a"));
    // The other cure in most lines: another directory.
    if told.contains("give another --state-dir") {
        let dir = sandbox.work().join("another");
        is_guarded(sandbox.cb(COMMAND).env("CB_STATE_DIR", &dir), &dir.join("a.json"));
    }
}

// Access rights of one's own.

#[test]
fn what_is_closed_to_its_owner_is_opened() {
    type Close = fn(&Sandbox) -> PathBuf;
    let cases: [(Close, u32, &str); 6] = [
        (|sandbox| sandbox.home().to_owned(), 0o500, "chmod u+rwx"),
        (|sandbox| sandbox.home().join(".cache"), 0o000, "chmod u+rwx"),
        (Sandbox::state_dir, 0o500, "chmod u+rwx"),
        (Sandbox::state_dir, 0o600, "chmod u+rwx"),
        (|sandbox| sandbox.state_file("a"), 0o400, "chmod u+rw "),
        (|sandbox| sandbox.state_file("a"), 0o000, "chmod u+rw "),
    ];
    for (close, mode, part) in cases {
        let sandbox = Sandbox::unprivileged();
        let path = close(&sandbox);
        if path != sandbox.home() {
            sandbox.make_state_dir();
        }
        if path == sandbox.state_file("a") {
            sandbox.put("a", "");
        }
        set_mode(&path, mode);
        let word = path.display();
        is_cured_by_what_is_told(
            &sandbox,
            &format!("run '{part}{}{word}', or ", if part.ends_with(' ') { "" } else { " " }),
        );
    }
}

#[test]
fn what_is_immutable_is_made_mutable() {
    type Place = fn(&Sandbox) -> PathBuf;
    if needs_root() {
        return;
    }
    let places: [Place; 2] = [Sandbox::state_dir, |sandbox| sandbox.state_file("a")];
    for place in places {
        let sandbox = Sandbox::unprivileged();
        let path = place(&sandbox);
        sandbox.make_state_dir();
        if path == sandbox.state_file("a") {
            sandbox.put("a", "");
        }
        let chattr = |sign: &str| {
            let line = format!("chattr {sign}i {}", path.display());
            Command::new("bash").args(["-c", &line]).stderr(std::process::Stdio::null()).status().expect("bash starts")
        };
        if !chattr("+").success() {
            eprintln!("skipped: nothing can be made immutable here");
            return;
        }
        let told = said(sandbox.cb(COMMAND));
        let cure = format!("Operation not permitted; if it is immutable run 'sudo chattr -ia {}', or ", path.display());
        let works = told.contains(&cure);
        let removed = sandbox.cb(["remove", "a"]).any_stderr().output();
        if works {
            carry_out(&sandbox, &told);
        } else {
            chattr("-");
        }
        assert!(works, "{told}");
        let file = sandbox.state_file("a");
        let (code, told) = (removed.status.code(), String::from_utf8(removed.stderr).expect("text"));
        if path == file {
            assert_eq!(code, Some(125), "{told}");
        }
        is_guarded(sandbox.cb(COMMAND), &file);
    }
}

#[test]
fn what_is_anothers_in_a_sticky_directory_is_removed_by_its_owner() {
    if needs_root() {
        return;
    }
    let sandbox = Sandbox::unprivileged();
    sandbox.make_state_dir();
    sandbox.cb(COMMAND).stdout("ran\n").run();
    let (dir, file) = (sandbox.state_dir(), sandbox.state_file("a"));
    give(&dir, MEMBER, NOBODY);
    set_mode(&dir, 0o1770);
    for above in [sandbox.home().to_owned(), sandbox.home().join(".cache")] {
        set_mode(&above, 0o755);
    }
    give(&file, MEMBER, NOBODY);
    set_mode(&file, 0o660);
    let remove = ["remove", "a", "--state-dir", dir.to_str().expect("text")];
    let told = format!(
        "could not remove {0}: Operation not permitted; its owner ({MEMBER}) must run 'rm {0}'\n",
        file.display()
    );
    sandbox.cb(remove).code(125).stderr(format!("cb: {told}")).run();
    run_as(MEMBER, NOBODY, &command_in(&told));
    assert!(!file.exists());
}

#[test]
fn a_list_that_is_closed_is_opened() {
    let sandbox = Sandbox::unprivileged();
    sandbox.exits("a", &[], 0);
    set_mode(&sandbox.state_dir(), 0o300);
    carry_out(&sandbox, &said(sandbox.cb(["status"])));
    sandbox.cb(["status"]).stdout_has("closed").run();
}

#[test]
fn what_others_can_write_to_is_closed_to_them() {
    let sandbox = Sandbox::new();
    sandbox.make_state_dir();
    set_mode(&sandbox.state_dir(), 0o702);
    is_cured_by_what_is_told(&sandbox, "run 'chmod o-w ");
    set_mode(&sandbox.state_dir(), 0o770);
    let dir = sandbox.state_dir();
    let told = said(sandbox.cb(COMMAND));
    assert!(told.contains("or name it with --state-dir to share it"), "{told}");
    is_guarded(sandbox.cb(COMMAND).env("CB_STATE_DIR", &dir), &sandbox.state_file("a"));
    is_cured_by_what_is_told(&sandbox, "run 'chmod g-w ");
}

#[test]
fn nobody_is_told_to_change_what_is_open_to_all_on_purpose_or_anothers() {
    let sandbox = Sandbox::unprivileged();
    let dir = sandbox.home().join("like tmp");
    fs::create_dir(&dir).expect("a directory");
    sandbox.own(&dir);
    set_mode(&dir, 0o1777);
    let shown = dir.display();
    let why = format!("{shown} is writable by everybody, who could hold its locks");
    let line = |hint: &str| format!("cb: a: unguarded: {why}; {hint}give another --state-dir\n");
    let run = || sandbox.cb(COMMAND).env("CB_STATE_DIR", &dir);
    run().stdout("ran\n").stderr(line("")).run();
    if needs_root() {
        return;
    }
    give(&dir, MEMBER, MEMBER);
    set_mode(&dir, 0o777);
    let hint = format!("its owner ({MEMBER}) must run 'chmod o-w '{shown}'', or ");
    run().stdout("ran\n").stderr(line(&hint)).run();
    set_mode(sandbox.home(), 0o755);
    run_as(MEMBER, MEMBER, &command_in(&said(run())));
    assert!(!said(run()).contains("writable by everybody"));
}

// Left by a run under sudo.

#[test]
fn what_a_run_under_sudo_has_left_is_given_back() {
    if needs_root() {
        return;
    }
    // How much of `~/.cache/cb/a.json` exists, how much of that is root's, and its mode.
    for (depth, roots, mode) in [
        (3, 1, 0o600),
        (2, 1, 0o700),
        (2, 1, 0o755),
        (3, 2, 0o700),
        (2, 2, 0o755),
        (2, 2, 0o700),
        (1, 1, 0o755),
        (1, 1, 0o700),
        (3, 3, 0o700),
        (3, 3, 0o755),
    ] {
        let sandbox = Sandbox::unprivileged();
        let parts = [sandbox.home().join(".cache"), sandbox.state_dir(), sandbox.state_file("a")];
        sandbox.put("a", "");
        for (index, part) in parts.iter().enumerate().rev() {
            if index >= depth {
                if part.is_dir() { fs::remove_dir(part) } else { fs::remove_file(part) }.expect("it is there");
            } else if index + roots >= depth {
                give(part, 0, 0);
                set_mode(part, if part.is_dir() { mode } else { 0o600 });
            }
        }
        let top = &parts[(depth - roots).min(1)];
        let shown = top.display();
        is_cured_by_what_is_told(&sandbox, &format!("run 'sudo chown -R {NOBODY} {shown}'"));
    }
}

#[test]
fn root_who_must_not_take_a_directory_becomes_its_owner() {
    if needs_root() {
        return;
    }
    let sandbox = Sandbox::unprivileged();
    sandbox.make_state_dir();
    give(sandbox.home(), 0, 0);
    give(&sandbox.home().join(".cache"), 0, 0);
    set_mode(&sandbox.home().join(".cache"), 0o755);
    set_mode(sandbox.home(), 0o755);
    let as_root = |command: &mut Command| {
        command.uid(0).gid(0);
    };
    let told = said(sandbox.cb(COMMAND).with(as_root));
    assert!(told.contains("run cb as that user, or give another --state-dir"), "{told}");
    is_guarded(sandbox.cb(COMMAND), &sandbox.state_file("a"));
}

// Shared with a group.

/// A directory that is shared with a group, and in it the file of `a`, which another member has made private.
fn shared(sandbox: &Sandbox, group: u32, mode: u32) -> PathBuf {
    let dir = sandbox.home().join("shared");
    fs::create_dir(&dir).expect("a directory");
    set_mode(sandbox.home(), 0o755);
    give(&dir, MEMBER, group);
    set_mode(&dir, mode);
    fs::write(dir.join("a.json"), "").expect("a file");
    give(&dir.join("a.json"), MEMBER, MEMBER);
    set_mode(&dir.join("a.json"), 0o600);
    dir
}

#[test]
fn a_file_of_another_member_is_shared_by_its_owner() {
    if needs_root() {
        return;
    }
    let sandbox = Sandbox::unprivileged();
    let dir = shared(&sandbox, NOBODY, 0o770);
    let run = || sandbox.cb(COMMAND).env("CB_STATE_DIR", &dir);
    let told = said(run());
    let shown = dir.join("a.json").display().to_string();
    let commands = format!("chgrp {NOBODY} {shown} && chmod 660 {shown}");
    let whose = format!("could not open {shown}: it belongs to another user ({MEMBER}), who must run '{commands}'\n");
    assert_eq!(told, format!("cb: a: unguarded: {whose}"));
    run_as(MEMBER, NOBODY, &command_in(&told));
    is_guarded(run(), &dir.join("a.json"));
}

#[test]
fn who_is_not_in_the_group_is_told_so() {
    if needs_root() {
        return;
    }
    for (mode, why) in [
        (0o775, format!("and only the group {MEMBER} shares it, which you are not in")),
        (0o755, "and its directory is not shared with a group".to_owned()),
    ] {
        let sandbox = Sandbox::unprivileged();
        let dir = shared(&sandbox, MEMBER, mode);
        let shown = dir.join("a.json").display().to_string();
        let whose = format!("could not open {shown}: it belongs to another user ({MEMBER})");
        let run = sandbox.cb(COMMAND).env("CB_STATE_DIR", &dir).stdout("ran\n");
        run.stderr(format!("cb: a: unguarded: {whose}, {why}; give another --state-dir\n")).run();
    }
}

#[test]
fn files_follow_when_their_directory_becomes_shared_and_when_it_is_no_more() {
    let sandbox = Sandbox::new();
    let dir = sandbox.home().join("states");
    let run = || sandbox.cb(COMMAND).env("CB_STATE_DIR", &dir);
    let file = dir.join("a.json");
    is_guarded(run(), &file);
    let access = || {
        let file = fs::metadata(&file).expect("the state");
        (file.mode() & 0o777, file.gid())
    };
    let (mode, group) = access();
    assert_eq!(mode, 0o600);
    if is_root() {
        chown(&dir, None, Some(MEMBER)).expect("root may");
    }
    set_mode(&dir, 0o770);
    is_guarded(run(), &file);
    assert_eq!(access(), (0o660, if is_root() { MEMBER } else { group }));
    set_mode(&dir, 0o700);
    is_guarded(run(), &file);
    assert_eq!(access().0, 0o600);
}

// What is in the way.

#[test]
fn what_is_in_the_way_is_moved_or_named() {
    let sandbox = Sandbox::new();
    // The directory is a file, or a link.
    fs::create_dir(sandbox.home().join(".cache")).expect("a directory");
    fs::write(sandbox.state_dir(), "precious").expect("a file");
    assert!(said(sandbox.cb(COMMAND)).contains("move it away, or give another --state-dir"));
    fs::rename(sandbox.state_dir(), sandbox.home().join("away")).expect("it can be moved");
    is_guarded(sandbox.cb(COMMAND), &sandbox.state_file("a"));
    fs::rename(sandbox.state_dir(), sandbox.home().join("itself")).expect("it can be moved");
    symlink(sandbox.home().join("itself"), sandbox.state_dir()).expect("a link");
    assert!(said(sandbox.cb(COMMAND)).contains("give the directory itself as --state-dir"));
    is_guarded(sandbox.cb(COMMAND).env("CB_STATE_DIR", sandbox.home().join("itself")), &sandbox.state_file("a"));
    // What lies above leads nowhere.
    let sandbox = Sandbox::new();
    symlink(sandbox.home().join("nowhere"), sandbox.home().join(".cache")).expect("a link");
    assert!(said(sandbox.cb(COMMAND)).contains("leads nowhere; make the directory that it leads to, or give another"));
    fs::create_dir(sandbox.home().join("nowhere")).expect("a directory");
    is_guarded(sandbox.cb(COMMAND), &sandbox.state_file("a"));
    // The state is none.
    let sandbox = Sandbox::new();
    sandbox.make_state_dir();
    fs::create_dir(sandbox.state_file("a")).expect("a directory");
    assert!(said(sandbox.cb(COMMAND)).contains("move it away"));
    fs::rename(sandbox.state_file("a"), sandbox.work().join("away")).expect("it can be moved");
    is_guarded(sandbox.cb(COMMAND), &sandbox.state_file("a"));
}

#[test]
fn what_cannot_be_read_nor_set_aside_is_removed() {
    let sandbox = Sandbox::unprivileged();
    sandbox.put("a", "garbage");
    fs::create_dir(sandbox.state_dir().join("a.json.corrupt")).expect("a directory in the way");
    is_cured_by_what_is_told(&sandbox, "could not be set aside: Is a directory; run 'rm ");
    let sandbox = Sandbox::unprivileged();
    sandbox.put("a", "garbage");
    set_mode(&sandbox.state_dir(), 0o500);
    let told = said(sandbox.cb(COMMAND));
    assert!(told.contains("could not be set aside: Permission denied; run 'chmod u+rwx "), "{told}");
    carry_out(&sandbox, &told);
    sandbox.cb(COMMAND).stdout("ran\n").stderr_has("set aside as a.json.corrupt").run();
    is_guarded(sandbox.cb(COMMAND), &sandbox.state_file("a"));
    // Commands that only look say so too.
    sandbox.put("a", "garbage");
    carry_out(&sandbox, &said(sandbox.cb(["check", "a"])));
    sandbox.cb(["check", "a"]).run();
}

#[test]
fn what_remove_leaves_alone_is_removed_by_what_is_told() {
    type Make = fn(&Path);
    let cases: [(Make, &str); 4] = [
        (|path| fs::write(path, "garbage").expect("a file"), "it run 'rm '"),
        (|path| symlink("/etc/passwd", path).expect("a link"), "it run 'rm '"),
        (|path| fs::create_dir_all(path.join("below")).expect("directories"), "it run 'rm -r '"),
        (|path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo"), "it run 'rm '"),
    ];
    for (make, part) in cases {
        let sandbox = Sandbox::new();
        let dir = sandbox.home().join("it's a $HOME");
        fs::create_dir(&dir).expect("a directory");
        make(&dir.join("a.json"));
        let remove = || sandbox.cb(["remove", "a"]).env("CB_STATE_DIR", &dir);
        let output = remove().code(125).any_stderr().run();
        let told = String::from_utf8(output.stderr).expect("text");
        assert!(told.contains(part), "{told}");
        carry_out(&sandbox, &told);
        assert_eq!(names_in(&dir), [""; 0]);
        assert!(Path::new("/etc/passwd").exists());
    }
    let sandbox = Sandbox::unprivileged();
    sandbox.exits("a", &[], 0);
    set_mode(&sandbox.state_dir(), 0o500);
    carry_out(&sandbox, &said(sandbox.cb(["remove", "a"])));
    sandbox.cb(["remove", "a"]).run();
}

#[test]
fn remove_does_not_tell_to_remove_another_breaker() {
    // As on a file system that does not tell the two names apart.
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    fs::hard_link(sandbox.state_file("a"), sandbox.state_file("A")).expect("one file with two names");
    sandbox.cb(["remove", "A"]).code(125).stderr_has("it belongs to the breaker 'a'").stderr_has("use that name").run();
    sandbox.cb(["remove", "a"]).run();
}

// The configuration.

#[test]
fn a_configuration_that_others_can_write_is_closed_to_them() {
    for (bits, part) in [(0o646, "run 'chmod go-w "), (0o666, "run 'chmod go-w "), (0o664, "run 'chmod g-w ")] {
        let sandbox = Sandbox::unprivileged();
        let path = sandbox.configure("[defaults]\nthreshold = 1\n");
        sandbox.own(&path);
        if bits == 0o664 {
            if !is_root() {
                // The user's own group may write, as its members are trusted.
                set_mode(&path, bits);
                sandbox.exits("a", &[], 0);
                continue;
            }
            give(&path, NOBODY, MEMBER);
        }
        set_mode(&path, bits);
        let output = sandbox.cb(COMMAND).code(125).any_stderr().run();
        let told = String::from_utf8(output.stderr).expect("text");
        assert!(told.contains(part) && told.contains("or move it away"), "{told}");
        // One that was named is as it is.
        sandbox.cb(COMMAND).env("CB_CONFIG", &path).stdout("ran\n").run();
        carry_out(&sandbox, &told);
        sandbox.cb(COMMAND).stdout("ran\n").run();
    }
}

#[test]
fn a_configuration_that_is_closed_is_opened_by_its_owner() {
    let sandbox = Sandbox::unprivileged();
    let path = sandbox.configure("[defaults]\nthreshold = 1\n");
    let run = || sandbox.cb(COMMAND).stdout("ran\n");
    sandbox.own(&path);
    set_mode(&path, 0o200);
    carry_out(&sandbox, &said(run()));
    run().run();
    if needs_root() {
        return;
    }
    give(&path, 0, 0);
    set_mode(&path, 0o600);
    let told = said(run());
    assert!(told.contains("its owner (0) must run 'chmod a+r "), "{told}");
    run_as(0, 0, &command_in(&told));
    run().run();
    // The command reads the file more than once, but warns once.
    set_mode(&path, 0o600);
    assert_eq!(
        sandbox
            .cb(["reset", "absent"])
            .output()
            .stderr
            .split(|&byte| byte == b'\n')
            .filter(|line| line.starts_with(b"cb: could not read"))
            .count(),
        1
    );
}

/// A command as root, or as nobody, on a machine whose `/etc` is `work/etc`.
fn on_a_machine(sandbox: &Sandbox, user: u32, command: &str) -> Run {
    let user = format!("setpriv --reuid {user} --regid {user} --clear-groups");
    let script = format!("exec unshare -m sh -c 'mount --bind etc /etc && exec {user} {command}'");
    sandbox.bash(&script).with(|command| {
        command.uid(0).gid(0);
    })
}

/// The configuration of such a machine.
#[track_caller]
fn of_a_machine(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.work().join("etc/cb/config.toml");
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(&path, "[defaults]\nthreshold = 1\n").expect("a configuration");
    path
}

#[test]
fn a_configuration_in_a_directory_that_is_closed_is_opened() {
    if needs_root() || !may_unshare(&["-m"]) || !have("setpriv") {
        return;
    }
    // The machine's own is there for everybody.
    let sandbox = Sandbox::unprivileged();
    let dir = of_a_machine(&sandbox).parent().expect("a directory").to_owned();
    set_mode(&dir, 0o700);
    let run = || on_a_machine(&sandbox, NOBODY, "cb run -n a -- echo ran").stdout("ran\n");
    let told = said(run());
    assert!(
        told.contains("/etc/cb/config.toml, so it is left out: Permission denied; its owner (0) must run"),
        "{told}"
    );
    on_a_machine(&sandbox, 0, &command_in(&told)).run();
    run().run();

    // What a run under sudo has left in the own home; and what a link in it leads to.
    let path = sandbox.configure("[defaults]\nthreshold = 1\n");
    let dir = path.parent().expect("a directory");
    let run = || sandbox.cb(COMMAND).stdout("ran\n");
    set_mode(dir, 0o700);
    let told = said(run());
    assert!(told.contains(&format!("run 'sudo chown -R {NOBODY} {}'", dir.display())), "{told}");
    carry_out(&sandbox, &told);
    run().run();
    let elsewhere = Sandbox::new();
    fs::rename(&path, elsewhere.work().join("config.toml")).expect("moved");
    symlink(elsewhere.work().join("config.toml"), &path).expect("a link");
    set_mode(elsewhere.home(), 0o700);
    let told = said(run());
    run_as(0, 0, &command_in(&told));
    run().run();
    // The home of somebody else is as good as none.
    set_mode(elsewhere.home(), 0o700);
    sandbox.cb(COMMAND).env("XDG_CONFIG_HOME", elsewhere.work()).stdout("ran\n").run();
}

#[test]
fn a_configuration_of_another_user_is_given_to_whom_it_is_for() {
    if needs_root() {
        return;
    }
    let sandbox = Sandbox::unprivileged();
    let path = sandbox.configure("[defaults]\nthreshold = 1\n");
    // Root's is everybody's.
    sandbox.cb(COMMAND).stdout("ran\n").run();
    // One's own may be the own group's.
    give(&path, NOBODY, NOBODY);
    set_mode(&path, 0o664);
    sandbox.cb(COMMAND).stdout("ran\n").run();
    set_mode(&path, 0o644);
    give(&path, MEMBER, MEMBER);
    let output = sandbox.cb(COMMAND).code(125).any_stderr().run();
    let told = String::from_utf8(output.stderr).expect("text");
    let why =
        format!("belongs to another user ({MEMBER}), and it names commands that are run; run 'sudo chown {NOBODY} ");
    assert!(told.contains(&why), "{told}");
    carry_out(&sandbox, &told);
    sandbox.cb(COMMAND).stdout("ran\n").run();
    // What is the machine's is for all its users, whoever is told so.
    if may_unshare(&["-m"]) && have("setpriv") {
        let machine = of_a_machine(&sandbox);
        let run = |user, code| {
            // Root's home is elsewhere.
            let run = on_a_machine(&sandbox, user, "env CB_STATE_DIR=/proc/none cb run -qn a -- true").code(code);
            String::from_utf8(run.any_stderr().run().stderr).expect("text")
        };
        for (user, sudo) in [(NOBODY, "sudo "), (0, "")] {
            give(&machine, MEMBER, MEMBER);
            let told = run(user, 125);
            assert!(told.contains(&format!("run '{sudo}chown 0 /etc/cb/config.toml'")), "{told}");
            on_a_machine(&sandbox, 0, command_in(&told).trim_start_matches("sudo ")).run();
            let told = run(user, 0);
            assert!(told.contains("unguarded") && !told.contains("config.toml"), "{told}");
        }
    }
    // To root too.
    give(&path, MEMBER, MEMBER);
    let root = Sandbox::new();
    let there = root.configure("[defaults]\n");
    give(&there, MEMBER, MEMBER);
    let output = root.cb(COMMAND).code(125).any_stderr().run();
    carry_out(&root, &String::from_utf8(output.stderr).expect("text"));
    root.cb(COMMAND).stdout("ran\n").run();
    // One's own are all groups that one is in, also those that one is not just now.
    if have("setpriv") && may_unshare(&["-m"]) {
        let passwd = sandbox.work().join("passwd");
        fs::write(&passwd, format!("member:x:{NOBODY}:{MEMBER}::/:/bin/sh\n")).expect("a file");
        give(&path, NOBODY, MEMBER);
        set_mode(&path, 0o664);
        let run = |groups: &str, mount: &str| {
            let cb = "cb run -n a -- echo ran";
            let user = format!("setpriv --reuid {NOBODY} --regid {NOBODY} {groups}");
            sandbox.bash(&format!("exec unshare -m sh -c '{mount} && exec {user} {cb}'")).with(|command| {
                command.uid(0).gid(0);
            })
        };
        run("--clear-groups", "true").code(125).stderr_has("is not your own").run();
        run(&format!("--groups {MEMBER}"), "true").stdout("ran\n").run();
        run("--clear-groups", "mount --bind passwd /etc/passwd").stdout("ran\n").run();
        set_mode(&path, 0o644);
    }
    // Only root can change what belongs to root.
    give(&path, 0, MEMBER);
    set_mode(&path, 0o664);
    let output = sandbox.cb(COMMAND).code(125).any_stderr().run();
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(told.contains("run 'sudo chmod g-w "), "{told}");
    carry_out(&sandbox, &told);
    sandbox.cb(COMMAND).stdout("ran\n").run();
}

// Limits, disks, homes, locks, versions.

#[test]
fn limits_are_raised() {
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    for (low, high, part) in
        [("-Sn 3", "-n 64", "(ulimit -n)"), ("-Sf 0", "-f 64", "(ulimit -f)"), ("-Sf 1", "-f 64", "(ulimit -f)")]
    {
        let script =
            format!("ulimit {low}; cb run -n a -- cb --version; ulimit {high}; exec cb run -n a -- cb --version");
        let version = concat!("cb ", env!("CARGO_PKG_VERSION"), "\n").repeat(2);
        let told = String::from_utf8(sandbox.bash(&script).stdout(version).any_stderr().run().stderr).expect("text");
        assert!(told.lines().count() == 1 && told.contains(part), "{told}");
    }
}

#[test]
fn room_is_made_on_a_disk() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.make_state_dir();
    let script =
        "mount -t tmpfs -o mode=700,size=16k none ~/.cache/cb || exit; cat /dev/zero >~/.cache/cb/filler 2>/dev/null
        cb run -n a -- echo ran; rm ~/.cache/cb/filler; exec cb run -n a -- echo ran";
    let run = sandbox.command("unshare", ["-Urm", "bash", "-c", script]).stdout("ran\nran\n");
    run.stderr_has("make room on the disk, or give another --state-dir").run();
}

#[test]
fn a_home_is_set() {
    if !may_unshare(&["-Urm"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let script = "mount --bind /dev/null /etc/passwd || exit; here=$HOME; unset HOME
        cb run -n a -- echo ran; export HOME=$here; exec cb run -n a -- echo ran";
    let run = sandbox.command("unshare", ["-Urm", "bash", "-c", script]).stdout("ran\nran\n");
    run.stderr_has("set HOME to an absolute path, or give --state-dir").run();
    assert_eq!(names_in(&sandbox.state_dir()), ["a.json"]);
}

#[test]
fn a_directory_that_is_gone_needs_an_absolute_path() {
    let sandbox = Sandbox::new();
    let gone = |script: &str| sandbox.bash(&format!("mkdir gone; cd gone; rmdir ../gone; {script}"));
    let why =
        |what: &str| format!("could not make {what} absolute: the current directory is gone; give an absolute path\n");
    let script = "cb run -n a --state-dir states -- echo ran; echo $?; cb check a --state-dir states; echo $?
        cb run -n a --state-dir states --on-state-error refuse -- echo ran; echo $?
        exec cb run -n a --state-dir ~/states -- echo ran";
    let state = why("--state-dir 'states'");
    let unguarded = format!("cb: a: unguarded: {state}");
    gone(script).stdout("ran\n0\n0\n125\nran\n").stderr(format!("{unguarded}{unguarded}cb: {state}")).run();
    // One that was named must exist, where it is read at all.
    let config = format!("cb: {}", why("CB_CONFIG 'c.toml'"));
    let script = "export CB_CONFIG=c.toml; cb run -n a -- echo ran; echo $?; cb check a; echo $?";
    gone(script).stdout("125\n125\n").stderr(format!("{config}{config}")).run();
    // The kill switch asks for nothing.
    let script = "export CB_DISABLED=1 CB_STATE_DIR=states CB_CONFIG=c.toml
        cb run -n a -- echo ran; cb check a; cb record a failure; exec cb allow a";
    gone(script).stdout("ran\nunguarded\n").run();
    assert_eq!(names_in(&sandbox.home().join("states")), ["a.json"]);
}

#[test]
fn who_holds_a_lock_is_shown() {
    if !have("fuser") || !have("flock") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.exits("a", &[], 0);
    let path = sandbox.state_file("a");
    let script = ["sh", "-c", "echo started; read -r line"].map(AsRef::as_ref);
    let lock = sandbox.command("flock", [path.as_os_str()].into_iter().chain(script)).begin();
    assert!(said(sandbox.cb(COMMAND)).contains("'fuser -v' on the file says which"));
    let output = sandbox.command("fuser", ["-v".as_ref(), path.as_os_str()]).any_stderr().any_stdout().run();
    assert!(String::from_utf8_lossy(&output.stdout).split_whitespace().any(|pid| pid == lock.id().to_string()));
    lock.ends(0);
}

#[test]
fn what_a_newer_version_wrote_is_forgotten() {
    let sandbox = Sandbox::new();
    sandbox.put("a", r#"{"version":2,"name":"a"}"#);
    assert!(said(sandbox.cb(COMMAND)).contains("or forget the breaker with 'cb remove a'"));
    sandbox.cb(["remove", "a"]).run();
    is_guarded(sandbox.cb(COMMAND), &sandbox.state_file("a"));
}
