//! What is said when a machine starts reaches the release as its start script would bring it.

use crate::otp::{LONG, forward};
use boot_contract::events::{APPLICATION_STARTED, ERTS_STARTED};
use boot_contract::status::Ending;
use qemu::{End, Guest, Machine, Profile, Verdict};
use std::path::Path;
use std::process::Command;
use tests::{boot, image, make_image, output, release, shared_folder, succeed, unibeam};

/// Where nodes without epmd listen.
const DISTRIBUTION: u16 = 4370;

/// A machine with these variables.
fn machine(image: &Path, variables: &[&str]) -> Machine {
    let profile = Profile::named("microvm").unwrap();
    let (boot, folder) = boot(&profile, image);
    let machine = Machine::new(profile, boot).hold(folder);
    let words = variables.iter().map(|variable| format!("env.{variable}"));
    words.fold(machine, |machine, word| machine.kernel_word(&word))
}

/// What an Erlang expression is in the node `guest@127.0.0.1`, asked for by a node of this host.
fn ask(guest: &Guest, cookie: &str, expression: &str) -> String {
    let port = guest.host_port(DISTRIBUTION).unwrap().to_string();
    let code = format!(
        "{{ok, Tokens, _}} = erl_scan:string({expression:?}), \
         {{ok, Parsed}} = erl_parse:parse_exprs(Tokens), \
         Answer = erpc:call('guest@127.0.0.1', erl_eval, exprs, [Parsed, []]), \
         io:format(\"~0tp~n\", [element(2, Answer)]), halt()."
    );
    let mut erl = Command::new("erl");
    erl.args(["-name", "host@127.0.0.1", "-setcookie", cookie])
        .args(["-dist_listen", "false", "-start_epmd", "false"])
        .args(["-erl_epmd_port", &port, "-noinput", "-eval", &code]);
    succeed(&mut erl).trim().to_owned()
}

/// The image is made without the variables: it says which will be needed.
#[test]
fn an_image_tells_what_it_will_need() {
    let mut command = unibeam();
    command
        .arg("check")
        .arg(release("relx_check"))
        .args(["--allow", "UB601"]);
    let said = String::from_utf8(output(&mut command).stdout).unwrap();
    for variable in ["COOKIE", "PORT"] {
        assert!(
            said.contains(&format!("the environment variable {variable}, which")),
            "{said}"
        );
    }
    assert!(!said.contains("variable NODE"), "{said}");
}

#[test]
fn a_mix_release_takes_name_and_cookie_at_boot() {
    let variables = [
        "RELEASE_DISTRIBUTION=name",
        "RELEASE_NODE=guest@127.0.0.1",
        "RELEASE_COOKIE=said-when-it-starts",
        "RELEASE_MODE=interactive",
        "GREETING=hello",
        "ERL_FLAGS=+P 5000",
    ];
    let machine = forward(machine(&image("hello_elixir"), &variables), &[DISTRIBUTION]);
    let mut guest = machine.start().unwrap();
    guest.wait_event(APPLICATION_STARTED, LONG).unwrap();
    let told = |expression: &str| ask(&guest, "said-when-it-starts", expression);
    let known = "[{Name, os:getenv(Name)} || Name <- [\"RELEASE_\" ++ N || N <- [\"ROOT\", \"NAME\", \
                 \"VSN\", \"COMMAND\", \"PROG\", \"TMP\", \"BOOT_SCRIPT\", \"SYS_CONFIG\"]]].";
    assert_eq!(
        told(known),
        "[{\"RELEASE_ROOT\",\"/release\"},{\"RELEASE_NAME\",\"hello_elixir\"},\
         {\"RELEASE_VSN\",\"1.0.0\"},{\"RELEASE_COMMAND\",\"start\"},\
         {\"RELEASE_PROG\",\"hello_elixir\"},{\"RELEASE_TMP\",\"/release/tmp\"},\
         {\"RELEASE_BOOT_SCRIPT\",\"start\"},\
         {\"RELEASE_SYS_CONFIG\",\"/release/releases/1.0.0/sys\"}]"
    );
    let facts = "{init:get_argument(mode), application:get_env(hello_elixir, greeting), \
                 erlang:system_info(process_limit) < 10000}.";
    assert_eq!(
        told(facts),
        "{{ok,[[\"interactive\"]]},{ok,<<\"hello\">>},true}"
    );
    told("init:stop(5).");
    let verdict = Verdict {
        ending: Ending::Failure,
        status: 5,
    };
    assert_eq!(guest.wait_end(LONG).unwrap(), End::Guest(verdict));
}

#[test]
fn a_relx_release_fills_its_templates_at_boot() {
    let variables = [
        "NODE=guest@127.0.0.1",
        "COOKIE=said-when-it-starts",
        "PORT=8080",
        "GREETING=good day & more",
        "MORE_FLAGS=+P 5000 -relx_check more '{a, b}'",
    ];
    let machine = forward(machine(&image("relx_check"), &variables), &[DISTRIBUTION]);
    let mut guest = machine.start().unwrap();
    guest.wait_event(APPLICATION_STARTED, LONG).unwrap();
    for line in [
        "relx_check: [{greeting,<<\"good day & more\">>},{more,{a,b}},{port,8080},\
         {release,\"relx_check 1.0.0\"}]",
        "relx_check: {'guest@127.0.0.1','said-when-it-starts',1}",
    ] {
        guest.wait_console(line, LONG).unwrap();
    }
    let told = |expression: &str| ask(&guest, "said-when-it-starts", expression);
    let facts = "{[os:getenv(N) || N <- [\"REL_NAME\", \"RELEASE_PROG\", \"RELX_RPC_TIMEOUT\"]], \
                 erlang:system_info(process_limit) < 10000, \
                 file:consult(\"/release/releases/1.0.0/sys.config\") =/= {error, enoent}}.";
    assert_eq!(
        told(facts),
        "{[\"relx_check\",\"/release/bin/relx_check\",\"60\"],true,true}"
    );
    told("init:stop().");
    let end = guest.wait_end(LONG).unwrap();
    assert!(end.is_success(), "{end}");
}

#[test]
fn a_missing_variable_is_named_and_has_an_ending_of_its_own() {
    let mut guest = machine(&image("relx_check"), &["COOKIE=c"])
        .start()
        .unwrap();
    let end = guest.wait_end(LONG).unwrap();
    let verdict = Verdict {
        ending: Ending::NotConfigured,
        status: 0,
    };
    let console = guest.console();
    assert_eq!(end, End::Guest(verdict), "{console}");
    let place = "/release/releases/1.0.0/sys.config.src:2 uses the environment variable PORT";
    assert!(console.contains(place), "{console}");
    assert!(console.contains("--env PORT=VALUE"), "{console}");
}

/// No package has an emulator without the JIT, so that a copy of the usual one stands for it: what
/// is shown is which program is started.
#[test]
fn the_emulator_is_that_of_the_flavour() {
    let copy = shared_folder().join("halt_flavours");
    // Nothing is there on the first run.
    let _ = std::fs::remove_dir_all(&copy);
    succeed(Command::new("cp").arg("-r").arg(release("halt")).arg(&copy));
    let bin = copy.join("erts-13.1.5/bin");
    std::fs::copy(bin.join("beam.smp"), bin.join("beam.emu")).unwrap();
    let flags = "-noshell\n-noinput\n-emu_flavor ${FLAVOUR:-emu}\n";
    std::fs::write(copy.join("releases/1.0.0/vm.args.src"), flags).unwrap();
    let image = make_image("halt_flavours", &copy, &[]);
    let path = |guest: &mut Guest| {
        let started = guest.wait_event(ERTS_STARTED, LONG).unwrap();
        started.field("path").unwrap().to_owned()
    };
    let mut guest = machine(&image, &[]).start().unwrap();
    assert_eq!(path(&mut guest), "/release/erts-13.1.5/bin/beam.emu");
    let end = guest.wait_end(LONG).unwrap();
    assert!(end.is_success(), "{end}\n{}", guest.console());
    let mut guest = machine(&image, &["FLAVOUR=smp"]).start().unwrap();
    assert_eq!(path(&mut guest), "/release/erts-13.1.5/bin/beam.smp");
    let mut guest = machine(&image, &["FLAVOUR=jit"]).start().unwrap();
    let end = guest.wait_end(LONG).unwrap();
    let console = guest.console();
    assert!(
        matches!(end, End::Guest(v) if v.ending == Ending::NotConfigured),
        "{end}\n{console}"
    );
    assert!(
        console.contains("no emulator /release/erts-13.1.5/bin/beam.jit"),
        "{console}"
    );
}
