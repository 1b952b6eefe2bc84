//! Debian's control files: paragraphs of fields (deb822(5)).
//!
//! ```text
//! Name: value
//!  a line that continues it
//!
//! Name: value of the next paragraph
//! ```

/// The fields of a paragraph in their order, each with its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paragraph {
    fields: Vec<(String, String)>,
}

impl Paragraph {
    /// A paragraph of these fields.
    pub fn new(fields: Vec<(String, String)>) -> Self {
        Self { fields }
    }

    /// The value of a field: its lines, without the spaces around them.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self
            .fields
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn add(&mut self, line: &str) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = self.fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            self.fields.push((name.into(), value.trim().into()));
        }
    }
}

/// The paragraphs of a control file. Lines that are neither a field nor a continuation, and
/// comments, are skipped.
pub fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut paragraph = Paragraph::default();
        for line in lines.by_ref() {
            if !line.trim().is_empty() {
                if !line.starts_with('#') {
                    paragraph.add(line);
                }
            } else if !paragraph.fields.is_empty() {
                return Some(paragraph);
            }
        }
        (!paragraph.fields.is_empty()).then_some(paragraph)
    })
}

/// A control file with these paragraphs.
pub fn emit(paragraphs: &[Paragraph]) -> String {
    let mut text = String::new();
    for paragraph in paragraphs {
        for (name, value) in &paragraph.fields {
            text.push_str(&format!("{name}: {}\n", value.replace('\n', "\n ")));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Paragraph, emit, paragraphs};
    use proptest::collection::vec;
    use proptest::proptest;

    const STATUS: &str = "Package: libc6\nDescription: GNU C Library\n Contains the\n \tstandard libraries\n\n\n# comment\nPackage: zlib1g\nnonsense\n";

    #[test]
    fn fields_have_values_of_several_lines() {
        let found: Vec<_> = paragraphs(STATUS).collect();
        assert_eq!(found.len(), 2);
        let description = found[0].field("description");
        assert_eq!(
            description,
            Some("GNU C Library\nContains the\nstandard libraries")
        );
        assert_eq!(found[1].field("Package"), Some("zlib1g"));
        assert_eq!(found[1].field("nonsense"), None);
    }

    proptest! {
        #[test]
        fn emit_and_parse_are_twins(fields in vec(vec(("[A-Z][a-z-]{0,8}", "[!-~]([!-~ ]{0,8}[!-~])?(\n[!-~]{1,5}){0,3}"), 1..4), 0..4)) {
            let expected: Vec<_> = fields.into_iter().map(Paragraph::new).collect();
            let found: Vec<_> = paragraphs(&emit(&expected)).collect();
            assert_eq!(found, expected);
        }
    }
}
