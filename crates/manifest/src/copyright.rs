//! Licences in a Debian package's copyright file, if it is machine-readable
//! (copyright-format 1.0, "DEP-5").

use std::collections::BTreeSet;

use crate::deb822;

/// What the `Format` field of such a file ends in, but for a slash.
const FORMAT: &str = "//www.debian.org/doc/packaging-manuals/copyright-format/1.0";

/// The short names of the licences of the package's files, sorted; `None` if the file is not
/// machine-readable. A name may be an expression, such as `GPL-2+ or Artistic`.
pub fn licenses(text: &str) -> Option<Vec<String>> {
    let mut paragraphs = deb822::paragraphs(text);
    let header = paragraphs.next()?;
    if !header
        .field("Format")?
        .trim_end_matches('/')
        .ends_with(FORMAT)
    {
        return None;
    }
    let of_files = paragraphs.filter(|paragraph| paragraph.field("Files").is_some());
    let names: BTreeSet<_> = [header]
        .into_iter()
        .chain(of_files)
        .filter_map(|paragraph| short_name(paragraph.field("License")?))
        .collect();
    Some(names.into_iter().collect())
}

/// The first line of a `License` field; the others are the licence's text.
fn short_name(license: &str) -> Option<String> {
    let name = license.lines().next()?.trim();
    (!name.is_empty()).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::licenses;

    #[test]
    fn names_come_once_and_without_texts() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
            Files: *\nLicense: Apache-2.0\n\nFiles: a\nLicense: BSD-3-clause\n Redistribution and\n\n\
            Files: b\nLicense: Apache-2.0\n\nLicense: GPL-3\n text of a licence named elsewhere\n";
        let expected = ["Apache-2.0", "BSD-3-clause"].map(String::from);
        assert_eq!(licenses(text), Some(expected.into()));
    }

    #[test]
    fn free_text_is_not_guessed_at() {
        assert_eq!(
            licenses("This is the Debian package of\n\nLicense: GPL\n"),
            None
        );
        assert_eq!(licenses(""), None);
    }
}
