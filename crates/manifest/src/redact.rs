//! What of the boot configuration may be told.

/// What stands for a value that may be secret.
pub const HIDDEN: &str = "…";

/// Words of the kernel's command line whose values are not the kernel's, but the release's:
/// environment variables and arguments (docs/guide.md, "Configuration").
fn is_private(name: &str) -> bool {
    name.starts_with("env.") || name == "arg"
}

/// A command line of these words (name, and value if any), without the values that may be secret.
pub fn command_line<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let shown = words.map(|(name, value)| match value {
        "" => name.to_owned(),
        _ if is_private(name) => format!("{name}={HIDDEN}"),
        value => format!("{name}={value}"),
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::command_line;

    #[test]
    fn values_of_the_release_are_hidden() {
        let words = [
            ("ip", "none"),
            ("env.TOKEN", "s3cret"),
            ("arg", "x"),
            ("quiet", ""),
        ];
        assert_eq!(
            command_line(words.into_iter()),
            "ip=none env.TOKEN=… arg=… quiet"
        );
    }
}
