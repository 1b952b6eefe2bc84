//! The form and its chunks.

use std::fmt;

use release::term::{Term, etf};

use crate::cursor::Cursor;
use crate::{AtomTable, BeamError, Code, Export, Import, Literals, debug};

/// Name of a chunk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub [u8; 4]);

impl ChunkId {
    /// Atoms in Latin-1, until OTP 19.
    pub const ATOMS_LATIN1: Self = Self(*b"Atom");
    /// Atoms in UTF-8.
    pub const ATOMS: Self = Self(*b"AtU8");
    /// Code.
    pub const CODE: Self = Self(*b"Code");
    /// Strings for the construction of binaries.
    pub const STRINGS: Self = Self(*b"StrT");
    /// Functions of other modules that are called.
    pub const IMPORTS: Self = Self(*b"ImpT");
    /// Functions that others can call.
    pub const EXPORTS: Self = Self(*b"ExpT");
    /// Functions that others cannot call.
    pub const LOCALS: Self = Self(*b"LocT");
    /// Closures.
    pub const FUNS: Self = Self(*b"FunT");
    /// Constants.
    pub const LITERALS: Self = Self(*b"LitT");
    /// Language features that the source uses, since OTP 25.
    pub const META: Self = Self(*b"Meta");
    /// Line numbers.
    pub const LINES: Self = Self(*b"Line");
    /// What the compiler knows of types, since OTP 25.
    pub const TYPES: Self = Self(*b"Type");
    /// Attributes (`-vsn`, `-behaviour` …).
    pub const ATTRIBUTES: Self = Self(*b"Attr");
    /// How the module was compiled.
    pub const COMPILE_INFO: Self = Self(*b"CInf");
    /// Debug information, since OTP 20.
    pub const DEBUG_INFO: Self = Self(*b"Dbgi");
    /// Debug information until OTP 19: abstract code.
    pub const ABSTRACT_CODE: Self = Self(*b"Abst");
    /// Documentation (EEP 48).
    pub const DOCS: Self = Self(*b"Docs");
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The chunks that [`Beam::strip`] keeps, in its order (`beam_lib:significant_chunks/0` of
/// OTP 25 to 28; those before have no `Type` and `Meta`).
pub const SIGNIFICANT: [ChunkId; 11] = [
    ChunkId::LINES,
    ChunkId::TYPES,
    ChunkId::ATOMS_LATIN1,
    ChunkId::ATOMS,
    ChunkId::CODE,
    ChunkId::STRINGS,
    ChunkId::IMPORTS,
    ChunkId::EXPORTS,
    ChunkId::FUNS,
    ChunkId::LITERALS,
    ChunkId::META,
];

/// The chunks that every module has (`beam_lib:mandatory_chunks/0`).
const MANDATORY: [ChunkId; 4] = [
    ChunkId::CODE,
    ChunkId::EXPORTS,
    ChunkId::IMPORTS,
    ChunkId::STRINGS,
];

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Its name.
    pub id: ChunkId,
    /// Its content, without the zeros behind it.
    pub data: &'a [u8],
}

/// A module that is not compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beam<'a> {
    /// Its chunks, in order.
    pub chunks: Vec<Chunk<'a>>,
}

const FORM: &[u8; 4] = b"FOR1";
const KIND: &[u8; 4] = b"BEAM";
/// Bytes before the first chunk, and before the content of a chunk.
const HEADER: usize = 12;
const CHUNK_HEADER: usize = 8;

impl<'a> Beam<'a> {
    /// Reads a file that is not compressed (see [`uncompressed`](crate::uncompressed)). The
    /// chunks are only looked into by the other functions.
    ///
    /// # Errors
    /// [`BeamError`] says what is wrong with the form.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BeamError> {
        let (header, rest) = bytes
            .split_first_chunk::<HEADER>()
            .ok_or(BeamError::NotBeam)?;
        let [f, o, r, m, size @ .., b, e, a, n] = *header;
        if [f, o, r, m] != *FORM || [b, e, a, n] != *KIND {
            return Err(BeamError::NotBeam);
        }
        let size = (u32::from_be_bytes(size) as usize).saturating_sub(KIND.len());
        if let Some(needed) = size.checked_sub(rest.len()).filter(|&needed| needed > 0) {
            return Err(BeamError::Truncated {
                offset: bytes.len(),
                needed,
            });
        }
        if rest.len() > size {
            return Err(BeamError::Trailing(rest.len() - size));
        }
        let mut chunks = Vec::new();
        let mut at = 0;
        while at < rest.len() {
            let (chunk, next) = next_chunk(rest, at)?;
            chunks.push(chunk);
            at = next;
        }
        Ok(Self { chunks })
    }

    /// The file; what [`parse`](Self::parse) read comes out as it was.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::from(*FORM);
        out.extend([0; 4]);
        out.extend(KIND);
        for chunk in &self.chunks {
            out.extend(chunk.id.0);
            // Chunks lie in files with sizes of 32 bits.
            out.extend((chunk.data.len() as u32).to_be_bytes());
            out.extend(chunk.data);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        let size = (out.len() - CHUNK_HEADER) as u32;
        out[4..8].copy_from_slice(&size.to_be_bytes());
        out
    }

    /// The content of a chunk, of the first if there are several.
    pub fn chunk(&self, id: ChunkId) -> Option<&'a [u8]> {
        let chunk = self.chunks.iter().find(|chunk| chunk.id == id)?;
        Some(chunk.data)
    }

    fn mandatory(&self, id: ChunkId) -> Result<&'a [u8], BeamError> {
        self.chunk(id).ok_or(BeamError::Missing(id))
    }

    /// The atoms of the module; the first one is its name.
    ///
    /// # Errors
    /// The chunk is missing or malformed.
    pub fn atoms(&self) -> Result<AtomTable, BeamError> {
        if let Some(data) = self.chunk(ChunkId::ATOMS) {
            return AtomTable::parse(data).ok_or(BeamError::Malformed(ChunkId::ATOMS));
        }
        match self.chunk(ChunkId::ATOMS_LATIN1) {
            Some(data) => {
                AtomTable::parse_latin1(data).ok_or(BeamError::Malformed(ChunkId::ATOMS_LATIN1))
            }
            None => Err(BeamError::Missing(ChunkId::ATOMS)),
        }
    }

    /// Name of the module.
    ///
    /// # Errors
    /// The atoms are missing or malformed.
    pub fn module(&self) -> Result<String, BeamError> {
        let name = self.atoms()?.names.into_iter().next();
        name.ok_or(BeamError::Malformed(ChunkId::ATOMS))
    }

    /// The functions of other modules (and of `erlang`) that the module calls by name, in the
    /// order of the file.
    ///
    /// # Errors
    /// The chunk or the atoms are missing or malformed.
    pub fn imports(&self) -> Result<Vec<Import>, BeamError> {
        let data = self.mandatory(ChunkId::IMPORTS)?;
        Import::parse_table(data, &self.atoms()?).ok_or(BeamError::Malformed(ChunkId::IMPORTS))
    }

    /// The functions that other modules can call, in the order of the file.
    ///
    /// # Errors
    /// The chunk or the atoms are missing or malformed.
    pub fn exports(&self) -> Result<Vec<Export>, BeamError> {
        let data = self.mandatory(ChunkId::EXPORTS)?;
        Export::parse_table(data, &self.atoms()?).ok_or(BeamError::Malformed(ChunkId::EXPORTS))
    }

    /// The instructions of the module.
    ///
    /// # Errors
    /// The chunk is missing, or its header malformed.
    pub fn code(&self) -> Result<Code<'a>, BeamError> {
        Code::parse(self.mandatory(ChunkId::CODE)?).ok_or(BeamError::Malformed(ChunkId::CODE))
    }

    /// The constants of the module; none if the chunk is missing.
    ///
    /// # Errors
    /// The chunk is malformed, or too large.
    pub fn literals(&self) -> Result<Literals, BeamError> {
        self.chunk(ChunkId::LITERALS)
            .map_or_else(|| Ok(Literals::default()), Literals::parse)
    }

    /// The attributes (`-vsn`, `-behaviour` …) as a list of pairs; `None` in a stripped module.
    ///
    /// # Errors
    /// The chunk is malformed.
    pub fn attributes(&self) -> Result<Option<Term>, BeamError> {
        self.term(ChunkId::ATTRIBUTES)
    }

    /// How the module was compiled (`version`, `options`, `source`), as a list of pairs; `None`
    /// in a stripped module.
    ///
    /// # Errors
    /// The chunk is malformed.
    pub fn compile_info(&self) -> Result<Option<Term>, BeamError> {
        self.term(ChunkId::COMPILE_INFO)
    }

    fn term(&self, id: ChunkId) -> Result<Option<Term>, BeamError> {
        let Some(data) = self.chunk(id).filter(|data| !data.is_empty()) else {
            return Ok(None);
        };
        let (term, _) = etf::decode(data).map_err(|_| BeamError::Malformed(id))?;
        Ok(Some(term))
    }

    /// Whether the source can be had from the module. Modules compiled without `debug_info` have
    /// the chunk too, with nothing in it.
    pub fn has_debug_info(&self) -> bool {
        let has = |id| self.chunk(id).is_some_and(debug::holds_code);
        has(ChunkId::DEBUG_INFO) || has(ChunkId::ABSTRACT_CODE)
    }

    /// The module with the chunks only that the loader uses, as `beam_lib:strip/1` makes it before
    /// it compresses the file: without debug information, documentation, attributes, compile
    /// information and names of local functions.
    ///
    /// # Errors
    /// A chunk that every module has is missing.
    pub fn strip(&self) -> Result<Self, BeamError> {
        for id in MANDATORY {
            self.mandatory(id)?;
        }
        let kept = SIGNIFICANT.into_iter().filter_map(|id| {
            let data = self.chunk(id)?;
            Some(Chunk { id, data })
        });
        Ok(Self {
            chunks: kept.collect(),
        })
    }
}

/// The chunk at an offset behind the header, and the offset behind it. The zeros behind the last
/// one may be missing.
fn next_chunk(bytes: &[u8], at: usize) -> Result<(Chunk<'_>, usize), BeamError> {
    let mut cursor = Cursor(&bytes[at..]);
    let truncated = |start: usize, needed: usize| BeamError::Truncated {
        offset: HEADER + start,
        needed: needed - (bytes.len() - start).min(needed),
    };
    let header = cursor.take(4).zip(cursor.u32());
    let (name, size) = header.ok_or_else(|| truncated(at, CHUNK_HEADER))?;
    let size = size as usize;
    let start = at + CHUNK_HEADER;
    let data = cursor.take(size).ok_or_else(|| truncated(start, size))?;
    let mut id = [0; 4];
    id.copy_from_slice(name);
    let chunk = Chunk {
        id: ChunkId(id),
        data,
    };
    Ok((chunk, (start + size).next_multiple_of(4)))
}

#[cfg(test)]
mod tests {
    use super::{Beam, Chunk, ChunkId};
    use crate::BeamError;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let chunks = chunks.iter().map(|&(id, data)| Chunk {
            id: ChunkId(*id),
            data,
        });
        let chunks = chunks.collect();
        Beam { chunks }.emit()
    }

    #[test]
    fn the_layout_is_that_of_iff() {
        let bytes = file(&[(b"StrT", b"abcde")]);
        assert_eq!(bytes, b"FOR1\0\0\0\x14BEAMStrT\0\0\0\x05abcde\0\0\0");
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(Beam::parse(b""), Err(BeamError::NotBeam));
        assert_eq!(Beam::parse(b"FOR1\0\0\0\x04AIFF"), Err(BeamError::NotBeam));
        let mut bytes = file(&[(b"StrT", b"abcd")]);
        bytes.push(0);
        assert_eq!(Beam::parse(&bytes), Err(BeamError::Trailing(1)));
        let cut = BeamError::Truncated {
            offset: 20,
            needed: 4,
        };
        assert_eq!(Beam::parse(&bytes[..20]), Err(cut.clone()));
        bytes.truncate(20);
        bytes[7] -= 4;
        assert_eq!(Beam::parse(&bytes), Err(cut));
    }

    #[test]
    fn strip_wants_a_whole_module() {
        let bytes = file(&[(b"Code", b""), (b"ImpT", b""), (b"StrT", b"")]);
        let beam = Beam::parse(&bytes).unwrap();
        assert_eq!(beam.strip(), Err(BeamError::Missing(ChunkId::EXPORTS)));
        let all = [
            (b"Dbgi", b"1".as_slice()),
            (b"Code", b"2"),
            (b"ImpT", b"3"),
            (b"ExpT", b"4"),
            (b"StrT", b"5"),
            (b"Line", b"6"),
        ];
        let bytes = file(&all);
        let stripped = Beam::parse(&bytes).unwrap().strip().unwrap();
        let ids: Vec<_> = stripped.chunks.iter().map(|c| c.id.to_string()).collect();
        assert_eq!(ids, ["Line", "Code", "StrT", "ImpT", "ExpT"]);
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(chunks in prop::collection::vec((any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 0..9)), 0..6)) {
            let chunks = chunks.iter().map(|(id, data)| Chunk { id: ChunkId(*id), data });
            let beam = Beam { chunks: chunks.collect() };
            let bytes = beam.emit();
            prop_assert_eq!(Beam::parse(&bytes), Ok(beam));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            crate::fuzz::file(&bytes);
            let size = bytes.len() as u32 + 4;
            let bytes = [b"FOR1".as_slice(), &size.to_be_bytes(), b"BEAM", &bytes].concat();
            crate::fuzz::file(&bytes);
        }
    }
}
