//! The one table of rules: codes, severities and what to say about them. `unibeam check --explain`,
//! `--list` and docs/checks.md are made from it.

use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something will not work as on the machine where the release was built.
    Warning,
    /// No image can be made, or the release will not start from it.
    Error,
}

impl Severity {
    /// Its name for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that is looked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable code, never given to another rule.
    pub code: &'static str,
    /// How much its findings matter.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why that is a problem, and how it is recognised.
    pub explanation: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Rule {
    /// The rule with this code, in any case of letters.
    pub fn named(code: &str) -> Option<&'static Self> {
        RULES
            .iter()
            .find(|rule| rule.code.eq_ignore_ascii_case(code))
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $id:ident $code:literal $severity:ident $title:literal
        $explanation:literal $remedy:literal)*) => {
        /// A rule, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $id,)*
        }

        /// All rules, by code.
        pub static RULES: [Rule; [$($code),*].len()] = [
            $(Rule {
                code: $code,
                severity: Severity::$severity,
                title: $title,
                explanation: $explanation,
                remedy: $remedy,
            },)*
        ];

        impl Code {
            /// All of them, in the order of [`RULES`].
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$id),*];
        }
    };
}

impl Code {
    /// Its row in the table.
    pub fn rule(self) -> &'static Rule {
        &RULES[self as usize]
    }
}

rules! {
    // The release itself.

    /// Something else is wrong with it.
    Unusable "UB100" Error
        "the release cannot be used"
        "The release lacks something that an image needs, or holds something that it cannot have."
        "Build the release again; the finding itself says what is wrong."

    /// A file of the release cannot be read.
    Unreadable "UB101" Error
        "a file of the release cannot be read"
        "Every file of an application and of the run-time system becomes part of the image, so it has to be readable for the user who makes the image."
        "Give the user who makes the image the right to read the file, or build the release again as that user."

    /// The run-time system is missing, or another one.
    RuntimeSystem "UB102" Error
        "the run-time system is missing or has another version"
        "An image holds the release's own emulator, `erts-VERSION/bin/beam.smp`, in the version that the `.rel` file names, built for x86-64 Linux."
        "Build the release with its run-time system (`{include_erts, true}` for relx, `include_erts: true` for mix), or name the Erlang that it was built with: `--erts DIR`."

    /// An application is missing, or another version.
    Application "UB103" Error
        "an application is missing or has another version"
        "Every application of the `.rel` file must be in `lib/NAME-VERSION`, with an `.app` file of that name and version: the boot script loads its modules from there."
        "Build the release again, and do not copy applications into a built release. Applications for a `.rel` file that is in no release are found with `--lib-dir DIR`, those of Erlang with `--erts DIR`."

    /// There is no usable boot script.
    BootScript "UB104" Error
        "the boot script is missing or malformed"
        "The emulator does what the boot script (`.boot`) says; without one it does not start."
        "Build the release again, or make the boot script with `systools:make_script/2`."

    /// A metadata or configuration file is malformed.
    Malformed "UB105" Error
        "a file that is read at boot is malformed"
        "`.rel`, `.app`, `sys.config` and `vm.args` are read when the release starts; a mistake in one of them ends the boot."
        "Correct the file at the place given, and build the release again if it is a generated one."

    /// A file cannot be part of an image.
    UnfitFile "UB106" Error
        "a file cannot be part of an image"
        "An image holds files, directories and symbolic links that stay inside the release; there are no devices, sockets or pipes in it, and nothing outside the release that a link could lead to."
        "Remove the file, or copy what the link leads to into the release (relx: `{dev_mode, false}`)."

    /// How the release starts cannot be made out.
    StartUnknown "UB107" Error
        "how the release is started cannot be made out"
        "The work of the release's start script is done when the image is made: variables in `vm.args.src` and `sys.config.src` need a value then, and files that are named must be inside the release."
        "Give the variable with `--env NAME=VALUE`, or correct the setting."

    /// The boot script belongs to another build.
    BootMismatch "UB108" Error
        "the boot script and the release are not of one build"
        "The boot script names the directories from which applications are loaded, with their versions. One that names a directory that is not there, or another version than the `.rel` file, was made for another build."
        "Build the release again; make the boot script with the `.rel` file that is in the release."

    /// The boot script loads a module that is not there.
    MissingModule "UB109" Error
        "the boot script loads a module that is not there"
        "In embedded mode, all modules are loaded while the release boots; the emulator ends with `load_failed` at the first that it does not find. `init` loads these modules in interactive mode, too, where they belong to kernel and stdlib."
        "Build the release again; the `modules` in the application's `.app` file and the files in its `ebin` must agree."

    // Native code.

    /// A library or program is for another machine.
    ForeignNative "UB201" Error
        "a native library or program is for another machine"
        "A NIF, driver or port program in the release is not for x86-64 Linux; the guest cannot load or run it."
        "Build the application's native code on, or for, x86-64 Linux (for precompiled NIFs: the `x86_64-linux-gnu` variant)."

    /// The same, but there is one for this machine, too.
    ForeignBeside "UB202" Info
        "native code for another machine beside that for x86-64"
        "The application brings the same library for several machines. Those for other machines take room in the image and are never used."
        "Nothing needs to be done; removing the files from the release makes the image smaller."

    /// A native file is damaged.
    DamagedElf "UB203" Error
        "a native library or program is damaged"
        "The file starts like an ELF file, but its headers lead outside of it: it was cut off or overwritten."
        "Build the application's native code again."

    /// A native file needs musl.
    Musl "UB204" Error
        "native code was linked with musl"
        "Images take libraries from a system with the GNU C library; what was built on Alpine Linux or for musl needs another loader and another C library, and the two cannot be mixed in one process."
        "Build the release (for precompiled NIFs: choose the variant) for glibc, on Debian, Ubuntu or Fedora, for example."

    /// The dynamic loader is not in the sysroot.
    NoLoader "UB205" Error
        "the dynamic loader is not there"
        "A dynamic program names the loader that starts it. It is taken from the sysroot and was not found there."
        "Give the root of the system that the release was built on with `--sysroot DIR`."

    /// A shared library is missing.
    MissingLibrary "UB206" Error
        "a shared library is missing"
        "A program or library of the release needs a shared library that is neither in the release nor in the sysroot. The guest's loader would fail when it is used, for a NIF when its module is loaded."
        "Install the library, or give the root of the system that the release was built on with `--sysroot DIR`."

    /// OpenSSL of another version.
    OpenSsl "UB207" Error
        "another version of OpenSSL is needed"
        "`crypto` (or another library) was linked with a version of OpenSSL that is not in the sysroot. The versions have different names (`libcrypto.so.1.1`, `libcrypto.so.3`) and cannot stand for each other. Without it, `crypto` is not loaded, and with it `ssl`, `ssh` and everything that uses them."
        "Give the root of the system that the release was built on with `--sysroot DIR`, or build Erlang and the release on this system."

    /// A library is in the release, but not where the loader looks.
    LibraryByName "UB208" Warning
        "a library is found only if another was loaded before"
        "A library of the release is needed by name, but is not where the loader looks (`DT_RUNPATH`, the system's directories). This works if the application itself loads it first, and fails otherwise."
        "Link with `-Wl,-rpath,$ORIGIN`, or check that the application loads the libraries in the right order."

    /// A symbol version is too new.
    SymbolVersion "UB209" Error
        "native code needs newer libraries than there are"
        "Symbols have versions (`GLIBC_2.38`): native code that was built on a newer system than the sysroot needs versions that its libraries do not have, and is not loaded."
        "Build native code on the oldest system that it has to run on, or give a sysroot that is as new as the one it was built on (`--sysroot DIR`)."

    /// The library of a module's native functions is missing.
    MissingNif "UB210" Warning
        "a library of native functions is not in the release"
        "The module's `on_load` function calls `erlang:load_nif/2`, and no shared library in the release has a name that is written in the module. If loading fails, so does the module; in embedded mode, where all modules are loaded at boot, the emulator then ends with `on_load_function_failed`."
        "Build the application's native code again, and look for it in the application's `priv` directory. If the module is not used, `--code-loading interactive` does not load it."

    // Programs.

    /// The shell is used, and not there.
    NoShell "UB301" Warning
        "the shell is used, and is not in the image"
        "`os:cmd/1`, `open_port({spawn, Command}, …)` with a command that names no file, and `System.shell/2` run `/bin/sh`. There is nothing in an image that was not put there. The place of the call is found in the module's code; whether it is ever reached is not known."
        "Add the shell and the programs that it runs: `--add /bin/sh --add /bin/cat`."

    /// A program is started, and not there.
    NoProgram "UB302" Warning
        "a program is started that is not in the image"
        "The module starts a program by a name that stands in its code, and no such program is in the image on the guest's `PATH`. Whether the call is ever reached is not known."
        "Add the program with `--add FILE` if the release uses this function."

    /// A known application starts programs.
    KnownProgram "UB303" Warning
        "an application needs a program that is not in the image"
        "The application is known to start this program when it is used as it is configured here."
        "Add the program with `--add FILE`, or switch off what needs it in the application's configuration."

    /// A program is started whose name is not known.
    UnknownProgram "UB304" Info
        "programs are started whose names are known only at run time"
        "The module starts programs, but their names do not stand in its code: they are computed, or come from the configuration."
        "If the release uses this, add the programs with `--add FILE`."

    /// A program of the run-time system is missing.
    RuntimeHelper "UB305" Error
        "a program of the run-time system is missing"
        "The emulator starts helpers from `erts-VERSION/bin`: `erl_child_setup` always, `heart` if it is asked for. It ends if they are not there."
        "Build the release again with its complete run-time system."

    // Files and configuration.

    /// Logs are written to files.
    LogFile "UB401" Warning
        "a log is written to a file in memory"
        "What a guest writes to its root lives in memory and is gone when the machine stops; a log that is never cut takes ever more of it."
        "Log to the console (`logger_std_h` with `type => standard_io`), which the hypervisor keeps, or over the network."

    /// Data is written to memory.
    DataInMemory "UB402" Warning
        "data is kept in a directory in memory"
        "Mnesia and others keep tables on disk. In a guest without a data volume, that disk is memory: everything is gone when the machine stops."
        "Keep the data on another node (for mnesia: `ram_copies` here, `disc_copies` there), in a database, or on a data volume."

    /// The configuration names a path of the host.
    HostPath "UB403" Warning
        "the configuration names a file that is not in the image"
        "A value in `sys.config` is the absolute path of a file or directory outside the release. Only the release and what is added by name is in an image."
        "Add the file with `--add FILE:PATH`, or keep it in an application's `priv` directory and name it from there."

    /// A locale that is not there.
    Locale "UB404" Warning
        "a locale is asked for that is not in the image"
        "Images have the locales `C`, `POSIX` and `C.UTF-8`. With any other, the C library falls back to `C`, and the emulator takes names of files for Latin-1."
        "Set `LANG=C.UTF-8`, or leave `LANG` and `LC_ALL` unset."

    /// A time zone that is not there.
    Timezone "UB405" Warning
        "a time zone is asked for whose file is not in the image"
        "`TZ` names a file below `/usr/share/zoneinfo`. Without it, local time is UTC."
        "Add it: `--add /usr/share/zoneinfo/Europe/Stockholm`, for example."

    /// An application writes to its own directory.
    OwnDirectory "UB406" Warning
        "an application writes to its own directory"
        "The application is known to keep files in its `priv` directory and to renew them while it runs. What it writes in a guest is in memory, and is fetched anew after each start."
        "Switch the updates off in the application's configuration, and update by making a new image."

    // The start.

    /// An emulator flag that does not exist.
    UnknownFlag "UB501" Error
        "the emulator does not know a flag"
        "Emulator flags (`+FLAG` in `vm.args`) that do not exist in this version of OTP end the start with a page of usage. The table of flags was made from the sources of OTP 25.2 and 27.3 and is compared with a real emulator."
        "Remove the flag, or build the release with a version of OTP that has it."

    /// An emulator flag that we do not know, of a newer OTP than we know.
    UnprovenFlag "UB502" Warning
        "a flag of the emulator is not known here"
        "The release's run-time system is newer than the newest whose flags are known to unibeam (OTP 27.3), so that it cannot be said whether this flag exists."
        "Check with `erl +FLAG` on the machine where the release was built."

    /// Heart in a guest.
    Heart "UB503" Info
        "heart ends the machine, and does not start it again"
        "`heart` kills an emulator that hangs. The emulator is what the machine lives by, so the machine ends, with status 137."
        "Have the hypervisor start the guest again when it ends (`on_crash`, `--restart`, a service manager around QEMU)."

    /// Heart's command is not run.
    HeartCommand "UB504" Warning
        "HEART_COMMAND has no effect"
        "The command would be run after the emulator's end, but that is the end of the machine."
        "Have the hypervisor do what the command would do."

    /// Distribution without epmd.
    NoEpmd "UB505" Info
        "the node is distributed without epmd"
        "There is one node in a guest, so its distribution listens at a fixed port and needs no `epmd` to tell which."
        "Start other nodes with `-erl_epmd_port 4370`, or set `-start_epmd` in `vm.args` yourself; docs/distribution.md has the details."

    /// epmd is asked for and missing.
    EpmdMissing "UB506" Error
        "epmd is asked for, and is not in the release"
        "`-start_epmd true` starts `erts-VERSION/bin/epmd` beside the emulator; without it a distributed node does not start."
        "Remove the flag from `vm.args`, or build the release with its complete run-time system."

    /// A line of env.sh has no effect.
    EnvSh "UB507" Warning
        "a line of env.sh has no effect"
        "No shell runs in a guest. Plain assignments in `env.sh` are applied when the machine starts; everything else in it is not."
        "Set the variables with `--env NAME=VALUE`, in the image or at `unibeam run`."

    /// A flag without effect.
    ObsoleteFlag "UB508" Warning
        "a flag has no effect"
        "The flag existed once, or is a common slip for another one; the emulator takes it silently and does nothing."
        "Use the flag that is named instead."

    /// A template needs a variable.
    Unset "UB509" Info
        "a variable of the configuration has no value yet"
        "`vm.args.src` and `sys.config.src` are filled when the machine starts. A variable that has no default then needs a value: without it the machine ends with status 120."
        "Give it one at boot, `unibeam run --env NAME=VALUE`, or in the image with `--env`; or write a default, `${NAME:-VALUE}`."

    /// A hook of a start script.
    Hook "UB510" Warning
        "a hook of the start script is not run"
        "relx's start script runs the programs of `pre_start` hooks before the emulator. No shell runs in a guest, so nothing runs them."
        "Do the hook's work in the application's start, or while the image is made."

    /// A weak cookie.
    WeakCookie "UB511" Warning
        "the cookie is easily guessed"
        "The cookie is all that keeps others from running code on a distributed node. One from a template, or a short one, is found in no time."
        "Set a long random cookie, when the machine is started and not in the image: `unibeam run --env RELEASE_COOKIE=…` for mix, `-setcookie` in an arguments file of your own otherwise."

    /// The cookie is in the image.
    CookieInImage "UB512" Info
        "the cookie is in the image"
        "Whoever can read the image has the cookie, and with it every node of the cluster that he can reach."
        "Keep the image as secret as the cookie; distribution over TLS (`-proto_dist inet_tls`) asks for certificates besides."

    /// No cookie at all.
    NoCookie "UB513" Warning
        "a distributed node has no cookie"
        "Without `-setcookie`, the node reads `.erlang.cookie` in its home directory, or makes a random one at each start: no other node can connect."
        "Set a cookie (`-setcookie` in `vm.args`), or add the file: `--add ./cookie:/root/.erlang.cookie`."

    // Modules.

    /// Debug information is left in.
    DebugInfo "UB601" Info
        "modules carry debug information"
        "Abstract code and documentation in `.beam` files serve debuggers and shells, not a running release. They take room in the image and in memory."
        "Add `--strip`, or strip the release: `{debug_info, strip}` for relx, `strip_beams: true` for mix (its default)."

    /// Compressed modules.
    Compressed "UB602" Warning
        "modules are compressed"
        "A compressed `.beam` file is inflated by Erlang code while the release boots, which costs ten to thirty times what loading the module costs."
        "Do without `--keep compression`: modules are stored uncompressed by default, and the image can be compressed as a whole (`--compress`)."

    /// A module for a newer OTP.
    NewerModule "UB603" Error
        "a module is compiled for a newer OTP"
        "The module's code uses instructions that this run-time system does not have; the loader refuses it (`please re-compile this module with an Erlang/OTP … compiler`)."
        "Compile everything with the OTP that the release is built with; do not copy modules from elsewhere."

    /// A function that is not there.
    MissingFunction "UB604" Warning
        "a module calls a function that does not exist"
        "The module that is called is in the release, but does not export this function, so that the call fails with `undef`. Often a sign of mixed versions."
        "Bring the versions of the applications together. If the call is guarded by `function_exported`, all is well."

    /// A damaged module.
    DamagedModule "UB605" Error
        "a module is damaged"
        "A `.beam` file is cut off or is not one; the boot ends when it is loaded."
        "Build the release again."

    /// Modules that are not there.
    MissingModules "UB606" Info
        "modules are called that are not in the release"
        "The application's code calls modules that are in none of the release's applications, so that these calls fail with `undef`. Applications often do so only if an optional one is there."
        "If the release uses this, add the application that has the modules to the release."

    // Resources.

    /// More memory is needed than planned.
    Memory "UB701" Warning
        "more memory is needed than the machine is to have"
        "The root archive lies in memory, and so does the code made from the modules. The estimate is what the release needs to start, measured on examples; what it does afterwards comes on top."
        "Give the machine more memory (`-m`), or leave out what the release does not need."

    // The base.

    /// No image can be made.
    BaseRefuses "UB801" Error
        "the release cannot be put on this base"
        "The base that the image is to boot (`--base`) cannot start the release as it is configured, or cannot do what is asked for."
        "Do as the message says, or choose another base (docs/bases.md has a table of what each can do)."

    /// Functions that are not there.
    MissingSymbols "UB802" Warning
        "native code needs functions that the base's kernel does not have"
        "The linker in the kernel finds a function when it is called for the first time; one that is not there ends the machine then, and an object that is not there as soon as it is used. Emulators name functions that they never call on this base, so that it may start all the same."
        "Test what uses the file; or take a later kernel, or one that runs Linux's dynamic linker (`--osv-launch ld-linux`), with which the release's own C library is used."

    /// Programs are started where there are none.
    NoPorts "UB803" Warning
        "a program is started on a base that has none"
        "The base runs one process. `open_port/2` raises `enotsup`, and `os:cmd/1` fails with it; the release goes on if it expects that."
        "Do without the program, or choose the base `unibeam`, on which programs work."
}

#[cfg(test)]
mod tests {
    use super::{Code, RULES, Rule};

    #[test]
    fn codes_are_sorted_and_found() {
        assert!(RULES.windows(2).all(|pair| pair[0].code < pair[1].code));
        for code in Code::ALL {
            let rule = code.rule();
            assert_eq!(Rule::named(&rule.code.to_lowercase()), Some(rule));
        }
        assert_eq!(Rule::named("UB000"), None);
    }

    #[test]
    fn texts_are_sentences() {
        for rule in &RULES {
            let ends = [rule.explanation, rule.remedy].map(|text| text.ends_with(['.', ')']));
            assert_eq!(ends, [true, true], "{}", rule.code);
            assert!(
                !rule.title.ends_with('.') && rule.title.len() < 70,
                "{}",
                rule.code
            );
        }
    }
}
