//! How the program is linked: `.cargo/rustc-static` adds what makes it static to the right calls of rustc alone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{CB, Sandbox, linked_statically};

/// The arguments that the wrapper adds.
const STATIC: &str = " -C target-feature=+crt-static -C relocation-model=static";

/// The wrapper, if this copy of the source has it.
fn wrapper() -> Option<PathBuf> {
    let wrapper = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cargo/rustc-static");
    let found = wrapper.is_file();
    if !found {
        eprintln!("skipped: {} is missing", wrapper.display());
    }
    found.then_some(wrapper)
}

/// A sandbox with a rustc that prints what it was given, compilers that have a static C library, `cc` for this processor
/// and `arm-cc` for another, and a `lone-cc` that has none.
fn toolchain() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.script("rustc", r#"if [ "$*" = -vV ]; then echo "host: x86_64-unknown-linux-gnu"; else echo "$@"; fi"#);
    let library = sandbox.home().join("with a space/libc.a");
    fs::create_dir(library.parent().expect("a directory")).expect("a directory");
    fs::write(&library, "!<arch>\n").expect("a library");
    let library = library.display().to_string();
    for (name, machine, library) in
        [("cc", "x86_64", &*library), ("arm-cc", "aarch64", &library), ("lone-cc", "x86_64", "libc.a")]
    {
        let machine = format!("-dumpmachine) echo {machine}-linux-gnu ;;");
        let library = format!("-print-file-name=libc.a) echo '{library}' ;;");
        sandbox.script(name, &format!("case $* in {machine} {library} *) exit 1 ;; esac"));
    }
    sandbox
}

/// Calls the wrapper, and wants this added to the arguments of rustc.
#[track_caller]
fn adds(sandbox: &Sandbox, wrapper: &Path, arguments: &str, added: &str) {
    let words = ["rustc"].into_iter().chain(arguments.split(' '));
    let run = sandbox.command(wrapper.to_str().expect("text"), words);
    run.stdout(format!("{arguments}{added}\n")).run();
}

#[test]
fn what_is_made_for_glibc_is_linked_statically() {
    let Some(wrapper) = wrapper() else { return };
    let sandbox = toolchain();
    for arguments in [
        "--crate-name cb --edition=2024 src/main.rs --crate-type bin",
        "--crate-name cb --crate-type=bin",
        "--crate-name cli --test",
        "--crate-name cb --crate-type bin --target x86_64-unknown-linux-gnu",
        "--crate-name cb --crate-type bin --target=x86_64-unknown-linux-gnu -C linker=lone-cc -Clinker=cc",
        "--crate-name cb --crate-type bin --target aarch64-unknown-linux-gnu -C linker=arm-cc",
        "--crate-name cb --crate-type bin -C target-feature=+aes -C target-cpu=native",
    ] {
        adds(&sandbox, &wrapper, arguments, STATIC);
    }
}

#[test]
fn what_is_no_program_for_glibc_is_left_alone() {
    let Some(wrapper) = wrapper() else { return };
    let sandbox = toolchain();
    for arguments in [
        "-vV --verbose",
        "- --crate-name ___ --print=file-names --crate-type bin --crate-type proc-macro --print=cfg",
        "--crate-name build_script_build --crate-type bin",
        "--crate-name cb --crate-type lib",
        "--crate-name cb_macros --crate-type proc-macro",
        "--crate-name cb --crate-type bin --target aarch64-unknown-linux-musl -C linker=arm-cc",
        "--crate-name cb --crate-type bin --target x86_64-unknown-freebsd -C linker=cc",
    ] {
        adds(&sandbox, &wrapper, arguments, "");
    }
}

#[test]
fn without_a_static_library_it_is_linked_as_rust_does_it() {
    let Some(wrapper) = wrapper() else { return };
    let sandbox = toolchain();
    for arguments in [
        "--crate-name cb --crate-type bin -C linker=lone-cc",
        "--crate-name cb --crate-type bin -C linker=/no/such/linker",
        // The linker for another target is not known, and the one that is known cannot serve it.
        "--crate-name cb --crate-type bin --target aarch64-unknown-linux-gnu",
        "--crate-name cb --crate-type bin --target aarch64-unknown-linux-gnu -C linker=cc",
    ] {
        adds(&sandbox, &wrapper, arguments, "");
    }
    fs::write(sandbox.home().join("with a space/libc.a"), "").expect("an empty library");
    adds(&sandbox, &wrapper, "--crate-name cb --crate-type bin", "");
}

#[test]
fn who_says_how_to_link_is_obeyed() {
    let Some(wrapper) = wrapper() else { return };
    let sandbox = toolchain();
    for flags in [
        "-C target-feature=-crt-static",
        "-Ctarget-feature=+aes,-crt-static",
        "--codegen=target-feature=+crt-static",
        "--codegen relocation-model=pic",
        "-C prefer-dynamic",
        "-Z sanitizer=address",
    ] {
        adds(&sandbox, &wrapper, &format!("--crate-name cb --crate-type bin {flags}"), "");
    }
}

#[test]
fn arguments_and_the_exit_code_are_passed_on_as_they_are() {
    let Some(wrapper) = wrapper() else { return };
    let sandbox = toolchain();
    sandbox.script("a compiler", r#"[ "$*" = -vV ] || { printf '<%s>' "$@"; exit 101; }"#);
    let compiler = sandbox.home().join("bin/a compiler").display().to_string();
    let arguments = [&*compiler, "--crate-type", "bin", "", "a b", "*", "-C", "metadata='x'"];
    let run = sandbox.command(wrapper.to_str().expect("text"), arguments);
    run.code(101).stdout("<--crate-type><bin><><a b><*><-C><metadata='x'>").run();
}

#[test]
fn a_static_program_lies_at_a_fixed_address_and_asks_for_no_loader() {
    if !(linked_statically() && cfg!(all(target_os = "linux", target_env = "gnu"))) {
        return;
    }
    let program = fs::read(CB).expect("the program");
    // `e_type` of its header in ELF: 2 is a program at a fixed address, 3 one that may lie anywhere.
    assert_eq!(u16::from_ne_bytes([program[16], program[17]]), 2);
    let loader = b"/ld-linux";
    assert!(!program.windows(loader.len()).any(|bytes| bytes == loader), "it names a loader");
}
