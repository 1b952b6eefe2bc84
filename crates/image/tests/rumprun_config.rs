//! rumprun's configuration: reader and writer are twins, and what rumprun would end the guest for is
//! refused by name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use image::rumprun::config::{
    Address, Blk, CONFIG_MAX, ConfigError, Configuration, Mount, MountKind, Net, Program, RunMode,
    Source, Step,
};
use proptest::prelude::{Just, Strategy, any, prop};
use proptest::{option, prop_assert_eq, prop_oneof, proptest};

fn parse(text: &str) -> Result<Configuration, ConfigError> {
    Configuration::parse(text.as_bytes())
}

/// What is said about a configuration that is refused.
fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.into()).collect()
}

/// The example of the facts: beam with its files on the first disk.
fn example() -> Configuration {
    Configuration {
        steps: vec![
            Step::Blk(Blk {
                source: Source::Dev,
                path: "/dev/ld0a".into(),
                mount: Some(Mount {
                    kind: MountKind::Blk,
                    point: "/opt/erlang".into(),
                }),
            }),
            Step::Env("HOME=/tmp".into()),
            Step::Env("ERL_LIBS=/a b".into()),
            Step::Net(Net {
                interface: "vioif0".into(),
                cloner: false,
                address: Address::Dhcp,
            }),
            Step::Cmdline(words(&["beam", "-eval", "io:format(\"a\\tb\").", ""])),
        ],
    }
}

#[test]
fn the_json_is_what_rumprun_documents() {
    let text = r#"{"blk":{"source":"dev","path":"/dev/ld0a","fstype":"blk","mountpoint":"/opt/erlang"},"env":"HOME=/tmp","env":"ERL_LIBS=/a b","net":{"if":"vioif0","type":"inet","method":"dhcp"},"cmdline":"beam -eval io:format(\"a\\tb\"). ''"}"#;
    assert_eq!(example().emit().unwrap(), text);
    assert_eq!(parse(text).unwrap(), example());
}

/// rumprun's splitter (lib/librumprun_base/parseargs.c), on what it sees: JSON with its escapes.
fn rumprun_splits(raw: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            word.get_or_insert_default().extend(chars.next());
        } else if quote.is_none() && c == ' ' {
            words.extend(word.take());
        } else if quote == Some(c) {
            quote = None;
        } else if c == '\'' || c == '"' {
            quote = Some(c);
            word.get_or_insert_default();
        } else {
            word.get_or_insert_default().push(c);
        }
    }
    words.extend(word);
    words
}

fn arb_word() -> impl Strategy<Value = String> {
    "[a-z \"\\\\/é-]{0,9}"
}

fn arb_text() -> impl Strategy<Value = String> {
    "[a-z '/é=.]{1,9}"
}

fn arb_address() -> impl Strategy<Value = Address> {
    let v4 = || any::<[u8; 4]>().prop_map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
    let v6 = || any::<[u8; 16]>().prop_map(|bytes| IpAddr::from(Ipv6Addr::from(bytes)));
    let fixed = |(addr, prefix, gateway)| Address::Static {
        addr,
        prefix,
        gateway,
    };
    prop_oneof![
        Just(Address::Dhcp),
        Just(Address::Auto),
        (v4(), 0u8..=32, option::of(v4())).prop_map(fixed),
        (v6(), 0u8..=128, option::of(v6())).prop_map(fixed),
    ]
}

fn arb_net() -> impl Strategy<Value = Net> {
    let fields = (arb_text(), any::<bool>(), arb_address());
    fields.prop_map(|(interface, cloner, address)| Net {
        interface,
        cloner,
        address,
    })
}

fn arb_blk() -> impl Strategy<Value = Blk> {
    let source = prop_oneof![Just(Source::Dev), Just(Source::Vnd), Just(Source::Etfs)];
    let kind = prop_oneof![Just(MountKind::Blk), Just(MountKind::Kernfs)];
    let mount = (kind, arb_text()).prop_map(|(kind, point)| Mount {
        kind,
        point: format!("/{point}"),
    });
    let fields = (source, arb_text(), option::of(mount));
    fields.prop_map(|(source, path, mount)| Blk {
        source,
        path,
        mount,
    })
}

fn arb_program() -> impl Strategy<Value = Program> {
    let mode = prop_oneof![Just(RunMode::Wait), Just(RunMode::Background)];
    let fields = (arb_text(), prop::collection::vec(arb_text(), 0..3), mode);
    fields.prop_map(|(bin, argv, mode)| Program { bin, argv, mode })
}

fn arb_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(arb_word(), 1..5).prop_map(Step::Cmdline),
        prop::collection::vec(arb_program(), 0..3).prop_map(Step::Programs),
        arb_text().prop_map(|value| Step::Env(format!("A={value}"))),
        arb_text().prop_map(Step::Hostname),
        arb_blk().prop_map(Step::Blk),
    ]
}

fn arb_configuration() -> impl Strategy<Value = Configuration> {
    let steps = prop::collection::vec(arb_step(), 0..8);
    (steps, option::of(arb_net())).prop_map(|(mut steps, net)| {
        steps.extend(net.map(Step::Net));
        steps.push(Step::Cmdline(words(&["beam"])));
        Configuration { steps }
    })
}

proptest! {
    #[test]
    fn emit_and_parse_are_twins(configuration in arb_configuration()) {
        let text = configuration.emit().unwrap();
        prop_assert_eq!(parse(&text).unwrap(), configuration);
    }

    #[test]
    fn arguments_arrive_as_they_are(line in prop::collection::vec(arb_word(), 1..6)) {
        let configuration = Configuration { steps: vec![Step::Cmdline(line.clone())] };
        let text = configuration.emit().unwrap();
        let raw = text.strip_prefix(r#"{"cmdline":""#).unwrap().strip_suffix(r#""}"#).unwrap();
        prop_assert_eq!(rumprun_splits(raw), line);
    }

    #[test]
    fn random_text_does_no_harm(text in "[\\[\\]{}:,\"a-z0-9 \\\\]{0,60}") {
        let _ = parse(&text);
    }
}

#[test]
fn unknown_keys_are_refused_by_name() {
    assert_eq!(
        refusal(r#"{"cmdline":"x","tmpfs":"1"}"#),
        "unknown key `tmpfs` in the configuration: rumprun would end the guest; it knows \
         `cmdline`, `rc_TESTING`, `env`, `hostname`, `net`, `blk`"
    );
    assert_eq!(
        refusal(r#"{"rc":[],"cmdline":"x"}"#),
        "unknown key `rc`: rumprun's documentation names it, but its code knows `rc_TESTING` only; \
         rename it"
    );
    let net = refusal(r#"{"cmdline":"x","net":{"dns":"1.1.1.1"}}"#);
    assert!(net.starts_with("unknown key `dns` in `net`"), "{net}");
    let blk = refusal(r#"{"cmdline":"x","blk":{"size":"1"}}"#);
    assert!(blk.starts_with("unknown key `size` in `blk`"), "{blk}");
    let rc = refusal(r#"{"rc_TESTING":[{"bin":"a","argv":[],"env":"A=b"}]}"#);
    assert!(
        rc.starts_with("unknown key `env` in a program of `rc_TESTING`"),
        "{rc}"
    );
}

#[test]
fn what_is_missing_is_named() {
    for (text, expected) in [
        (r#"{"env":"A=b"}"#, "the configuration starts no program"),
        (
            r#"{"rc_TESTING":[]}"#,
            "the configuration starts no program",
        ),
        (
            r#"{"rc_TESTING":[{"bin":"a"}]}"#,
            "a program of `rc_TESTING` has no `argv`",
        ),
        (
            r#"{"cmdline":"x","net":{"if":"a","type":"inet"}}"#,
            "`net` has no `method`",
        ),
        (
            r#"{"cmdline":"x","net":{"if":"a","type":"inet","method":"static","addr":"1.2.3.4"}}"#,
            "`net` has no `mask`",
        ),
        (
            r#"{"cmdline":"x","blk":{"source":"dev"}}"#,
            "`blk` has no `path`",
        ),
        (
            r#"{"cmdline":"x","blk":{"source":"dev","path":"a","mountpoint":"/m"}}"#,
            "`blk` has no `fstype`",
        ),
        (
            r#"{"rc_TESTING":[{"bin":"a","argv":[],"runmode":"|"}]}"#,
            "the last program (`a`) has the run mode `|`",
        ),
    ] {
        let found = refusal(text);
        assert!(found.starts_with(expected), "{text}: {found}");
    }
}

#[test]
fn values_that_rumprun_refuses_or_misreads_are_named() {
    for (text, expected) in [
        ("[]", "`the configuration` is an array, expected an object"),
        (
            r#"{"cmdline":1}"#,
            "`cmdline` is a number, expected a string",
        ),
        (
            r#"{"cmdline":" "}"#,
            "`cmdline` is ``, expected the program's name",
        ),
        (
            r#"{"cmdline":"x 'y"}"#,
            "`cmdline` has the character '\\'' at byte 2",
        ),
        (
            r#"{"cmdline":"x\ny"}"#,
            "`cmdline` has the character '\\n' at byte 1",
        ),
        (
            r#"{"cmdline":"x","env":"A"}"#,
            "`env` is `A`, expected NAME=VALUE",
        ),
        (
            r#"{"cmdline":"x","env":"A=\"b\""}"#,
            "`env` has the character '\"' at byte 2",
        ),
        (
            r#"{"cmdline":"x","net":{"if":"a","if":"b","type":"inet","method":"dhcp"}}"#,
            "`if` comes twice in `net`",
        ),
        (
            r#"{"cmdline":"x","net":{"if":"a","cloner":"false","type":"inet","method":"dhcp"}}"#,
            "`cloner` is `false`, expected `true`",
        ),
        (
            r#"{"cmdline":"x","net":{"if":"a","type":"inet","method":"auto"}}"#,
            "`method` is `auto`, expected `dhcp` or `static` for the type `inet`",
        ),
        (
            r#"{"cmdline":"x","net":{"if":"a","type":"inet","method":"static","addr":"::1","mask":"8"}}"#,
            "`addr` is `::1`, expected an IPv4 address",
        ),
        (
            r#"{"cmdline":"x","net":{"if":"a","type":"inet","method":"static","addr":"1.2.3.4","mask":"33"}}"#,
            "`mask` is `33`, expected a number of bits, at most 32",
        ),
        (
            r#"{"cmdline":"x","blk":{"source":"dev","path":"a","fstype":"kern","mountpoint":"/m"}}"#,
            "`fstype` is `kern`, expected `blk` or `kernfs`",
        ),
        (
            r#"{"cmdline":"x","blk":{"source":"dev","path":"a","fstype":"blk","mountpoint":"m"}}"#,
            "`mountpoint` is `m`, expected a path that begins with `/`",
        ),
    ] {
        let found = refusal(text);
        assert!(found.starts_with(expected), "{text}: {found}");
    }
    let net = r#""net":{"if":"a","type":"inet","method":"dhcp"}"#;
    let twice = refusal(&format!("{{{net},{net},\"cmdline\":\"x\"}}"));
    assert!(
        twice.starts_with("`net` comes twice in the configuration"),
        "{twice}"
    );
}

#[test]
fn the_length_has_a_limit() {
    let with = |length: usize| Configuration {
        steps: vec![Step::Cmdline(vec!["x".repeat(length)])],
    };
    let frame = r#"{"cmdline":""}"#.len();
    assert_eq!(with(CONFIG_MAX - frame).emit().unwrap().len(), CONFIG_MAX);
    let error = with(CONFIG_MAX - frame + 1).emit().unwrap_err().to_string();
    assert_eq!(
        error,
        "the configuration has 4095 bytes; rumprun takes at most 4094"
    );
}
