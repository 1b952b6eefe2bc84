//! The flags of `unibeam inspect`.

use super::PlaceArgs;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// An image of any format, or a release (its folder, archive or .rel file): what an image of it
    /// would be; two with --diff
    #[arg(required = true, num_args = 1..=2, value_name = "RELEASE|IMAGE")]
    pub(crate) subjects: Vec<PathBuf>,

    /// List all files, with their permissions and sizes
    #[arg(long, groups = ["what", "files"])]
    pub(crate) list: bool,

    /// Write the files to this folder, which must be new or empty
    #[arg(long, value_name = "DIR", groups = ["what", "files"])]
    pub(crate) extract: Option<PathBuf>,

    /// List or extract only this file or folder of the image; repeatable
    #[arg(long, value_name = "PATH", requires = "files")]
    pub(crate) only: Vec<String>,

    /// Say how the second differs from the first: versions, files, sizes
    #[arg(long, group = "what")]
    pub(crate) diff: bool,

    /// Print the bill of materials (CycloneDX 1.5, JSON)
    #[arg(long, group = "what")]
    pub(crate) sbom: bool,

    #[command(flatten)]
    pub(crate) places: PlaceArgs,

    /// Report as JSON on standard output
    #[arg(long, conflicts_with = "extract")]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  unibeam inspect my_app.img
  unibeam inspect my_app.qcow2 --list --only /release/releases
  unibeam inspect my_app.img --extract files --only /etc
  unibeam inspect --diff old.img new.img
  unibeam inspect my_app.img --sbom > my_app.cdx.json
  unibeam inspect _build/prod/rel/my_app --json";
