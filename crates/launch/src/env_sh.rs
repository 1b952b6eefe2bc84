//! `env.sh` of a mix release: a shell script, of which plain assignments are understood.
//!
//! Nothing runs a shell while an image is made. Lines of the form `[export] NAME=VALUE` are
//! applied, with quotes and `$NAME`, `${NAME}`, `${NAME:-default}`; all other lines are reported
//! so that the user can give their effect another way.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// A line that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Line, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
}

/// Applies a script to an environment and returns the lines without effect.
pub fn apply(script: &str, env: &mut BTreeMap<String, String>) -> Vec<Ignored> {
    let mut ignored = Vec::new();
    let mut depth = 0_usize;
    for (index, line) in script.lines().enumerate() {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') || is_bare_export(text) {
            continue;
        }
        let inside = depth > 0;
        depth = (depth + opens_block(text)).saturating_sub(closes_block(text));
        match assignment(text, env) {
            Some((name, value)) if !inside => {
                env.insert(name, value);
            }
            _ => ignored.push(Ignored {
                line: index + 1,
                text: text.into(),
            }),
        }
    }
    ignored
}

/// Blocks that a line opens: assignments inside them are conditional.
fn opens_block(text: &str) -> usize {
    let first = text.split_whitespace().next();
    usize::from(
        matches!(first, Some("if" | "case" | "for" | "while" | "until")) || text.ends_with('{'),
    )
}

fn closes_block(text: &str) -> usize {
    let is_end = |word: &str| matches!(word, "fi" | "esac" | "done" | "}");
    usize::from(text.split([' ', ';']).any(is_end))
}

/// `export NAME…` without a value changes nothing here: every variable is exported.
fn is_bare_export(text: &str) -> bool {
    let mut words = text.split_whitespace();
    words.next() == Some("export") && words.all(is_name)
}

fn assignment(text: &str, env: &BTreeMap<String, String>) -> Option<(String, String)> {
    let text = text.strip_prefix("export ").unwrap_or(text).trim_start();
    let (name, value) = text.split_once('=')?;
    is_name(name).then_some(())?;
    Some((name.into(), expand(value, env)?))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The value of a shell word; `None` if it is more than one word or more than plain.
fn expand(word: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let mut value = String::new();
    let mut quote = None;
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        rest = match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                tail
            }
            (c, Some(open)) if c == open => {
                quote = None;
                tail
            }
            ('$', None | Some('"')) => variable(tail, env, &mut value)?,
            ('`' | '\\', None | Some('"')) => return None,
            (';' | '&' | '|' | '<' | '>' | '(' | ')', None) => return None,
            (c, None) if c.is_whitespace() => {
                let comment = tail.trim_start();
                return (comment.is_empty() || comment.starts_with('#')).then_some(value);
            }
            (c, _) => {
                value.push(c);
                tail
            }
        };
    }
    quote.is_none().then_some(value)
}

/// Appends the value of the variable at the start of `text` and returns what follows it.
fn variable<'a>(
    text: &'a str,
    env: &BTreeMap<String, String>,
    value: &mut String,
) -> Option<&'a str> {
    let lookup = |name: &str| env.get(name).filter(|value| !value.is_empty());
    if let Some(inner) = text.strip_prefix('{') {
        let (inner, tail) = inner.split_once('}')?;
        let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
        let plain = is_name(name) && !default.contains(['$', '`', '"', '\'', '\\']);
        plain.then(|| value.push_str(lookup(name).map_or(default, String::as_str)))?;
        return Some(tail);
    }
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (name, tail) = text.split_at(end);
    is_name(name).then(|| value.push_str(lookup(name).map_or("", String::as_str)))?;
    Some(tail)
}

#[cfg(test)]
mod tests {
    use super::apply;
    use alloc::collections::BTreeMap;

    #[test]
    fn assignments_are_applied_and_the_rest_reported() {
        let script = "#!/bin/sh\n\n# comment\nexport RELEASE_DISTRIBUTION=name\n\
            export RELEASE_NODE=\"app@${HOST:-localhost}\" # why\nA='$x y'\nexport A\n\
            B=$RELEASE_NAME-1\nIP=$(hostname -i)\nif true; then\n  C=1\nfi\n";
        let mut env = BTreeMap::from([("RELEASE_NAME".to_string(), "app".to_string())]);
        let ignored: Vec<_> = apply(script, &mut env).iter().map(|i| i.line).collect();
        assert_eq!(ignored, [9, 10, 11, 12]);
        assert!(!env.contains_key("C"));
        assert_eq!(env["RELEASE_DISTRIBUTION"], "name");
        assert_eq!(env["RELEASE_NODE"], "app@localhost");
        assert_eq!(env["A"], "$x y");
        assert_eq!(env["B"], "app-1");
    }
}
