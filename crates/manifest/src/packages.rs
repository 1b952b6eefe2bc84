//! Which Debian package a file of a system belongs to: dpkg's database below `/var/lib/dpkg`
//! (dpkg(1), "FILES"; deb-substvars and the other pages do not describe it, dpkg's
//! `lib/dpkg/db-fsys-files.c` does: `info/PACKAGE[:ARCHITECTURE].list` has a path in each line).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::Package;
use crate::{copyright, deb822};

/// The database.
const DATABASE: &str = "var/lib/dpkg";

/// The packages of a system.
#[derive(Clone, Debug)]
pub struct Packages {
    root: PathBuf,
    distribution: Option<String>,
}

impl Packages {
    /// Those of the system below `root`, if it has dpkg's database.
    pub fn of(root: &Path) -> Option<Self> {
        let has = root.join(DATABASE).join("status").is_file();
        has.then(|| Self {
            root: root.into(),
            distribution: distribution(root),
        })
    }

    /// The packages that these files (absolute paths in the system, links resolved) belong to.
    /// Files that no package has are left out.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn owners(&self, paths: &[String]) -> io::Result<BTreeMap<String, Package>> {
        let owners = self.names_of_owners(paths)?;
        let packages = self.installed(&owners.values().cloned().collect())?;
        let known = |(path, name)| Some((path, packages.get(&name)?.clone()));
        Ok(owners.into_iter().filter_map(known).collect())
    }

    /// Names as in the names of the lists, some with `:ARCHITECTURE`.
    fn names_of_owners(&self, paths: &[String]) -> io::Result<BTreeMap<String, String>> {
        let wanted: BTreeMap<&str, &String> = paths
            .iter()
            .flat_map(|path| spellings(path).map(move |spelling| (spelling, path)))
            .collect();
        let mut owners = BTreeMap::new();
        for (name, list) in self.lists()? {
            let list = fs::read(list)?;
            let lines = list.split(|&byte| byte == b'\n');
            for line in lines.filter_map(|line| str::from_utf8(line).ok()) {
                if let Some(&path) = wanted.get(line) {
                    owners.entry(path.clone()).or_insert_with(|| name.clone());
                }
            }
        }
        Ok(owners)
    }

    /// Lists of files, by name.
    fn lists(&self) -> io::Result<BTreeMap<String, PathBuf>> {
        let mut lists = BTreeMap::new();
        for entry in fs::read_dir(self.root.join(DATABASE).join("info"))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(name) = name.and_then(|name| name.strip_suffix(".list")) {
                lists.insert(name.to_owned(), path);
            }
        }
        Ok(lists)
    }

    /// What the status file says about these packages.
    fn installed(&self, names: &BTreeSet<String>) -> io::Result<BTreeMap<String, Package>> {
        let status = fs::read(self.root.join(DATABASE).join("status"))?;
        let status = String::from_utf8_lossy(&status);
        let mut packages = BTreeMap::new();
        for paragraph in deb822::paragraphs(&status) {
            let Some(package) = package(&paragraph) else {
                continue;
            };
            let qualified = format!("{}:{}", package.name, package.architecture);
            for name in [&package.name, &qualified] {
                if names.contains(name) {
                    let package = self.with_licenses(package.clone());
                    packages.insert(name.clone(), package);
                }
            }
        }
        Ok(packages)
    }

    fn with_licenses(&self, mut package: Package) -> Package {
        let file = format!("usr/share/doc/{}/copyright", package.name);
        // Images of containers often leave the documentation out.
        let text = fs::read(self.root.join(file)).unwrap_or_default();
        let found = copyright::licenses(&String::from_utf8_lossy(&text));
        package.licenses = found.unwrap_or_default();
        package.distribution = self.distribution.clone();
        package
    }
}

/// The path as packages may have it: where `/lib` is a link to `/usr/lib`, many still name the
/// former (Debian's usrmerge).
fn spellings(path: &str) -> impl Iterator<Item = &str> {
    let without = path
        .strip_prefix("/usr")
        .filter(|rest| rest.starts_with('/'));
    [path].into_iter().chain(without)
}

fn package(paragraph: &deb822::Paragraph) -> Option<Package> {
    let source = paragraph.field("Source");
    Some(Package {
        name: paragraph.field("Package")?.into(),
        version: paragraph.field("Version")?.into(),
        architecture: paragraph.field("Architecture")?.into(),
        // `glibc (2.36-9)` where the versions differ.
        source: source.and_then(|source| Some(source.split_whitespace().next()?.into())),
        distribution: None,
        licenses: Vec::new(),
    })
}

/// `ID` and `VERSION_ID` of os-release(5), with a dash between them; a rolling one has no version.
fn distribution(root: &Path) -> Option<String> {
    let places = ["etc/os-release", "usr/lib/os-release"].into_iter();
    let text = places
        .flat_map(|place| fs::read_to_string(root.join(place)))
        .next()?;
    let value = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']))
    };
    let parts: Vec<_> = [value("ID"), value("VERSION_ID")]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::Packages;
    use std::fs;
    use std::path::Path;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn files_are_found_in_both_spellings() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(Packages::of(root).is_none());
        write(
            root,
            "var/lib/dpkg/status",
            "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u9\n\n\
             Package: zlib1g\nArchitecture: amd64\nVersion: 1:1.2.13\n",
        );
        write(
            root,
            "var/lib/dpkg/info/libc6:amd64.list",
            "/.\n/lib\n/lib/libc.so.6\n",
        );
        write(
            root,
            "var/lib/dpkg/info/zlib1g.list",
            "/usr/lib/libz.so.1.2.13\n",
        );
        write(
            root,
            "usr/share/doc/zlib1g/copyright",
            "Format: http://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Zlib\n",
        );
        write(
            root,
            "etc/os-release",
            "NAME=\"x\"\nVERSION_ID=\"12\"\nID=debian\n",
        );
        let packages = Packages::of(root).unwrap();
        let files = [
            "/usr/lib/libc.so.6",
            "/usr/lib/libz.so.1.2.13",
            "/usr/lib/other",
        ];
        let owners = packages.owners(&files.map(String::from)).unwrap();
        assert_eq!(owners.len(), 2);
        assert!(
            owners
                .values()
                .all(|owner| owner.distribution.as_deref() == Some("debian-12"))
        );
        let libc = &owners["/usr/lib/libc.so.6"];
        assert_eq!(
            (libc.name.as_str(), libc.version.as_str()),
            ("libc6", "2.36-9+deb12u9")
        );
        assert_eq!(
            (libc.source.as_deref(), libc.licenses.len()),
            (Some("glibc"), 0)
        );
        assert_eq!(owners["/usr/lib/libz.so.1.2.13"].licenses, ["Zlib"]);
    }
}
