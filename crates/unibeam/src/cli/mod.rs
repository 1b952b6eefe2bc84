//! The command line: every flag, defined once. Parsing yields plain values and does no I/O.

mod base;
mod check;
mod content;
mod disk;
mod host_name;
mod inspect;
mod loading;
mod sign;
mod trim;
mod values;

pub(crate) use base::{BaseArg, BaseArgs, BaseCommand, BaseCommandArgs, LaunchArg};
pub(crate) use check::{CheckArgs, RuleArg};
pub(crate) use content::{ConfigArgs, ContentArgs, PlaceArgs};
pub(crate) use disk::{CompressArg, DiskArgs};
pub(crate) use host_name::HostName;
pub(crate) use inspect::InspectArgs;
pub(crate) use loading::LoadingArg;
pub(crate) use sign::{PASSWORD_VARIABLE, SignArgs, VerifyArgs};
pub(crate) use trim::{KeepArg, TrimArg};
pub(crate) use values::{
    AccelArg, AddedFile, DiskSize, Endpoint, EnvVar, KernelWord, Memory, Net, PortArg,
};

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use qemu::Profile;
use std::path::PathBuf;

/// Turn an Erlang or Elixir release into a bootable disk image
///
/// The image holds the release with its own run-time system and a small kernel; it boots on a
/// virtual machine without any other operating system.
#[derive(Debug, Parser)]
#[command(name = "unibeam", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  unibeam check _build/prod/rel/my_app
  unibeam image _build/prod/rel/my_app -o my_app.img
  unibeam inspect my_app.img
  unibeam run my_app.img -p 4000:4000
  unibeam test my_app.img --http 4000/";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a disk image from a built release
    Image(ImageArgs),
    /// Find what will not work in an image of a release, before it boots
    Check(CheckArgs),
    /// Show what is in an image or a release, extract it, or compare two
    Inspect(InspectArgs),
    /// Check that an image is what was signed
    Verify(VerifyArgs),
    /// Run an image under QEMU, with its console here
    Run(RunArgs),
    /// Boot an image, check that it works, and stop it
    Test(TestArgs),
    /// Keep files that images can boot, such as OSv, under names
    Base(BaseCommandArgs),
}

#[derive(Debug, Args)]
#[command(after_help = IMAGE_EXAMPLES)]
pub(crate) struct ImageArgs {
    /// The image to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) content: ContentArgs,

    #[command(flatten)]
    pub(crate) disk: DiskArgs,

    /// Also write a bill of materials to this file (CycloneDX 1.5, JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) sbom: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) sign: SignArgs,

    /// Plan the image and show the plan, but write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const IMAGE_EXAMPLES: &str = "\
Examples:
  unibeam image _build/prod/rel/my_app -o my_app.img
  unibeam image _build/default/rel/my_app -o my_app.img --env PORT=8080 --hostname shop
  unibeam image _build/prod/rel/my_app -o my_app.qcow2 --compress --size 4G --data 2G
  unibeam image my_app/releases/1.0.0/my_app.rel -o my_app.img --dry-run";

#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// The image, as made by `unibeam image`
    pub(crate) image: PathBuf,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    /// Offer a TCP port of the guest on 127.0.0.1; without HOST, a free port is chosen; repeatable
    #[arg(short, long = "port", value_name = "[HOST:]GUEST")]
    pub(crate) ports: Vec<PortArg>,

    /// Send every key to the guest, Ctrl-C too, for a shell on its console; Ctrl-A X ends QEMU
    #[arg(long)]
    pub(crate) console: bool,

    /// Stop the guest after this many seconds [default: no limit]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,

    /// Say nothing but what the console says
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Show the command that starts QEMU
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

const RUN_EXAMPLES: &str = "\
The exit status is the release's own; docs/exit-status.md lists the others.

Examples:
  unibeam run my_app.img -p 4000:4000
  unibeam run my_app.img --machine microvm -m 128M --env GREETING=hello";

#[derive(Debug, Args)]
#[command(after_help = TEST_EXAMPLES)]
pub(crate) struct TestArgs {
    /// The image, as made by `unibeam image`
    pub(crate) image: PathBuf,

    #[command(flatten)]
    pub(crate) machine: MachineArgs,

    /// Fetch a page from the guest once the application has started, and demand status 200
    #[arg(long, value_name = "PORT/PATH", conflicts_with = "status")]
    pub(crate) http: Option<Endpoint>,

    /// A text that must be on the page, or without --http on the console
    #[arg(long, value_name = "TEXT")]
    pub(crate) expect: Option<String>,

    /// A page that makes the release stop, instead of the power button; it must end with status 0
    #[arg(long, value_name = "PORT/PATH", conflicts_with = "status")]
    pub(crate) stop: Option<Endpoint>,

    /// The release ends by itself, and must do so with this status
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<u32>,

    /// How many seconds each step may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) timeout: u64,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const TEST_EXAMPLES: &str = "\
The exit status is 0 if everything held and 1 if not; docs/exit-status.md lists the others.

Examples:
  unibeam test my_app.img --http 4000/health --expect ok
  unibeam test job.img --status 0 --expect 'all done'
  unibeam test my_app.img --machine kvm-pc --json";

#[derive(Debug, Args)]
pub(crate) struct MachineArgs {
    /// The machine [default: kvm-q35, for an image that boots OSv osv-pc]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Profile::names()))]
    pub(crate) machine: Option<String>,

    /// The kernel that a machine is given which does not take it from the disk (osv-direct)
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel: Option<PathBuf>,

    /// Memory, in MiB or with a suffix M or G
    #[arg(short, long, value_name = "SIZE", default_value = "256M")]
    pub(crate) memory: Memory,

    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) smp: u32,

    /// What executes the guest; `auto` is KVM where a quick trial shows that it works
    #[arg(long, value_name = "HOW", value_enum, default_value_t = AccelArg::Auto, env = "UNIBEAM_ACCEL", hide_env_values = true)]
    pub(crate) accel: AccelArg,

    /// The network card: `user` reaches out through this host, `none` leaves it out
    #[arg(long, value_name = "KIND", value_enum, default_value_t = Net::User)]
    pub(crate) net: Net,

    /// A word added to the kernel's command line, such as `trace=syscalls`; repeatable
    #[arg(long, value_name = "WORD")]
    pub(crate) kernel_arg: Vec<KernelWord>,

    /// An environment variable for the release; repeatable
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<EnvVar>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ReportArgs {
    /// Report as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing on success
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::{Cli, Command};
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_full_command_line_is_understood() {
        let line =
            "unibeam run a.img -m 1G --smp 2 -p 8080:80 -p 81 --env A=b --kernel-arg ip=none";
        let Command::Run(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("not `run`");
        };
        assert_eq!(args.machine.memory.mib(), 1024);
        assert_eq!(args.ports.len(), 2);
    }
}
