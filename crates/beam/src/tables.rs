//! The tables of imported and exported functions (`ImpT`, `ExpT`): a count and rows of three
//! numbers.

use crate::AtomTable;
use crate::cursor::Cursor;

/// Bytes of a row.
const ROW: usize = 12;

/// A function of another module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// Module.
    pub module: String,
    /// Function.
    pub function: String,
    /// Number of arguments.
    pub arity: u32,
}

impl Import {
    /// Whether it is this function.
    pub fn is(&self, module: &str, function: &str, arity: u32) -> bool {
        self.module == module && self.function == function && self.arity == arity
    }

    /// Reads the chunk `ImpT`.
    pub(crate) fn parse_table(data: &[u8], atoms: &AtomTable) -> Option<Vec<Self>> {
        rows(data)?
            .into_iter()
            .map(|[module, function, arity]| {
                Some(Self {
                    module: atoms.get(module)?.into(),
                    function: atoms.get(function)?.into(),
                    arity,
                })
            })
            .collect()
    }

    /// The chunk `ImpT` with these functions. Names are added to `atoms`.
    pub fn emit_table(imports: &[Self], atoms: &mut AtomTable) -> Vec<u8> {
        let row = |import: &Self| {
            [
                number(&import.module, atoms),
                number(&import.function, atoms),
                import.arity,
            ]
        };
        emit_rows(imports.iter().map(row).collect())
    }
}

/// A function that other modules can call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Export {
    /// Function.
    pub function: String,
    /// Number of arguments.
    pub arity: u32,
    /// Label of its code.
    pub label: u32,
}

impl Export {
    /// Reads the chunk `ExpT`.
    pub(crate) fn parse_table(data: &[u8], atoms: &AtomTable) -> Option<Vec<Self>> {
        rows(data)?
            .into_iter()
            .map(|[function, arity, label]| {
                Some(Self {
                    function: atoms.get(function)?.into(),
                    arity,
                    label,
                })
            })
            .collect()
    }

    /// The chunk `ExpT` with these functions. Names are added to `atoms`.
    pub fn emit_table(exports: &[Self], atoms: &mut AtomTable) -> Vec<u8> {
        let row = |export: &Self| [number(&export.function, atoms), export.arity, export.label];
        emit_rows(exports.iter().map(row).collect())
    }
}

fn rows(data: &[u8]) -> Option<Vec<[u32; 3]>> {
    let mut cursor = Cursor(data);
    let count = cursor.count(ROW)?;
    let rows = (0..count).map(|_| Some([cursor.u32()?, cursor.u32()?, cursor.u32()?]));
    let rows = rows.collect::<Option<Vec<_>>>()?;
    cursor.is_empty().then_some(rows)
}

fn emit_rows(rows: Vec<[u32; 3]>) -> Vec<u8> {
    let mut out = (rows.len() as u32).to_be_bytes().to_vec();
    out.extend(
        rows.iter()
            .flatten()
            .flat_map(|number| number.to_be_bytes()),
    );
    out
}

/// The number of an atom, which is added if need be.
fn number(name: &str, atoms: &mut AtomTable) -> u32 {
    let known = atoms.names.iter().position(|known| known == name);
    let index = known.unwrap_or_else(|| {
        atoms.names.push(name.into());
        atoms.names.len() - 1
    });
    index as u32 + 1
}

#[cfg(test)]
mod tests {
    use super::{Export, Import};
    use crate::{AtomForm, AtomTable};
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn atoms() -> AtomTable {
        AtomTable {
            names: vec!["m".into()],
            form: AtomForm::Short,
        }
    }

    #[test]
    fn numbers_beyond_the_atoms_are_refused() {
        let table = |module: u8| [[0, 0, 0, 1], [0, 0, 0, module], [0, 0, 0, 1], [0; 4]].concat();
        assert_eq!(Import::parse_table(&table(1), &atoms()).unwrap().len(), 1);
        assert_eq!(Import::parse_table(&table(0), &atoms()), None);
        assert_eq!(Import::parse_table(&table(2), &atoms()), None);
        assert_eq!(Import::parse_table(&table(1)[..15], &atoms()), None);
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(rows in prop::collection::vec(("[a-c]{1,2}", "[a-c]{1,2}", any::<u32>()), 0..9)) {
            let mut atoms = atoms();
            let imports: Vec<_> = rows.iter().cloned().map(|(module, function, arity)| Import { module, function, arity }).collect();
            let data = Import::emit_table(&imports, &mut atoms);
            prop_assert_eq!(Import::parse_table(&data, &atoms), Some(imports));
            let exports: Vec<_> = rows.into_iter().map(|(_, function, arity)| Export { function, arity, label: !arity }).collect();
            let data = Export::emit_table(&exports, &mut atoms);
            prop_assert_eq!(Export::parse_table(&data, &atoms), Some(exports));
        }
    }
}
