//! Files, configuration and the start.

use std::fs;

use lint::Code;
use release::rel::RelFile;
use release::term::text;

use crate::{FILES, Made, START, by_code, check, demand, refuse, support};

#[test]
fn files_that_will_not_be_there() {
    let made = Made::new(&["mnesia"]);
    let at = made.directory.path().join("src/lib/tzdata-1.0/ebin");
    fs::create_dir_all(at).unwrap();
    made.write(
        "lib/tzdata-1.0/ebin/tzdata.app",
        "{application,tzdata,[{vsn,\"1.0\"}]}.",
    );
    let path = made.path("releases/1.0/hello.rel");
    let mut rel = RelFile::from_term(&text::parse_one(&fs::read(&path).unwrap()).unwrap()).unwrap();
    let mut added = rel.applications[0].clone();
    (added.name, added.version) = ("tzdata".into(), "1.0".into());
    rel.applications.push(added);
    fs::write(&path, text::emit(&rel.to_term())).unwrap();
    made.write("releases/1.0/sys.config", r#"[
        {kernel,[{logger,[{handler,default,logger_std_h,#{config=>#{file=>"log/a.log"}}}]}]},
        {mnesia,[{dir,"/var/lib/hello"}]},
        {sasl,[{sasl_error_logger,{file,"/var/log/sasl.log"}}]},
        {web,[{path,"/static/page"},{key,<<"/etc/ssl/key.pem">>},{host,"/usr/bin/env"},{own,"/release/lib/hello-1.0"}]}]."#);
    let env = [("LANG", "de_DE.UTF-8"), ("TZ", "Europe/Stockholm")];
    let findings = check(&made.root, &env, &[], 256);
    demand(
        &findings,
        &[
            (Code::LogFile, "kernel: logger writes a log to log/a.log"),
            (
                Code::LogFile,
                "sasl: sasl_error_logger writes a log to /var/log/sasl.log",
            ),
            (
                Code::DataInMemory,
                "mnesia: dir keeps data in /var/lib/hello",
            ),
            (
                Code::HostPath,
                "web: key names /etc/ssl/key.pem, which is not in the image @",
            ),
            (
                Code::HostPath,
                "web: host names /usr/bin/env, which is not in the image, though on this machine",
            ),
            (Code::Locale, "LANG is `de_DE.UTF-8`"),
            (Code::Timezone, "TZ is `Europe/Stockholm`"),
            (Code::OwnDirectory, "tzdata fetches time zones"),
        ],
    );
    assert_eq!(by_code(&findings)[&Code::HostPath].len(), 2);
    assert_eq!(by_code(&findings)[&Code::LogFile].len(), 2);

    made.write(
        "releases/1.0/sys.config",
        "[{kernel,[{logger_level,info}]}].",
    );
    let env = [("LANG", "C.UTF-8"), ("TZ", "CET-1CEST")];
    refuse(&check(&made.root, &env, &[], 256), &FILES[..5]);
}

/// Makes the release one of mix.
fn mixed(made: &Made, env_sh: &str, vm_args: &str, cookie: Option<&str>) {
    made.write("releases/1.0/sys.config", "[].");
    made.write("releases/1.0/env.sh", env_sh);
    made.write("releases/1.0/vm.args", vm_args);
    match cookie {
        Some(cookie) => made.write("releases/COOKIE", cookie),
        None => drop(fs::remove_file(made.path("releases/COOKIE"))),
    }
}

#[test]
fn starts_that_surprise() {
    let made = Made::new(&[]);
    let flags = "+sfoo 1 +hmaxib true +sbwt none +K true -heart -cookie x";
    let env_sh = "export HEART_COMMAND=/bin/again\nulimit -n 10\n";
    mixed(&made, env_sh, flags, Some("hello_cookie"));
    let findings = made.check();
    demand(
        &findings,
        &[
            (Code::UnknownFlag, "does not know `+sfoo`"),
            (Code::UnknownFlag, "does not know `+hmaxib`; OTP 26 does"),
            (Code::ObsoleteFlag, "`-cookie` has no effect"),
            (Code::ObsoleteFlag, "`+K` has no effect"),
            (Code::Heart, "heart watches"),
            (Code::HeartCommand, "`/bin/again`"),
            (Code::EnvSh, "env.sh:2 has no effect"),
            (Code::NoEpmd, "without epmd"),
            (Code::WeakCookie, "that of a template"),
            (
                Code::CookieInImage,
                "releases/COOKIE and in the emulator's arguments",
            ),
        ],
    );
    assert_eq!(by_code(&findings)[&Code::UnknownFlag].len(), 2);

    let epmd = made.erts().join("bin/epmd");
    fs::remove_file(epmd).unwrap();
    fs::remove_file(made.erts().join("bin/heart")).unwrap();
    mixed(&made, "", "-start_epmd true -heart", None);
    demand(
        &made.check(),
        &[
            (Code::EpmdMissing, "asks for epmd"),
            (Code::NoCookie, "no cookie"),
            (Code::RuntimeHelper, "`heart` is missing"),
        ],
    );

    let long = "YVEUBLMUVB7ZQZ5GHQJ2";
    mixed(
        &made,
        "RELEASE_DISTRIBUTION=none\n",
        "+sbwt none",
        Some(long),
    );
    refuse(&made.check(), &START);
}

#[test]
fn what_is_said_at_boot_is_not_judged() {
    let made = Made::new(&[]);
    let template = "-sname hello\n-setcookie ${COOKIE}\n+S ${SCHEDULERS:-1}\n";
    made.write("releases/1.0/vm.args.src", template);
    made.write("bin/hello", "#!/bin/sh\nPRE_START_HOOKS=\"hooks/wait|5\"\n");
    let findings = made.check();
    demand(&findings, &[(Code::Hook, "`hooks/wait 5`")]);
    demand(
        &findings,
        &[(
            Code::Unset,
            "vm.args.src:2 uses the environment variable COOKIE",
        )],
    );
    refuse(
        &findings,
        &[Code::WeakCookie, Code::CookieInImage, Code::NoCookie],
    );
    let env = [("COOKIE", "secret")];
    let findings = check(&made.root, &env, &[], 256);
    demand(&findings, &[(Code::WeakCookie, "everybody tries first")]);
    refuse(&findings, &[Code::Unset]);
}

/// The same release, told to be of a run-time system that nobody has seen.
#[test]
fn flags_of_unknown_systems_are_not_judged() {
    let made = Made::new(&[]);
    let (_, version) = support::otp();
    fs::rename(made.erts(), made.path("erts-99.0")).unwrap();
    let path = made.path("releases/1.0/hello.rel");
    let rel = fs::read_to_string(&path)
        .unwrap()
        .replace(&format!("\"{version}\""), "\"99.0\"");
    fs::write(path, rel).unwrap();
    mixed(&made, "", "+sfoo 1", None);
    let findings = made.check();
    demand(&findings, &[(Code::UnprovenFlag, "`+sfoo`")]);
    refuse(&findings, &[Code::UnknownFlag, Code::NewerModule]);
}
