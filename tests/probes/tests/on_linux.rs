//! The probes on the Linux that runs this test: the oracle of what `expected/` says.
//! `BLESS=1 cargo test -p probes` rewrites the files.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use probes::judge;
use std::path::Path;
use std::process::{Command, Stdio};

/// Seconds until timeout(1) ends a probe; each takes about one.
const PATIENCE: &str = "60";

fn check(family: &str, program: &str) {
    let output = Command::new("timeout")
        .args([PATIENCE, program])
        .stdin(Stdio::null())
        .output()
        .expect("timeout(1) of coreutils runs");
    let found = String::from_utf8(output.stdout).expect("probes print UTF-8");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected");
    let path = directory.join(family).with_extension("txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &found).expect("the expected output can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let verdict = judge(family, &found, &expected, "");
    assert!(verdict.is_good(), "{verdict:#?}");
    assert_eq!(found, expected, "steps are in another order");
    assert!(output.status.success(), "{family}: {}", output.status);
}

macro_rules! families {
    ($($family:ident)*) => {
        $(
            #[test]
            fn $family() {
                check(stringify!($family), env!(concat!("CARGO_BIN_EXE_", stringify!($family))));
            }
        )*

        #[test]
        fn every_expected_file_has_a_probe() {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected");
            let files = std::fs::read_dir(directory).unwrap();
            let mut names: Vec<_> = files
                .map(|file| file.unwrap().path().with_extension(""))
                .map(|path| path.file_name().unwrap().to_owned())
                .collect();
            names.sort();
            assert_eq!(names, [$(stringify!($family)),*]);
        }
    };
}
families!(
    epoll files inet jobs local memory parallel pipes processes signals sockets stores threads time wakeups
);
