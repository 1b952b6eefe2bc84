//! Boot scripts beside those that OTP's own `systools:make_script/2` makes of the same files: for
//! OTP's applications, and for hundreds of releases of made-up ones.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use release::boot::BootScript;
use release::rel::RelFile;
use release::systools::{AppSpec, Paths, ScriptError, ScriptOptions, SpecError, make_script};
use release::term::text;
use release::{Error, Places, Release, StartOptions};
use support::{need, otp, run};

/// A folder with `.rel` files, and folders with applications for each.
struct Workshop {
    folder: tempfile::TempDir,
    /// Names of releases, each with the folder of its applications and options for both sides.
    cases: Vec<Case>,
}

struct Case {
    name: String,
    lib: PathBuf,
    options: ScriptOptions,
}

impl Workshop {
    fn new() -> Self {
        need("erl");
        Self {
            folder: tempfile::tempdir().unwrap(),
            cases: Vec::new(),
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(below)
    }

    /// Adds a release of `kernel`, `stdlib` and more, and the `.app` files for it.
    fn add(&mut self, more: &str, apps: &[(&str, &str)], options: ScriptOptions) {
        let base = versions(&["kernel", "stdlib"]);
        self.add_whole(&format!("{base}{more}"), apps, options);
    }

    fn add_whole(&mut self, applications: &str, apps: &[(&str, &str)], options: ScriptOptions) {
        let number = self.cases.len();
        let name = format!("rel{number}");
        let lib = self.path(&format!("lib{number}"));
        fs::create_dir(&lib).unwrap();
        for (directory, app) in apps {
            let ebin = lib.join(directory).join("ebin");
            fs::create_dir_all(&ebin).unwrap();
            let (file, _) = directory.split_once('-').unwrap();
            fs::write(ebin.join(format!("{file}.app")), app).unwrap();
        }
        let (_, erts) = otp();
        let rel = format!(
            "{{release,{{\"{name}\",\"1.{number}\"}},{{erts,\"{erts}\"}},[{applications}]}}.\n"
        );
        fs::write(self.path(&format!("{name}.rel")), rel).unwrap();
        self.cases.push(Case { name, lib, options });
    }

    /// What OTP makes of all: for each release the `.boot` file, or why there is none.
    fn judge(&self) -> Vec<Result<BootScript, String>> {
        let mut cases = String::new();
        for Case { name, lib, options } in &self.cases {
            let mut flags = String::new();
            if options.paths == Paths::Local {
                flags.push_str("local,");
            }
            if options.no_dot_erlang {
                flags.push_str("no_dot_erlang,");
            }
            let path = format!("{}/*/ebin", lib.display());
            writeln!(
                cases,
                "{{\"{name}\",[{flags}silent,no_warn_sasl,{{path,[\"{path}\"]}}]}}."
            )
            .unwrap();
        }
        fs::write(self.path("cases"), cases).unwrap();
        let code = r#"{ok, Cases} = file:consult("cases"),
            lists:foreach(fun({Name, Options}) ->
                Why = case systools:make_script(Name, Options) of
                    {ok, _, _} -> ok;
                    {error, _, Reason} -> Reason
                end,
                ok = file:write_file(Name ++ ".why", io_lib:format("~0p", [Why]))
            end, Cases), halt()."#;
        run(Command::new("erl")
            .current_dir(self.path(""))
            .args(["-noshell", "-eval", code]));
        let judged = self.cases.iter().map(|case| {
            let why = fs::read_to_string(self.path(&format!("{}.why", case.name))).unwrap();
            match why.as_str() {
                "ok" => {
                    let boot = fs::read(self.path(&format!("{}.boot", case.name))).unwrap();
                    Ok(BootScript::parse(&boot).unwrap())
                }
                _ => Err(why),
            }
        });
        judged.collect()
    }

    /// What we make of a release: from its file alone, as a user does.
    fn ours(&self, case: &Case) -> Result<BootScript, Error> {
        let path = self.path(&format!("{}.rel", case.name));
        if case.options != ScriptOptions::default() {
            return self.made(case, &path);
        }
        let (root, _) = otp();
        let places = Places {
            erts: Some(root),
            lib_dirs: vec![case.lib.clone()],
            ..Places::default()
        };
        let (release, problems) = Release::survey(&path, &places).unwrap();
        let script = release.boot_script(&StartOptions::default());
        match problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(script.unwrap()),
        }
    }

    /// The same by the function itself, for options that only it has.
    fn made(&self, case: &Case, path: &Path) -> Result<BootScript, Error> {
        let rel = text::parse_one(&fs::read(path).unwrap()).unwrap();
        let rel = RelFile::from_term(&rel).unwrap();
        let (root, _) = otp();
        let spec = |name: &str, version: &str| {
            let below = format!("{name}-{version}/ebin");
            let ebins = [case.lib.join(&below), root.join("lib").join(&below)];
            let ebin = ebins.into_iter().find(|ebin| ebin.is_dir()).unwrap();
            let app = fs::read(ebin.join(format!("{name}.app"))).unwrap();
            let mut spec = AppSpec::from_term(&text::parse_one(&app).unwrap()).unwrap();
            spec.ebin = ebin.to_str().unwrap().into();
            spec
        };
        let applications = rel.applications.iter();
        let specs = applications
            .map(|app| spec(&app.name, &app.version))
            .collect();
        make_script(&rel, specs, case.options).map_err(|error| Error::Script {
            rel: path.into(),
            error: Box::new(error),
        })
    }

    /// Demands the same script, or an error of the same kind, for all; counts the scripts.
    fn compare(&self) -> usize {
        let mut scripts = 0;
        for (case, theirs) in self.cases.iter().zip(self.judge()) {
            let show = || {
                let rel = fs::read_to_string(self.path(&format!("{}.rel", case.name))).unwrap();
                let mut apps = String::new();
                for entry in fs::read_dir(&case.lib).unwrap() {
                    let ebin = entry.unwrap().path().join("ebin");
                    for app in fs::read_dir(ebin).unwrap() {
                        apps.push_str(&fs::read_to_string(app.unwrap().path()).unwrap());
                        apps.push('\n');
                    }
                }
                format!("{rel}{apps}")
            };
            match (self.ours(case), theirs) {
                (Ok(ours), Ok(theirs)) => {
                    for (ours, theirs) in ours.instructions.iter().zip(&theirs.instructions) {
                        let (ours, theirs) = (text::emit(ours), text::emit(theirs));
                        assert_eq!(ours, theirs, "{}", show());
                    }
                    assert!(ours.emit() == theirs.emit(), "{}", show());
                    scripts += 1;
                }
                (Err(ours), Err(theirs)) => {
                    let word = otp_word(&ours);
                    assert!(theirs.contains(word), "{ours}; OTP: {theirs}\n{}", show());
                }
                (Ok(_), Err(theirs)) => panic!("OTP refuses: {theirs}\n{}", show()),
                (Err(ours), Ok(_)) => panic!("only we refuse: {ours}\n{}", show()),
            }
        }
        scripts
    }
}

/// The atom in OTP's reason for the same error.
fn otp_word(error: &Error) -> &'static str {
    match error {
        Error::AppMismatch {
            found, expected, ..
        } if found[..1] == expected[..1] => "no_valid_version",
        Error::AppMismatch { .. } => "bad_application_name",
        Error::NoApplication { .. } => "not_found",
        Error::Spec { error, .. } => match error {
            SpecError::Missing(_) => "missing_param",
            SpecError::Value(_) => "bad_param",
            SpecError::Shape => "badly_formatted_application",
        },
        Error::Text { .. } => "parse_error",
        Error::Script { error, .. } => match **error {
            ScriptError::MissingMandatory(_) => "missing_mandatory_app",
            ScriptError::Mandatory { .. } => "mandatory_app",
            ScriptError::Include { .. } => "override_include",
            ScriptError::Repeated { .. } => "dupl_entry",
            ScriptError::Undefined(_) => "undefined_applications",
            ScriptError::Registered(_) => "duplicate_register",
            ScriptError::IncludedTwice(_) => "duplicate_include",
            ScriptError::Modules(_) => "duplicate_modules",
            ScriptError::Circular(_) => "circular_dependencies",
        },
        other => panic!("no counterpart: {other}"),
    }
}

/// Entries of a `.rel` file for applications of the installed OTP.
fn versions(names: &[&str]) -> String {
    let (root, _) = otp();
    let mut entries = Vec::new();
    for name in names {
        let directories = fs::read_dir(root.join("lib")).unwrap();
        let names = directories.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let version =
            names.filter_map(|found| Some(found.strip_prefix(name)?.strip_prefix('-')?.to_owned()));
        let version = version
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("{name} is not installed"));
        entries.push(format!("{{{name},\"{version}\"}}"));
    }
    entries.join(",")
}

fn app(name: &str, rest: &str) -> String {
    format!(
        "{{application,{name},[{{description,\"about {name}\"}},{{vsn,\"1\"}},{{registered,[]}},\
         {{modules,[{name}_b,{name}_a]}}{rest}]}}."
    )
}

#[test]
fn applications_of_otp() {
    let mut workshop = Workshop::new();
    let variants = [
        ["sasl"].as_slice(),
        &["crypto", "asn1", "public_key", "ssl", "inets", "sasl"],
        &["ssl", "public_key", "crypto", "asn1"],
        &["ssh", "public_key", "asn1", "crypto", "mnesia"],
        &[
            "runtime_tools",
            "compiler",
            "tools",
            "eunit",
            "os_mon",
            "sasl",
        ],
    ];
    for names in variants {
        for paths in [Paths::Embedded, Paths::Local] {
            for no_dot_erlang in [false, true] {
                let options = ScriptOptions {
                    paths,
                    no_dot_erlang,
                };
                workshop.add(&format!(",{}", versions(names)), &[], options);
            }
        }
    }
    workshop.add("", &[], ScriptOptions::default());
    let backwards = versions(&["sasl", "stdlib", "kernel"]);
    workshop.add_whole(&backwards, &[], ScriptOptions::default());
    assert_eq!(workshop.compare(), workshop.cases.len());
}

#[test]
fn every_kind_of_start_and_inclusion() {
    let mut workshop = Workshop::new();
    let top = app(
        "top",
        ",{applications,[kernel,stdlib,user]},{included_applications,[inner,other]},{mod,{top_a,[x]}},{start_phases,[{one,[]},{two,[1.5]}]}",
    );
    let inner = app(
        "inner",
        ",{applications,[kernel,top]},{included_applications,[]},{env,[{k,#{a=>1}}]},{maxT,5000},{maxP,infinity}",
    );
    let other = app(
        "other",
        ",{applications,[stdlib,kernel]},{id,\"other id\"},{mod,[]}",
    );
    let user = app(
        "user",
        ",{applications,[stdlib,kernel,absent,inner2]},{optional_applications,[absent,inner2]},{start_phases,undefined}",
    );
    let outer = app("outer", ",{applications,[kernel,inner,other]}");
    let apps = [
        ("top-1", top.as_str()),
        ("inner-1", &inner),
        ("other-1", &other),
        ("user-1", &user),
        ("outer-1", &outer),
    ];
    let variants = [
        r#"{outer,"1"},{top,"1"},{other,"1",load},{inner,"1",none},{user,"1",transient}"#,
        r#"{inner,"1"},{other,"1"},{user,"1",temporary},{outer,"1",load},{top,"1",transient}"#,
        r#"{other,"1"},{outer,"1",permanent},{inner,"1"},{top,"1",permanent,[other,inner]},{user,"1",none}"#,
        r#"{user,"1",load},{top,"1",temporary,[inner]},{other,"1"},{inner,"1",load},{outer,"1",none}"#,
        r#"{top,"1",[]},{user,"1"},{outer,"1"},{inner,"1",temporary},{other,"1",none}"#,
        r#"{user,"1"}"#,
    ];
    for paths in [Paths::Embedded, Paths::Local] {
        for variant in variants {
            let options = ScriptOptions {
                paths,
                no_dot_erlang: false,
            };
            workshop.add(&format!(",{variant}"), &apps, options);
        }
    }
    assert!(workshop.compare() >= 8);
}

#[test]
fn what_otp_refuses() {
    let mut workshop = Workshop::new();
    let plain = app("a", ",{applications,[kernel,stdlib]}");
    let with = |rest: &str| app("a", rest);
    let missing_list =
        "{application,a,[{description,\"\"},{vsn,\"1\"},{registered,[]},{applications,[]}]}.";
    let a = r#",{a,"1"}"#;
    let one = |text: String| text;
    let cases = [
        (a, one(with(",{applications,[kernel,nothing]}"))),
        (
            a,
            one(with(
                ",{applications,[kernel]},{included_applications,[nothing]}",
            )),
        ),
        (a, one(with(",{applications,[kernel],x}"))),
        (a, one(with(",{applications,kernel}"))),
        (a, one(with(""))),
        (a, missing_list.into()),
        (a, one(with(",{applications,[]},{maxT,0}"))),
        (a, one(with(",{applications,[]},{env,[{1,2}]}"))),
        (a, one(with(",{applications,[]},{start_phases,[x]}"))),
        (a, one(with(",{applications,[]},{mod,x}"))),
        (a, one(with(",{applications,[]},{id,<<\"x\">>}"))),
        (a, "{application,a,[{vsn,\"1\"}]}.".into()),
        (a, "{application,\"a\",[]}.".into()),
        (a, "{application,".into()),
        (r#",{a,"2"}"#, plain.clone()),
        (r#",{b,"1"}"#, plain.clone()),
        (r#",{a,"1",[stdlib]}"#, plain.clone()),
        (a, one(with(",{applications,[kernel,a]}"))),
        (a, one(with(",{applications,[kernel,kernel,stdlib]}"))),
        (a, app("b", ",{applications,[]}")),
    ];
    for (rel, app) in &cases {
        workshop.add(rel, &[("a-1", app)], ScriptOptions::default());
    }
    let b = |rest: &str| app("b", rest);
    let pairs = [
        (with(",{applications,[b]}"), b(",{applications,[a]}")),
        (
            with(",{applications,[]},{included_applications,[stdlib]}"),
            b(",{applications,[]},{included_applications,[stdlib]}"),
        ),
        (
            with(",{applications,[]}").replace("a_b", "same"),
            b(",{applications,[]}").replace("b_a", "same"),
        ),
        (
            with(",{applications,[]}").replace("{registered,[]}", "{registered,[p]}"),
            b(",{applications,[]}").replace("{registered,[]}", "{registered,[p]}"),
        ),
        (
            with(",{applications,[b]},{optional_applications,[b]}"),
            b(",{applications,[a]},{optional_applications,[a]}"),
        ),
    ];
    for (one, other) in &pairs {
        let apps = [("a-1", one.as_str()), ("b-1", other)];
        workshop.add(r#",{a,"1"},{b,"1"}"#, &apps, ScriptOptions::default());
    }
    let kernel = versions(&["kernel"]);
    let stdlib = versions(&["stdlib"]);
    for whole in [
        kernel.clone(),
        stdlib.clone(),
        format!("{},{stdlib}", kernel.replace('}', ",load}")),
        format!("{kernel},{}", stdlib.replace('}', ",none}")),
    ] {
        workshop.add_whole(&whole, &[], ScriptOptions::default());
    }
    // A name that is twice among those used is refused or not; both sides agree.
    assert!(workshop.compare() <= 3);
}

/// Numbers that are the same in each run (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let sides = of.len() as u64;
        of[usize::try_from(self.roll(sides)).unwrap()]
    }
}

/// Applications that use and include each other at random; each is included by none or one before
/// it, since OTP does not end for those that include each other.
fn random_applications(dice: &mut Dice, count: u64) -> Vec<(String, String)> {
    let mut includes: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for number in 1..count {
        if dice.roll(4) == 0 {
            let by = dice.roll(number);
            includes.entry(by).or_default().push(format!("app{number}"));
        }
    }
    let application = |number: u64| {
        let mut uses = vec!["kernel".to_owned(), "stdlib".to_owned()];
        let mut optional = Vec::new();
        for _ in 0..dice.roll(4) {
            // Mostly those that come later: rarely a circle.
            let towards = if dice.roll(12) == 0 { 0 } else { number + 1 };
            let used = format!("app{}", towards + dice.roll(count + 1 - towards.min(count)));
            if !uses.contains(&used) {
                if dice.roll(3) == 0 || used == format!("app{count}") {
                    optional.push(used.clone());
                }
                uses.push(used);
            }
        }
        if dice.roll(2) == 0 {
            uses.rotate_left(1);
        }
        let included = includes.get(&number).cloned().unwrap_or_default();
        let name = format!("app{number}");
        let rest = format!(
            ",{{applications,[{}]}},{{optional_applications,[{}]}},{{included_applications,[{}]}}",
            uses.join(","),
            optional.join(","),
            included.join(",")
        );
        (format!("{name}-1"), app(&name, &rest))
    };
    (0..count).map(application).collect()
}

#[test]
fn hundreds_of_releases_that_nobody_thought_of() {
    let mut workshop = Workshop::new();
    let mut dice = Dice(7);
    for _ in 0..240 {
        let count = 1 + dice.roll(9);
        let apps = random_applications(&mut dice, count);
        let mut order: Vec<u64> = (0..count).collect();
        for at in (1..order.len()).rev() {
            let other = usize::try_from(dice.roll(at as u64 + 1)).unwrap();
            order.swap(at, other);
        }
        let mut rel = String::new();
        for number in order {
            let start = dice.one(&[
                "",
                ",permanent",
                ",transient",
                ",temporary",
                ",load",
                ",none",
            ]);
            write!(rel, ",{{app{number},\"1\"{start}}}").unwrap();
        }
        let apps: Vec<_> = apps
            .iter()
            .map(|(name, app)| (name.as_str(), app.as_str()))
            .collect();
        workshop.add(&rel, &apps, ScriptOptions::default());
    }
    let scripts = workshop.compare();
    assert!(
        (120..240).contains(&scripts),
        "{scripts} of 240 are releases"
    );
}
