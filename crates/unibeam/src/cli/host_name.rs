//! The guest's host name.

use std::str::FromStr;

/// Most bytes of a host name: Linux's limit, which sethostname(2) keeps to.
const NAME_MAX: usize = 64;
/// Most bytes of a label (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;

/// A host name as RFC 1123, section 2.1, has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostName(pub(crate) String);

/// Why a text is no host name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a host name such as shop or shop.example.org: at most {NAME_MAX} letters, digits and hyphens, with dots between parts, and no hyphen at the start or end of a part"
)]
pub(crate) struct HostNameError;

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        if text.len() <= NAME_MAX && text.split('.').all(is_label) {
            Ok(Self(text.into()))
        } else {
            Err(HostNameError)
        }
    }
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::{HostName, HostNameError};

    #[test]
    fn names_are_those_of_the_rfc() {
        let long = format!("{}.a", "a".repeat(62));
        for good in ["a", "shop-1", "3com.example", "Shop.Example.Org", &long] {
            assert_eq!(good.parse(), Ok(HostName(good.into())));
        }
        let (label, name) = ("a".repeat(64), format!("{long}b"));
        for bad in [
            "", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a b", "a_b", "a\nb", "ä", &label,
            &name,
        ] {
            assert_eq!(bad.parse::<HostName>(), Err(HostNameError), "{bad}");
        }
    }
}
