//! The kernel command line: words separated by spaces, each `key=value` or `key`; double quotes
//! keep spaces inside a word and are removed.
//!
//! | key | meaning |
//! |---|---|
//! | `ip=dhcp` \| `ip=none` \| `ip=ADDR/PREFIX` | IPv4 address of the first network card (default `dhcp`) |
//! | `gw=ADDR` | default IPv4 gateway, with a static address |
//! | `ip6=auto` \| `ip6=none` \| `ip6=ADDR/PREFIX` | IPv6 addresses of the first network card: as routers advertise (default, unless `ip=none`), none, or a fixed one |
//! | `gw6=ADDR` | default IPv6 gateway, with a static address |
//! | `dns=ADDR[,ADDR…]` | name servers, instead of those that the network offers |
//! | `hostname=NAME` | host name |
//! | `env.NAME=VALUE` | environment variable for the release |
//! | `arg=WORD` | one more argument for the release (repeatable) |
//! | `tty=ROWSxCOLUMNS` | size of the terminal on the console (default `24x80`) |
//! | `test=panic` \| `test=fault` \| `test=overflow` | make the kernel fail on purpose, by a panic, by a write to its own code, or by using its stack up (used by the test suite) |
//! | `trace=syscalls` | log every system call on the console |
//!
//! Unknown keys are reported on the console and otherwise ignored: hypervisors add their own.

/// Splits a command line into words with their quotes removed from the value's ends.
///
/// A quote opens anywhere in a word; the iterator yields slices, so only a value that is quoted
/// as a whole (`key="a b"` or `"key=a b"`) loses its quotes.
pub fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    Words { rest: line }.map(split_key)
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches(char::is_whitespace);
        if self.rest.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = self
            .rest
            .char_indices()
            .find(|&(_, c)| {
                quoted ^= c == '"';
                c.is_whitespace() && !quoted
            })
            .map_or(self.rest.len(), |(index, _)| index);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(word)
    }
}

fn split_key(word: &str) -> (&str, &str) {
    let word = unquote(word);
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    (key, unquote(value))
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::words;
    use std::vec::Vec;

    #[test]
    fn splits_words_and_quotes() {
        let line = r#"ip=dhcp  env.GREETING="hello world" "arg=-a b" quiet x="#;
        let parsed: Vec<_> = words(line).collect();
        let expected = [
            ("ip", "dhcp"),
            ("env.GREETING", "hello world"),
            ("arg", "-a b"),
            ("quiet", ""),
            ("x", ""),
        ];
        assert_eq!(parsed, expected);
    }

    #[test]
    fn an_open_quote_runs_to_the_end() {
        assert_eq!(words("a=\"b c").collect::<Vec<_>>(), [("a", "\"b c")]);
    }
}
