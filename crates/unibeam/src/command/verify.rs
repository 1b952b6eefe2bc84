//! `unibeam verify`: whether an image is what was signed.

use crate::cli::VerifyArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use crate::signature;
use inspect::printable;

/// Checks a signature.
///
/// # Errors
/// It is not good, or something cannot be read.
pub(crate) fn run(args: &VerifyArgs) -> Result<Exit, Error> {
    let key = match (&args.key, &args.public_key) {
        (Some(path), _) => signature::read_public_key(path)?,
        (None, text) => signature::public_key(text.as_deref().unwrap_or_default())?,
    };
    let place = args.signature.clone();
    let place = place.unwrap_or_else(|| signature::place(&args.image));
    let comment = signature::verify(&args.image, &place, &key)?;
    if !args.quiet {
        let image = args.image.display();
        output::result(format!(
            "{image}: the signature is good ({})",
            printable(comment)
        ))?;
    }
    Ok(Exit::Success)
}
