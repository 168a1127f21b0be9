//! The package for Debian: it holds all that belongs to it, and it is installed, used and removed without a trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use toml::de::DeTable;

use crate::support::{CB, Run, Sandbox, cargo_tool, have, is_root, linked_statically};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files of the package by `Cargo.toml`: pattern of the source, target and mode.
fn assets() -> Vec<[String; 3]> {
    let text = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).expect("the manifest");
    let manifest = DeTable::parse(&text).expect("TOML").into_inner();
    let assets = &manifest["package"].get_ref()["metadata"].get_ref()["deb"].get_ref()["assets"];
    let word = |asset: &toml::de::DeValue, index: usize| asset[index].get_ref().as_str().expect("a text").to_owned();
    let assets = assets.get_ref().as_array().expect("a list").iter().map(toml::Spanned::get_ref);
    assets.map(|asset| [0, 1, 2].map(|index| word(asset, index))).collect()
}

/// The files of a directory of the repository that match a pattern, which has at most one `*`.
fn matching(pattern: &str) -> Vec<String> {
    let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
    let directory = Path::new(pattern).parent().expect("a directory").to_str().expect("text");
    let files = sources(directory).into_iter();
    files.filter(|file| file.starts_with(start) && file[start.len()..].ends_with(end)).collect()
}

/// All files right in a directory of the repository.
fn sources(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(ROOT).join(directory)).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    paths.map(|path| path.strip_prefix(ROOT).expect("it is below").to_str().expect("text").to_owned()).collect()
}

/// Each source of the package and its target, without the program.
fn packed() -> BTreeMap<String, String> {
    let mut packed = BTreeMap::new();
    for [pattern, target, mode] in assets() {
        if pattern == "target/release/cb" {
            assert_eq!([target, mode], ["usr/bin/", "755"]);
            continue;
        }
        let files = matching(&pattern);
        assert!(!files.is_empty(), "nothing matches {pattern}");
        assert_eq!(mode, "644", "of {pattern}");
        for file in files {
            let name = file.rsplit('/').next().expect("a name");
            let target = if target.ends_with('/') { target.clone() + name } else { target.clone() };
            assert_eq!(packed.insert(file.clone(), target), None, "{file} is packed twice");
        }
    }
    packed
}

#[test]
fn each_page_and_each_completion_goes_where_it_is_looked_for() {
    let pages = sources("man").into_iter().map(|page| {
        let (path, section) = page.rsplit_once('.').expect("a section");
        let target = format!("usr/share/man/man{section}/{}.{section}", path.trim_start_matches("man/"));
        (page, target)
    });
    let completions = sources("completions").into_iter().map(|script| {
        let target = match script.as_str() {
            "completions/cb.bash" => "usr/share/bash-completion/completions/cb",
            "completions/_cb" => "usr/share/zsh/vendor-completions/_cb",
            "completions/cb.fish" => "usr/share/fish/vendor_completions.d/cb.fish",
            other => panic!("no shell is known for {other}"),
        };
        (script, target.to_owned())
    });
    let packed = packed();
    for (source, target) in pages.chain(completions) {
        assert_eq!(packed.get(&source), Some(&target), "{source}");
    }
}

/// Makes the package of the program under test, and returns where it is.
#[track_caller]
fn build(sandbox: &Sandbox, cargo_deb: &Path) -> String {
    // cargo-deb takes the program from where a release would be. Without debugging symbols it is smaller.
    let release = sandbox.home().join("target/release");
    fs::create_dir_all(&release).expect("a directory");
    sandbox.command("strip", ["-o".as_ref(), release.join("cb").as_os_str(), CB.as_ref()]).run();
    let package = sandbox.home().join("cb.deb").display().to_string();
    let toolchain = Path::new(env!("CARGO")).parent().expect("the toolchain").display();
    sandbox
        .command(cargo_deb.to_str().expect("text"), ["deb", "--no-build", "--fast", "--output", &package])
        .env("PATH", format!("{toolchain}:/usr/bin:/bin"))
        .env("CARGO_TARGET_DIR", sandbox.home().join("target"))
        .dir(ROOT)
        .stdout(format!("{package}\n"))
        .run();
    package
}

/// All files below a directory, by their paths in it.
fn files_below(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(directory).expect("it is below").display().to_string());
            }
        }
    }
    found
}

/// Runs dpkg on a root of its own.
fn dpkg(sandbox: &Sandbox, root: &Path, action: &str, what: &str) {
    let root = format!("--root={}", root.display());
    let run = sandbox.command("dpkg", [&root, "--log=/dev/null", action, what]);
    run.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").any_stdout().run();
}

#[test]
fn the_package_is_installed_used_and_removed_without_a_trace() {
    let Some(cargo_deb) = cargo_tool("cargo-deb") else { return };
    if !(have("dpkg") && have("dpkg-deb") && have("strip")) {
        return;
    }
    let sandbox = Sandbox::new();
    let package = build(&sandbox, &cargo_deb);
    let facts = format!("Package: cb-cli\nVersion: {VERSION}-1\nSection: utils\nPriority: optional\n");
    sandbox
        .command("dpkg-deb", ["--field", &package, "Package", "Version", "Section", "Priority", "Depends", "Conflicts"])
        .stdout(facts)
        .run();

    let root = sandbox.home().join("root");
    fs::create_dir_all(root.join("home")).expect("a home");
    for dir in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(dir)).expect("dpkg's database");
    }
    fs::write(root.join("var/lib/dpkg/status"), "").expect("dpkg's database");
    if is_root() {
        dpkg(&sandbox, &root, "--install", &package);
    } else {
        // Only root can give files to root.
        sandbox.command("dpkg-deb", ["--extract", &package, root.to_str().expect("text")]).run();
    }
    let mut wanted: BTreeSet<String> = packed().into_values().collect();
    wanted.insert("usr/bin/cb".to_owned());
    wanted.insert("usr/share/doc/cb-cli/copyright".to_owned());
    wanted.insert("usr/share/doc/cb-cli/changelog.Debian".to_owned());
    let shrunk = |path: &str| path.starts_with("usr/share/man/") || path.contains("/changelog");
    let wanted = wanted.into_iter().map(|path| if shrunk(&path) { path + ".gz" } else { path }).collect();
    let installed = files_below(&root.join("usr")).iter().map(|path| format!("usr/{path}")).collect::<BTreeSet<_>>();
    assert_eq!(installed, wanted);
    for path in &installed {
        let mode = fs::metadata(root.join(path)).expect("a file").permissions().mode() & 0o7777;
        assert_eq!(mode, if path == "usr/bin/cb" { 0o755 } else { 0o644 }, "{path}");
    }

    works(&sandbox, &root);
    if have("mandoc") {
        for page in installed.iter().filter(|path| path.starts_with("usr/share/man/")) {
            let name = Path::new(page).file_name().expect("a name").to_str().expect("text");
            let heading = name.trim_end_matches(".gz").to_uppercase().replace('.', "(") + ")";
            let page = root.join(page).display().to_string();
            sandbox.command("mandoc", ["-Tascii", &page]).stdout_has(heading).run();
        }
    }
    shells_find_their_completions(&sandbox, &root.join("usr/share"));

    if is_root() {
        dpkg(&sandbox, &root, "--purge", "cb-cli");
        assert_eq!(files_below(&root.join("usr")), BTreeSet::new());
        assert_eq!(files_below(&root.join("var/lib/dpkg/info")), BTreeSet::from(["format".to_owned()]));
        // The state is the user's, not the package's.
        assert!(root.join("home/.cache/cb/demo.json").exists());
    }
}

/// Opens a breaker, looks at it and closes it again with the installed program, if possible in a root that has nothing
/// else.
fn works(sandbox: &Sandbox, root: &Path) {
    let alone = is_root() && linked_statically();
    let cb = |args: &[&str]| -> Run {
        if alone {
            let chroot = [root.to_str().expect("text"), "/usr/bin/cb"];
            sandbox.command("/usr/sbin/chroot", chroot.iter().chain(args)).env("HOME", "/home")
        } else {
            let program = root.join("usr/bin/cb");
            sandbox.command(program.to_str().expect("text"), args).env("HOME", root.join("home"))
        }
    };
    let version = format!("cb {VERSION}\n");
    cb(&["run", "-n", "demo", "--", "cb", "--version"]).stdout(version.clone()).run();
    cb(&["-q", "trip", "other"]).run();
    // `cb check` is the command that fails, with 75, as there is no other.
    cb(&["run", "-n", "demo", "--threshold", "1", "--failure-codes", "75", "--", "cb", "check", "other"])
        .code(75)
        .stderr_has("cb: demo: opened: 1 failure in a row: exit 75;")
        .run();
    cb(&["run", "-n", "demo", "--", "cb", "--version"]).code(75).run();
    cb(&["status", "demo"]).stdout_has("demo: open\n").run();
    cb(&["reset", "demo"]).run();
    cb(&["run", "-n", "demo", "--", "cb", "--version"]).stdout(version).run();
}

/// Each shell finds its completion by itself, where packages put them.
fn shells_find_their_completions(sandbox: &Sandbox, share: &Path) {
    if have("../share/bash-completion/bash_completion") {
        let script = r#"source /usr/share/bash-completion/bash_completion
            set -- $(complete -p -D); "$3" cb; complete -p cb"#;
        sandbox.bash(script).env("XDG_DATA_DIRS", share).stdout("complete -F _cb cb\n").run();
    }
    if have("zsh") {
        let script = "fpath=($1 $fpath); autoload -Uz compinit && compinit -u -D; print $_comps[cb]";
        let directory = share.join("zsh/vendor-completions").display().to_string();
        sandbox.command("zsh", ["-fc", script, "zsh", &directory]).stdout("_cb\n").run();
    }
    if have("fish") {
        let offers = sandbox.command("fish", ["-c", "complete -C 'cb sta'"]).env("XDG_DATA_DIRS", share);
        offers.stdout_has("status\t").run();
    }
}
