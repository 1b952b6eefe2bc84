//! `${NAME}` and `${NAME:-default}` in relx's templates.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

/// The text with its variables replaced.
///
/// # Errors
/// The name of the first one without a value.
pub fn substitute(text: &str, env: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((variable, tail)) = after.split_once('}').filter(|(v, _)| !v.contains('\n'))
        else {
            out.push_str("${");
            rest = after;
            continue;
        };
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        let value = env.get(name).filter(|value| !value.is_empty());
        let value = value.map(String::as_str).or(default);
        out.push_str(value.ok_or_else(|| name.to_string())?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::substitute;
    use alloc::collections::BTreeMap;

    #[test]
    fn variables_are_replaced() {
        let env = BTreeMap::from([("A".to_string(), "1".to_string())]);
        let text = "${A} $B ${B:-two} ${B:-} ${";
        assert_eq!(substitute(text, &env).unwrap(), "1 $B two  ${");
        assert_eq!(substitute("x ${B}", &env), Err("B".into()));
    }
}
