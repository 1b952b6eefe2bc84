//! Foreign text for people.

/// Bytes as text that does nothing to a terminal: control characters are written as escapes, and
/// what is not UTF-8 as the replacement character.
pub fn printable(bytes: impl AsRef<[u8]>) -> String {
    let text = String::from_utf8_lossy(bytes.as_ref());
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(printable("Größe…"), "Größe…");
        assert_eq!(printable(b"\x1b[2J\n\xff"), "\\u{1b}[2J\\n\u{fffd}");
    }
}
