use super::{ConfigError, File, parse};
use crate::cli::{Cli, Command};
use clap::CommandFactory;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

const EXAMPLE: &str = r#"
release = "rel/shop"
kernel-arg = ["ip=none"]
add = ["/bin/sh", "tool:/usr/bin/tool"]
hostname = "shop"
[env]
PORT = "8080"
A = "from the file"
[image]
output = "shop.qcow2"
compress = "zstd"
size = "1G"
[check]
allow = ["UB601"]
memory = "512M"
"#;

/// Parses a command line in which FILE stands for a file with this text, in a folder of its own.
fn parsed(text: &str, line: &str) -> Result<(Cli, std::path::PathBuf), ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    fs::write(&path, text).unwrap();
    let line = line.replace("FILE", &path.display().to_string());
    let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
    Ok((parse(&words)?, folder.path().into()))
}

#[test]
fn the_file_says_what_flags_do_not() {
    let (cli, folder) = parsed(EXAMPLE, "unibeam image --config FILE").unwrap();
    let Command::Image(args) = cli.command else {
        panic!("not `image`");
    };
    assert_eq!(args.content.release, folder.join("rel/shop"));
    assert_eq!(args.output, folder.join("shop.qcow2"));
    assert_eq!(args.disk.size.unwrap().bytes(), 1 << 30);
    assert_eq!(args.content.places.sysroot, Path::new("/"));
    let added: Vec<_> = args
        .content
        .add
        .iter()
        .map(|file| file.host.clone())
        .collect();
    assert_eq!(added, [Path::new("/bin/sh").into(), folder.join("tool")]);
    assert_eq!(args.content.add[1].guest, Path::new("/usr/bin/tool"));
}

#[test]
fn flags_win_and_lists_grow() {
    let line = "unibeam image --config FILE mine -o a.img --size 2G --env A=b --hostname mine --compress=deflate";
    let (cli, _) = parsed(EXAMPLE, line).unwrap();
    let Command::Image(args) = cli.command else {
        panic!("not `image`");
    };
    assert_eq!(args.content.release, Path::new("mine"));
    assert_eq!(args.output, Path::new("a.img"));
    assert_eq!(args.disk.size.unwrap().bytes(), 2 << 30);
    assert_eq!(args.content.hostname.unwrap().0, "mine");
    let env: Vec<_> = args
        .content
        .env
        .iter()
        .map(|v| format!("{}={}", v.name, v.value))
        .collect();
    assert_eq!(env, ["A=from the file", "PORT=8080", "A=b"]);
}

#[test]
fn a_name_that_says_the_format_beats_the_files_format() {
    let format = |line: &str| {
        let text = "release = \"a\"\n[image]\noutput = \"a.img\"\nformat = \"qcow2\"";
        let (cli, _) = parsed(text, &format!("unibeam image --config FILE {line}")).unwrap();
        match cli.command {
            Command::Image(args) => args.disk.format.map(image::Format::name),
            _ => panic!("not `image`"),
        }
    };
    assert_eq!(format("-o b.vmdk"), None);
    assert_eq!(format("-o b"), Some("qcow2"));
    assert_eq!(format("--quiet"), Some("qcow2"));
    assert_eq!(format("-o b.vmdk --format vhd"), Some("vhd"));
}

#[test]
fn a_flag_may_complete_what_the_file_says() {
    let line = "unibeam image --config FILE --key-password-file pw";
    let text = "release = \"a\"\n[image]\noutput = \"a.img\"\n";
    let (cli, folder) = parsed(&format!("{text}sign = \"k.key\""), line).unwrap();
    let Command::Image(args) = cli.command else {
        panic!("not `image`");
    };
    assert_eq!(args.sign.sign, Some(folder.join("k.key")));
    assert_eq!(
        args.sign.key_password_file.as_deref(),
        Some(Path::new("pw"))
    );
    assert!(parsed(text, line).is_err());
}

#[test]
fn check_takes_its_part() {
    let (cli, folder) = parsed(EXAMPLE, "unibeam check --allow UB602 --config FILE").unwrap();
    let Command::Check(args) = cli.command else {
        panic!("not `check`");
    };
    assert_eq!(args.content.unwrap().release, folder.join("rel/shop"));
    assert_eq!((args.memory.mib(), args.allow.len()), (512, 2));
}

#[test]
fn flags_that_stand_alone_need_no_file() {
    for line in ["unibeam check --list", "unibeam check --explain UB601"] {
        parsed(EXAMPLE, line).unwrap();
    }
    assert!(parsed(EXAMPLE, "unibeam image --no-config").is_err());
}

#[test]
fn errors_have_a_place() {
    for (text, place, words) in [
        (
            "relase = \"x\"",
            "line 1, column 1",
            "unknown field `relase`",
        ),
        (
            "\n[image]\nsize = 4",
            "line 3, column 8",
            "expected a string",
        ),
        (
            "\n[image]\nsize = \"many\"",
            "line 3, column 8",
            "expected a size",
        ),
        (
            "kernel-arg = [\"a\", \"\"]",
            "line 1, column 14",
            "``: expected one word",
        ),
        (
            "[env]\nA = \"\\n\"",
            "line 2, column 5",
            "cannot hold this value",
        ),
        (
            "[env]\n\"A B\" = \"\"",
            "line 2, column 1",
            "expected NAME=VALUE",
        ),
        (
            "[image]\nformat = \"iso\"",
            "line 2, column 10",
            "there is no format `iso`",
        ),
        (
            "code-loading = \"lazy\"",
            "line 1, column 16",
            "`lazy` is not possible; possible are embedded, interactive",
        ),
        (
            "hostname = \"my shop\"",
            "line 1, column 12",
            "`my shop`: expected a host name",
        ),
        (
            "keep = [\"x\"]",
            "line 1, column 8",
            "there is no such rule",
        ),
        (
            "[image]\ncompress = 1",
            "line 2, column 12",
            "expected true, false",
        ),
        (
            "[check]\nallow = [\"UB000\"]",
            "line 2, column 9",
            "no such rule",
        ),
        ("[image", "line 1, column 7", "unclosed"),
    ] {
        let said = parsed(text, "unibeam check --config FILE")
            .unwrap_err()
            .to_string();
        assert!(said.contains(place), "{text}: {said}");
        assert!(said.contains(words), "{text}: {said}");
    }
}

#[test]
fn the_guides_example_is_a_sound_file() {
    let guide = include_str!("../../../../docs/guide.md");
    let (_, rest) = guide.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let (cli, _) = parsed(example, "unibeam image --config FILE").unwrap();
    assert!(matches!(cli.command, Command::Image(args) if args.disk.compress.is_some()));
}

/// Flags that are about one call, not about an image.
const OF_ONE_CALL: [&str; 9] = [
    "config",
    "no-config",
    "dry-run",
    "json",
    "quiet",
    "explain",
    "list",
    "help",
    "version",
];

#[test]
fn every_flag_has_its_place_in_the_file() {
    let schema = serde_json::to_value(schemars::schema_for!(File)).unwrap();
    for (name, definition) in [("image", "Image"), ("check", "Check")] {
        let command = Cli::command();
        let command = command.find_subcommand(name).unwrap();
        let flags = command.get_arguments().filter_map(|arg| arg.get_long());
        for flag in flags.filter(|flag| !OF_ONE_CALL.contains(flag)) {
            let places = [
                &schema["properties"],
                &schema["$defs"][definition]["properties"],
            ];
            assert!(
                places.iter().any(|place| place.get(flag).is_some()),
                "--{flag} of `unibeam {name}` has no place in unibeam.toml: a field in config/file.rs, and a line in config/mod.rs"
            );
        }
    }
}

#[test]
fn the_schema_in_the_documentation_is_that_of_the_types() {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(File)).unwrap() + "\n";
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/unibeam.schema.json"
    );
    if std::env::var_os("UNIBEAM_BLESS").is_some() {
        fs::write(path, &schema).unwrap();
    }
    let documented = fs::read_to_string(path).unwrap();
    assert_eq!(documented, schema, "`just bless` accepts the new schema");
}
