//! Lines of the debug port as values.

use boot_contract::events;

/// A milestone the guest reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds of guest time since power-on.
    pub ns: u64,
    /// One of the names in `boot_contract::events`.
    pub name: String,
    /// `key=value` pairs, in order.
    pub fields: Vec<(String, String)>,
}

impl Event {
    /// Reads a line; `None` if it is not an event (anything may write to the debug port).
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim_end().split(' ');
        if words.next()? != events::PREFIX {
            return None;
        }
        let ns = words.next()?.parse().ok()?;
        let name = words.next()?.to_owned();
        let fields = words
            .filter_map(|word| word.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Some(Self { ns, name, fields })
    }

    /// The value of a field.
    pub fn field(&self, key: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(name, _)| name == key)?;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Event;

    #[test]
    fn reads_name_time_and_fields() {
        let event = Event::parse("@unibeam 1200 exit kind=failure status=3\r\n").unwrap();
        assert_eq!((event.ns, event.name.as_str()), (1200, "exit"));
        assert_eq!(event.field("kind"), Some("failure"));
        assert_eq!(event.field("status"), Some("3"));
        assert_eq!(event.field("other"), None);
    }

    #[test]
    fn anything_else_is_no_event() {
        for line in [
            "",
            "@unibeam",
            "@unibeam x exit",
            "@unibeam 1",
            "SeaBIOS 1.16",
            "@Unibeam 1 x",
        ] {
            assert_eq!(Event::parse(line), None, "{line}");
        }
    }
}
