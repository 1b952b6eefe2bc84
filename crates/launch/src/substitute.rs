//! `${NAME}` and `${NAME:-default}` in relx's templates, as its start script replaces them
//! (relx: priv/templates/extended_bin, `replace_os_vars`).
//!
//! An empty variable counts as none where there is a default. A value that holds `${NAME}` again
//! is looked at again. relx takes nothing for a variable that is not set; here such a variable is
//! reported, unless it is in a comment or set to nothing.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Replacements in one line before a variable is taken for one that holds itself.
const LIMIT: usize = 1000;

/// A template that was filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The text; variables without a value are left as they are.
    pub text: String,
    /// These variables, each with its line, from 1.
    pub unset: Vec<(usize, String)>,
}

/// Replaces the variables of a template.
pub fn substitute(template: &str, env: &BTreeMap<String, String>) -> Filled {
    let mut filled = Filled::default();
    for (index, line) in template.split_terminator('\n').enumerate() {
        let (text, unset) = fill(line, env);
        filled.text.push_str(&text);
        filled.text.push('\n');
        filled
            .unset
            .extend(unset.into_iter().map(|name| (index + 1, name)));
    }
    filled
}

/// A line with its variables replaced, and those that have no value.
fn fill(line: &str, env: &BTreeMap<String, String>) -> (String, Vec<String>) {
    // Both kinds of comments: of vm.args, and of Erlang.
    let comment = line.trim_start().starts_with(['#', '%']);
    let mut line = String::from(line);
    let mut unset = Vec::new();
    let mut from = 0;
    let mut replaced = 0;
    while let Some((start, end)) = variable(&line, from) {
        let value = value(&line[start + 2..end - 1], env).filter(|_| replaced < LIMIT);
        match value {
            Some(value) => line.replace_range(start..end, &value),
            None if comment => line.replace_range(start..end, ""),
            None => {
                unset.push(name(&line[start + 2..end - 1]).into());
                from = end;
            }
        }
        replaced += 1;
    }
    (line, unset)
}

/// Where the first `${…}` behind `from` is.
fn variable(line: &str, from: usize) -> Option<(usize, usize)> {
    let start = from + line[from..].find("${")?;
    let end = start + line[start..].find('}')?;
    Some((start, end + 1))
}

fn name(variable: &str) -> &str {
    variable.split_once(":-").map_or(variable, |(name, _)| name)
}

fn value(variable: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let value = env.get(name(variable));
    match variable.split_once(":-") {
        None => value.cloned(),
        Some((_, default)) => {
            let value = value.map(String::as_str).filter(|value| !value.is_empty());
            Some(value.unwrap_or(default).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filled, substitute};
    use alloc::collections::BTreeMap;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn variables_are_replaced() {
        let env = env(&[("A", "1"), ("E", ""), ("N", "<${A}>")]);
        let filled = substitute("${A} $B ${B:-two} ${B:-} ${\n${E}${E:-x} ${N}", &env);
        assert_eq!(filled.text, "1 $B two  ${\nx <1>\n");
        assert_eq!(filled.unset, []);
    }

    #[test]
    fn what_has_no_value_is_left_and_named() {
        let env = env(&[("LOOP", "${LOOP}")]);
        let filled = substitute("# ${B}\n x${B}y${C}\n${LOOP}", &env);
        let expected = Filled {
            text: "# \n x${B}y${C}\n${LOOP}\n".into(),
            unset: [(2, "B".into()), (2, "C".into()), (3, "LOOP".into())].into(),
        };
        assert_eq!(filled, expected);
    }
}
