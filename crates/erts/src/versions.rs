//! Whether libraries have the symbol versions that others need of them, which the dynamic loader
//! checks when it loads a file (glibc: elf/dl-version.c).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use release::GuestPath;

use crate::elf::Elf;
use crate::error::MissingVersion;

/// Who loads what from where, and what that has and needs.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    files: BTreeMap<GuestPath, Elf>,
    /// The file behind each name in `DT_NEEDED` of each file.
    providers: BTreeMap<(GuestPath, String), GuestPath>,
}

impl Versions {
    /// Notes what a file has and needs.
    pub(crate) fn add(&mut self, path: &GuestPath, elf: &Elf) {
        self.files.insert(path.clone(), elf.clone());
    }

    /// Notes that `user` finds its library `name` at `provider`.
    pub(crate) fn loads(&mut self, user: &GuestPath, name: &str, provider: GuestPath) {
        self.providers.insert((user.clone(), name.into()), provider);
    }

    /// Every version that the loader would miss, sorted by library and version.
    ///
    /// As the loader does it: a library without any versions is taken as it is, and a weak need
    /// may stay unmet.
    pub(crate) fn missing(&self) -> Vec<MissingVersion> {
        let mut found: BTreeMap<(&GuestPath, &str), BTreeSet<&GuestPath>> = BTreeMap::new();
        for (user, elf) in &self.files {
            for need in elf.versions_needed.iter().filter(|need| !need.weak) {
                let key = (user.clone(), need.library.clone());
                let Some(provider) = self.providers.get(&key) else {
                    continue;
                };
                if self
                    .defined(provider)
                    .is_some_and(|defined| !defined.is_empty() && !defined.contains(&need.version))
                {
                    let users = found.entry((provider, need.version.as_str())).or_default();
                    users.insert(user);
                }
            }
        }
        let missing = found.into_iter().map(|((provider, version), users)| {
            let highest = highest_like(version, self.defined(provider).unwrap_or_default());
            MissingVersion {
                version: version.into(),
                library: provider.clone(),
                highest: highest.map(Into::into),
                needed_by: users.into_iter().cloned().collect(),
            }
        });
        missing.collect()
    }

    fn defined(&self, provider: &GuestPath) -> Option<&[String]> {
        let elf = self.files.get(provider)?;
        Some(&elf.versions_defined)
    }
}

/// The highest of the versions with the same name (`GLIBC` of `GLIBC_2.38`).
fn highest_like<'a>(version: &str, defined: &'a [String]) -> Option<&'a str> {
    let (name, _) = split(version)?;
    let same = defined.iter().filter_map(|version| {
        let (other, number) = split(version)?;
        (other == name).then_some((version.as_str(), number))
    });
    let highest = same.max_by(|(_, a), (_, b)| compare(a, b));
    highest.map(|(version, _)| version)
}

/// Name and number of a version; `GLIBC_PRIVATE` has none.
fn split(version: &str) -> Option<(&str, &str)> {
    let (name, number) = version.rsplit_once('_')?;
    number
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some((name, number))
}

/// Compares numbers with dots by their parts.
fn compare(a: &str, b: &str) -> Ordering {
    let parts = |number: &str| -> Vec<u64> {
        let parts = number.split('.');
        parts.map(|part| part.parse().unwrap_or(0)).collect()
    };
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests {
    use super::Versions;
    use crate::elf::{Elf, VersionNeed};
    use release::GuestPath;

    fn path(text: &str) -> GuestPath {
        GuestPath::new(text).unwrap()
    }

    fn need(version: &str, weak: bool) -> VersionNeed {
        VersionNeed {
            library: "libc.so.6".into(),
            version: version.into(),
            weak,
        }
    }

    fn missing(needs: &[VersionNeed], defined: &[&str]) -> Vec<(String, Option<String>)> {
        let mut versions = Versions::default();
        let user = Elf {
            versions_needed: needs.into(),
            ..Elf::default()
        };
        let libc = Elf {
            versions_defined: defined.iter().map(|&version| version.into()).collect(),
            ..Elf::default()
        };
        versions.add(&path("/release/x.so"), &user);
        versions.add(&path("/lib/libc.so.6"), &libc);
        versions.loads(&path("/release/x.so"), "libc.so.6", path("/lib/libc.so.6"));
        let missing = versions.missing().into_iter();
        missing.map(|one| (one.version, one.highest)).collect()
    }

    #[test]
    fn versions_are_compared_by_number() {
        let defined = [
            "GLIBC_2.9",
            "GLIBC_2.36",
            "GLIBC_2.4",
            "GLIBC_PRIVATE",
            "OTHER_3",
        ];
        let found = missing(
            &[need("GLIBC_2.38", false), need("GLIBC_2.9", false)],
            &defined,
        );
        let expected = ("GLIBC_2.38".to_string(), Some("GLIBC_2.36".to_string()));
        assert_eq!(found, [expected]);
        let found = missing(&[need("NEW_1", false)], &defined);
        assert_eq!(found, [("NEW_1".to_string(), None)]);
    }

    #[test]
    fn what_the_loader_forgives_is_forgiven() {
        assert_eq!(missing(&[need("GLIBC_2.38", true)], &["GLIBC_2.36"]), []);
        assert_eq!(missing(&[need("GLIBC_2.38", false)], &[]), []);
    }
}
