//! Writing a program or shared library anew, for a base that asks for it: with more libraries,
//! another search path, another dynamic loader, or other names of imported functions.
//!
//! What the file holds stays where it is, in the file and in memory, so that no code and no
//! relocation changes. What grows goes into a new segment behind everything else:
//!
//! ```text
//! the file as it was      only the ELF header, section headers, and names and versions of
//!                         renamed symbols are changed in place
//! zeros                   as many bytes as the file's zeroed data has in memory
//! new segment (PT_LOAD)   program headers, loader's name, dynamic strings, dynamic section
//! ```
//!
//! The distance between a byte's place in the file and in memory is that of the first segment:
//! Linux before 5.18 derives the address of the program headers from it (`AT_PHDR`,
//! fs/binfmt_elf.c). Sources: gABI chapters 4 and 5; glibc's elf/dl-load.c and elf/dl-lookup.c.

mod emit;
mod error;
mod file;
mod imports;

use std::collections::BTreeMap;

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH};

pub use error::RelinkError;
use file::File;

/// What is to be different in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relink {
    /// The dynamic loader (`PT_INTERP`).
    pub interpreter: Option<String>,
    /// Directories that are searched for libraries (`DT_RUNPATH`), instead of those that the file
    /// names; none if empty.
    pub runpath: Option<Vec<String>>,
    /// Libraries that are loaded, too (`DT_NEEDED`): before those that the file names, so that
    /// their functions are found first.
    pub needed: Vec<String>,
    /// New names of functions and objects of other files, by the old ones. No version is asked of
    /// the new ones.
    pub imports: BTreeMap<String, String>,
}

impl Relink {
    /// The file with the changes.
    ///
    /// # Errors
    /// [`RelinkError`] says what cannot be changed.
    pub fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, RelinkError> {
        self.check_names()?;
        let mut file = File::read(bytes)?;
        if let Some(interpreter) = &self.interpreter {
            file.set_interpreter(interpreter)?;
        }
        self.add_libraries(&mut file)?;
        if let Some(directories) = &self.runpath {
            set_runpath(&mut file, directories)?;
        }
        file.rename_imports(&self.imports)?;
        file.emit()
    }

    /// Names end with a zero in the file, and a search path is separated by colons.
    fn check_names(&self) -> Result<(), RelinkError> {
        let directories = self.runpath.iter().flatten();
        let names = self.interpreter.iter().chain(&self.needed);
        let names = names
            .chain(self.imports.values())
            .chain(directories.clone());
        let bad = |name: &&String| name.is_empty() || name.contains('\0');
        let colon = directories.into_iter().find(|name| name.contains(':'));
        match names.into_iter().find(bad).or(colon) {
            Some(name) => Err(RelinkError::Name(name.clone())),
            None => Ok(()),
        }
    }

    fn add_libraries(&self, file: &mut File) -> Result<(), RelinkError> {
        let mut at = 0;
        for name in &self.needed {
            if !file.needs(name) {
                let value = file.add_string(name)?;
                file.dynamic.insert(at, (u64::from(DT_NEEDED), value));
                at += 1;
            }
        }
        Ok(())
    }
}

fn set_runpath(file: &mut File, directories: &[String]) -> Result<(), RelinkError> {
    let paths = [DT_RPATH, DT_RUNPATH].map(u64::from);
    file.dynamic.retain(|(tag, _)| !paths.contains(tag));
    if !directories.is_empty() {
        let value = file.add_string(&directories.join(":"))?;
        file.dynamic.push((u64::from(DT_RUNPATH), value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Relink;
    use proptest::prelude::{any, prop, proptest};

    /// A small program (`fuzz/corpus/erts_relink/prog`).
    const PROGRAM: &[u8] = include_bytes!("../../../../fuzz/corpus/erts_relink/prog");

    #[test]
    fn what_was_there_stays_in_place() {
        let changed = Relink::default().apply(PROGRAM).unwrap();
        let tables = 64..PROGRAM.len() - 2000;
        assert_eq!(changed[tables.clone()], PROGRAM[tables]);
        assert_eq!(Relink::default().apply(PROGRAM).unwrap(), changed);
    }

    proptest! {
        #[test]
        fn changed_bytes_are_survived(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
            let mut bytes = PROGRAM.to_vec();
            for (at, byte) in changes {
                let at = usize::from(at) % bytes.len();
                bytes[at] = byte;
            }
            crate::fuzz::elf(&bytes);
            crate::fuzz::relink(&bytes);
        }
    }
}
