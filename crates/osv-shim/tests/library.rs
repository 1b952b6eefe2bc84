//! The library as OSv's linker and Linux's see it, and with the emulator of this host.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers outside #[test] too"
)]

use object::elf::{FileHeader64, SHT_DYNSYM};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Sym};
use object::{LittleEndian, elf};
use osv_shim::LIBRARY;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

type Header = FileHeader64<LittleEndian>;

/// What it offers, and what it needs of the C library.
fn symbols() -> (BTreeSet<String>, BTreeSet<String>) {
    // Aligned, as the structures are.
    let library = &*LIBRARY.to_vec();
    let header = Header::parse(library).unwrap();
    let sections = header.sections(LittleEndian, library).unwrap();
    let table = sections.symbols(LittleEndian, library, SHT_DYNSYM).unwrap();
    let name = |symbol: &elf::Sym64<LittleEndian>| {
        let name = table.symbol_name(LittleEndian, symbol).unwrap();
        String::from_utf8(name.to_vec()).unwrap()
    };
    let (defined, needed): (Vec<_>, Vec<_>) = table
        .iter()
        .skip(1)
        .partition(|symbol| !symbol.is_undefined(LittleEndian));
    let names = |symbols: Vec<_>| symbols.into_iter().map(name).collect();
    (names(defined), names(needed))
}

#[test]
fn it_stands_before_these_functions_and_needs_those() {
    let set = |text: &str| {
        text.split(' ')
            .map(Into::into)
            .collect::<BTreeSet<String>>()
    };
    let (defined, needed) = symbols();
    let expected =
        "_Exit __sigaction _exit abort exit open open64 recvmsg sendmsg shm_open socketpair";
    assert_eq!(defined, set(expected));
    // All of these are in glibc and in OSv since v0.51 (osv: exported_symbols/osv_libc.so.6.symbols).
    assert_eq!(
        needed,
        set(
            "__errno_location clock_gettime close dlsym dup fcntl memset pthread_create pthread_detach read write"
        )
    );
}

#[test]
fn every_linker_of_osv_can_load_it() {
    let library = &*LIBRARY.to_vec();
    let header = Header::parse(library).unwrap();
    let segments = header.program_headers(LittleEndian, library).unwrap();
    // OSv ends the machine at a kind that it does not know (osv: core/elf.cc).
    let known = [elf::PT_LOAD, elf::PT_DYNAMIC, elf::PT_GNU_STACK];
    for segment in segments {
        assert!(known.contains(&segment.p_type(LittleEndian)));
    }
    let dynamic = segments
        .iter()
        .find_map(|s| s.dynamic(LittleEndian, library).unwrap());
    let refused = [
        elf::DT_NEEDED,
        elf::DT_TEXTREL,
        elf::DT_REL,
        elf::DT_INIT_ARRAY,
    ];
    for entry in dynamic.unwrap() {
        assert!(!refused.contains(&entry.tag32(LittleEndian).unwrap()));
    }
    assert!(LIBRARY.len() < 16 << 10);
}

/// Runs Erlang code on this host with the library before the C library, in an emulator that no shell
/// starts, as the library would be before that, too.
fn erl(code: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libunibeam.so");
    fs::write(&library, LIBRARY).unwrap();
    let root = Command::new("erl")
        .args([
            "-noshell",
            "-eval",
            "io:put_chars(code:root_dir()), halt().",
        ])
        .output()
        .expect("this test needs Erlang; scripts/setup installs it");
    let root = String::from_utf8(root.stdout).unwrap();
    let mut erts: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    erts.retain(|path| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("erts-")
    });
    let bin = erts.first().unwrap().join("bin");
    Command::new(bin.join("beam.smp"))
        .args(["--", "-root", &root, "-bindir"])
        .arg(&bin)
        .args(["-progname", "erl", "--", "-home", "/tmp", "--", "-noshell"])
        .args(["-eval", code])
        .env("BINDIR", &bin)
        .env("ROOTDIR", &root)
        .env("LD_PRELOAD", &library)
        .env("ERL_CRASH_DUMP_SECONDS", "0")
        .output()
        .unwrap()
}

/// What the code prints, of an emulator that then ends with status 3.
fn printed(code: &str) -> String {
    let output = erl(&format!(
        "io:format(\"~p~n\", [begin {code} end]), halt(3)."
    ));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    text.trim().into()
}

#[test]
fn ports_fail_cleanly() {
    let class = "fun(F) -> try F() catch C:R -> {C, R} end end";
    for (port, expected) in [
        ("open_port({spawn, \"ls\"}, [])", "{error,enotsup}"),
        (
            "open_port({spawn_executable, \"/bin/ls\"}, [exit_status])",
            "{error,enotsup}",
        ),
        // With `enotsup` as the cause that it tells (otp: lib/kernel/src/os.erl).
        ("os:cmd(\"ls\")", "{error,badarg}"),
    ] {
        let found = printed(&format!("({class})(fun() -> {port} end)"));
        assert_eq!(found, expected, "{port}");
    }
}

#[test]
fn a_status_stays_what_it_is() {
    assert_eq!(erl("halt(7).").status.code(), Some(7));
    assert_eq!(erl("init:stop(5).").status.code(), Some(5));
}

#[test]
fn the_native_resolver_fails_cleanly() {
    let native = "inet_gethost_native:gethostbyname(\"localhost\")";
    assert_eq!(printed(native), "{error,enotsup}");
    let twice = format!("{native}, inet_gethost_native:gethostbyaddr({{127,0,0,1}})");
    assert_eq!(printed(&twice), "{error,enotsup}");
}

#[test]
fn a_thousand_failures_leave_nothing_open() {
    let count = "length(element(2, file:list_dir(\"/proc/self/fd\")))";
    // The threads that answer end a little later than the emulator reads the answer.
    let code = format!(
        "Try = fun() -> catch open_port({{spawn, \"ls\"}}, []) end, Try(), timer:sleep(200), \
         Before = {count}, [Try() || _ <- lists:seq(1, 1000)], timer:sleep(500), {count} - Before"
    );
    let left: i32 = printed(&code).parse().unwrap();
    assert!(left <= 0, "{left} descriptors more");
}
