//! Signing an image, and checking a signature.

use clap::Args;
use std::path::PathBuf;

/// The variable that may hold the password of a secret key.
pub(crate) const PASSWORD_VARIABLE: &str = "UNIBEAM_KEY_PASSWORD";

/// How an image is signed.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// Sign the image with this secret key of minisign; the signature is IMAGE.minisig. The key's
    /// password is asked for, or taken from the variable UNIBEAM_KEY_PASSWORD
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<PathBuf>,

    /// Take the key's password from the first line of this file
    #[arg(long, value_name = "FILE", requires = "sign")]
    pub(crate) key_password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The image (or any other file)
    pub(crate) image: PathBuf,

    /// The file with the public key of minisign
    #[arg(long, value_name = "FILE", required_unless_present = "public_key")]
    pub(crate) key: Option<PathBuf>,

    /// The public key itself: the line of letters and digits in its file
    #[arg(short = 'P', long, value_name = "KEY", conflicts_with = "key")]
    pub(crate) public_key: Option<String>,

    /// The signature [default: IMAGE.minisig]
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,

    /// Say nothing on success
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const EXAMPLES: &str = "\
The exit status is 4 if the image is not what was signed with this key; docs/exit-status.md lists the
others.

Examples:
  unibeam verify my_app.img --key minisign.pub
  unibeam verify my_app.img -P RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
