//! Native code, programs and modules.

use std::fs;
use std::path::{Path, PathBuf};

use lint::Code;

use crate::support::{compile, need};
use crate::{Made, by_code, check, demand, refuse};

const SHARED: [&str; 5] = ["-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed", "-L."];

fn shared(directory: &Path, name: &str, more: &[&str]) -> PathBuf {
    compile(directory, name, &[&SHARED[..], more].concat())
}

/// A library that was linked with `name`, which is then removed.
fn needing(directory: &Path, out: &str, name: &str) -> PathBuf {
    let needed = shared(directory, name, &[&format!("-Wl,-soname,{name}")]);
    let made = shared(directory, out, &[&format!("-l:{name}")]);
    fs::remove_file(needed).unwrap();
    made
}

#[test]
fn native_code_that_does_not_fit() {
    need("cc");
    let made = Made::new(&[]);
    let at = made.directory.path();
    let plain = fs::read(shared(at, "plain.so", &[])).unwrap();
    let mut foreign = plain.clone();
    foreign[18] = 183;
    made.write("lib/hello-1.0/priv/nif.so", &foreign);
    made.write("lib/hello-1.0/priv/arm/both.so", &foreign);
    made.write("lib/hello-1.0/priv/amd/both.so", &plain);
    made.write("lib/hello-1.0/priv/cut.so", &plain[..80]);
    let put = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        made.write(
            &format!("lib/hello-1.0/priv/{name}"),
            fs::read(path).unwrap(),
        );
    };
    put(compile(
        at,
        "musl",
        &["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"],
    ));
    put(compile(
        at,
        "loader",
        &["-Wl,--dynamic-linker=/nowhere/ld.so"],
    ));
    put(needing(at, "lone.so", "libnowhere.so.1"));
    put(needing(at, "crypt.so", "libcrypto.so.1.1"));
    put(needing(at, "named.so", "libinside.so.1"));
    made.write("lib/hello-1.0/priv/deep/libinside.so.1", &plain);
    // It needs versions of `libv.so.1`, and the library that is found has none of them.
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/erts_elf");
    put(corpus.join("versions_needed.so"));
    fs::write(at.join("other"), "OTHER { global: f; };\n").unwrap();
    let old = shared(
        at,
        "libv.so.1",
        &["-Wl,-soname,libv.so.1", "-Wl,--version-script=other"],
    );
    let findings = check(&made.root, &[], &[("/usr/lib/libv.so.1", &old)], 256);
    demand(
        &findings,
        &[
            (Code::ForeignNative, "priv/nif.so cannot run in the guest"),
            (
                Code::ForeignBeside,
                "arm/both.so is for machine type 183 of 64 bits, expected x86-64; /release/lib/hello-1.0/priv/amd/both.so is used",
            ),
            (Code::DamagedElf, "cut.so"),
            (Code::Musl, "priv/musl needs"),
            (Code::NoLoader, "/nowhere/ld.so"),
            (
                Code::MissingLibrary,
                "libnowhere.so.1, needed by /release/lib/hello-1.0/priv/lone.so",
            ),
            (Code::OpenSsl, "/ has libcrypto.so.3"),
            (Code::LibraryByName, "named.so needs libinside.so.1"),
            (Code::SymbolVersion, "needs V_1.11"),
        ],
    );
    assert!(
        !by_code(&findings)[&Code::ForeignNative]
            .iter()
            .any(|text| text.contains("both"))
    );
}

const SPAWNER: &str = r#"
-module(spawner).
-export([a/0, b/0, c/0, d/0, e/1, f/0, g/1, h/0]).
a() -> os:cmd("uptime -p").
b() -> open_port({spawn_executable, "/opt/tool"}, [binary]).
c() -> open_port({spawn, "cat -u"}, []).
d() -> 'Elixir.System':cmd(<<"convert">>, [<<"-version">>]).
e(Tool) -> open_port({spawn_executable, Tool}, []).
f() -> open_port({fd, 0, 1}, []).
g(File) -> os:cmd("file " ++ File).
h() -> open_port({spawn, "ram_file_drv"}, []).
"#;

#[test]
fn programs_that_are_not_there() {
    let made = Made::new(&["sasl", "os_mon"]);
    made.compile("spawner", SPAWNER, &[]);
    fs::remove_file(made.erts().join("bin/erl_child_setup")).unwrap();
    let findings = made.check();
    demand(
        &findings,
        &[
            (Code::NoShell, "spawner:a/0 calls os:cmd/1 with `uptime -p`"),
            (
                Code::NoShell,
                "spawner:c/0 calls erlang:open_port/2 with `cat -u`",
            ),
            (Code::NoShell, "spawner:g/1 calls os:cmd/1: "),
            (
                Code::NoProgram,
                "spawner:b/0 starts `/opt/tool` with erlang:open_port/2",
            ),
            (
                Code::NoProgram,
                "spawner:d/0 starts `convert` with System.cmd/2",
            ),
            (
                Code::UnknownProgram,
                "hello starts programs whose names are not in its code, in spawner:e/1",
            ),
            (
                Code::KnownProgram,
                "os_mon starts `/bin/sh` for cpu_sup, memsup, disksup",
            ),
            (Code::KnownProgram, "os_mon starts `df` for disksup"),
            (Code::RuntimeHelper, "`erl_child_setup` is missing"),
        ],
    );
    let all = by_code(&findings);
    assert_eq!(all[&Code::NoShell].len(), 3, "{all:#?}");
    assert_eq!(all[&Code::UnknownProgram].len(), 1, "{all:#?}");

    // With the programs, all is well.
    let any = Path::new("/bin/true");
    let added = [
        "/bin/sh",
        "/bin/uptime",
        "/bin/cat",
        "/usr/bin/convert",
        "/opt/tool",
        "/bin/df",
    ];
    let findings = check(&made.root, &[], &added.map(|path| (path, any)), 256);
    refuse(
        &findings,
        &[Code::NoShell, Code::NoProgram, Code::KnownProgram],
    );

    // What is switched off needs nothing.
    made.write(
        "releases/1.0/sys.config",
        "[{os_mon,[{start_disksup,false},{start_memsup,false}]}].",
    );
    demand(
        &made.check(),
        &[(Code::KnownProgram, "`/bin/sh` for cpu_sup (`")],
    );
}

#[test]
fn modules_that_do_not_fit() {
    let made = Made::new(&[]);
    let source = "-module(caller).\n-export([f/0]).\nf() -> {lists:nothing(1), erlang:link(a, b), nowhere:f()}.\n";
    made.compile("caller", source, &["+compressed"]);
    made.write("lib/hello-1.0/ebin/cut.beam", "FOR1\0\0\0\x10BEAM");
    // The highest opcode is the third number of the chunk `Code`.
    let mut newer = fs::read(made.path("lib/hello-1.0/ebin/hello.beam")).unwrap();
    let code = newer
        .windows(4)
        .position(|window| window == b"Code")
        .unwrap();
    newer[code + 16..code + 20].copy_from_slice(&250_u32.to_be_bytes());
    made.write("lib/hello-1.0/ebin/newer.beam", &newer);
    let findings = made.check();
    demand(
        &findings,
        &[
            (Code::DebugInfo, "of debug information"),
            (Code::Compressed, "1 modules of hello are compressed"),
            (Code::NewerModule, "newer uses instruction 250"),
            (Code::MissingFunction, "caller calls lists:nothing/1"),
            (Code::MissingFunction, "caller calls erlang:link/2"),
            (Code::MissingModules, "nowhere"),
            (Code::DamagedModule, "cut.beam"),
        ],
    );
}

#[test]
fn modules_whose_native_functions_are_not_there() {
    let made = Made::new(&[]);
    let loader = |library: &str| {
        format!(
            "-module(native).\n-export([f/1]).\n-on_load(load/0).\n-nifs([f/1]).\n\
             load() -> erlang:load_nif(filename:join(code:priv_dir(hello), {library}), 0).\n\
             f(_) -> erlang:nif_error(not_loaded).\n"
        )
    };
    // The name may be a text, or the module's own.
    made.compile("native", &loader("\"libfast\""), &[]);
    let missing = [(Code::MissingNif, "native loads a library")];
    demand(&made.check(), &missing);
    made.write("lib/hello-1.0/priv/fast.so", "");
    demand(&made.check(), &missing);
    made.write("lib/hello-1.0/priv/deep/libfast.so", "");
    refuse(&made.check(), &[Code::MissingNif]);
    made.compile("native", &loader("?MODULE_STRING"), &[]);
    demand(&made.check(), &missing);
    made.write("lib/hello-1.0/priv/native.so", "");
    refuse(&made.check(), &[Code::MissingNif]);
}
