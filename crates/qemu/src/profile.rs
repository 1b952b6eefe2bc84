//! Machine profiles: the files in `qemu/`, embedded.

use serde::Deserialize;

/// One machine, as its file describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The file's name without extension.
    #[serde(skip)]
    pub name: &'static str,
    /// One line for people.
    pub summary: String,
    /// What the images for it boot, a base's name.
    #[serde(default = "unibeam")]
    pub base: String,
    /// What the machine starts from.
    pub start: Start,
    /// Value of `-machine`.
    pub machine: String,
    /// Values of `-cpu`.
    pub cpu: Cpu,
    /// Disk device, without its `drive=`; not with [`Start::Direct`].
    pub disk: Option<String>,
    /// Network device, without its `netdev=`.
    pub network: String,
    /// Device that supplies random numbers, if any.
    pub rng: Option<String>,
    /// Further arguments, passed as they are.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// How the console tells that a guest will never end by itself.
    #[serde(default)]
    pub deaths: Vec<Death>,
}

/// Last words of a kernel that stays where it failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Death {
    /// What it says.
    pub text: String,
    /// What that means: a name of `boot_contract::status`.
    pub ending: String,
}

fn unibeam() -> String {
    "unibeam".into()
}

/// CPU models, by what executes them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Model under emulation.
    pub tcg: String,
    /// Model under KVM.
    pub kvm: String,
}

/// What a machine starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// The firmware loads the boot stage from the image.
    Disk,
    /// QEMU loads the kernel (PVH) and the root archive.
    Direct,
    /// QEMU loads the kernel (PVH); the root is on a disk.
    Kernel,
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No file has this name.
    #[error("unknown machine `{name}`; there are {}", Profile::names().collect::<Vec<_>>().join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The file is not what it should be (a mistake in this program, found by its tests).
    #[error("machine profile qemu/{name}.toml is invalid")]
    Invalid {
        /// The profile's name.
        name: &'static str,
        /// What the parser found.
        source: toml::de::Error,
    },
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../qemu/", $name, ".toml")))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "kvm-pc",
    "kvm-q35",
    "pc-ide",
    "q35-direct",
    "microvm",
    "osv-pc",
    "osv-q35",
    "osv-direct",
    "osv-mmio",
];

impl Profile {
    /// The names of all profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|&(name, _)| name)
    }

    /// The profile with this name.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`] lists the names that exist.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        let (name, text) = FILES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| ProfileError::Unknown { name: name.into() })?;
        let profile: Self =
            toml::from_str(text).map_err(|source| ProfileError::Invalid { name, source })?;
        Ok(Self { name, ..profile })
    }
}

#[cfg(test)]
mod tests {
    use super::{Profile, ProfileError, Start};
    use boot_contract::status::Ending;

    #[test]
    fn every_file_is_a_profile_with_a_disk_where_it_starts_from_one() {
        for name in Profile::names() {
            let profile = Profile::named(name).unwrap();
            assert_eq!(
                profile.disk.is_some(),
                profile.start != Start::Direct,
                "{name}"
            );
            for death in profile.deaths {
                assert!(Ending::from_name(&death.ending).is_some(), "{name}");
            }
            assert!(!profile.summary.is_empty());
        }
    }

    #[test]
    fn every_file_in_the_folder_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../qemu");
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_suffix(".toml").map(str::to_owned)
            })
            .collect();
        let mut listed: Vec<_> = Profile::names().map(str::to_owned).collect();
        found.sort();
        listed.sort();
        assert_eq!(found, listed);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = Profile::named("vax").unwrap_err();
        assert!(matches!(error, ProfileError::Unknown { .. }));
        assert!(error.to_string().contains("kvm-q35"), "{error}");
    }
}
