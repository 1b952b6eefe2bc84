//! The instructions of a module (chunk `Code`), as the loader reads them before it translates them.
//!
//! ```text
//! size of the header (4), instruction set (4), highest opcode (4),
//! labels (4), functions (4), instruction …                         the chunk
//! opcode (1), operand …                                            an instruction
//! ```
//! How many operands an opcode has is said by OTP's lib/compiler/src/genop.tab; how operands are
//! written by [`Operand`].

mod operand;

pub use operand::Operand;

use crate::cursor::Cursor;
use crate::{BeamError, ChunkId};

/// The only instruction set there is (`BEAM_FORMAT_NUMBER` of genop.tab).
const INSTRUCTION_SET: u32 = 0;
/// Bytes of the header that is known.
const HEADER: usize = 16;

/// Opcodes that matter outside of the loader (genop.tab).
pub mod op {
    /// A label, where several ways can come together.
    pub const LABEL: u8 = 1;
    /// What follows is the function with this module, name and arity.
    pub const FUNC_INFO: u8 = 2;
    /// The end.
    pub const INT_CODE_END: u8 = 3;
    /// Call of a function of the module.
    pub const CALL: u8 = 4;
    /// The same, and return.
    pub const CALL_LAST: u8 = 5;
    /// The same without a stack frame.
    pub const CALL_ONLY: u8 = 6;
    /// Call of a function of another module: arity, number of the import.
    pub const CALL_EXT: u8 = 7;
    /// The same, and return.
    pub const CALL_EXT_LAST: u8 = 8;
    /// Copies a value: source, target.
    pub const MOVE: u8 = 64;
    /// Makes a cell of a list: head, tail, target.
    pub const PUT_LIST: u8 = 69;
    /// Call of a closure.
    pub const CALL_FUN: u8 = 75;
    /// As [`CALL_EXT`], and return, without a stack frame.
    pub const CALL_EXT_ONLY: u8 = 78;
    /// Call of a function that is known at run time.
    pub const APPLY: u8 = 112;
    /// Removes slots of the stack frame, so that all others have new numbers.
    pub const TRIM: u8 = 136;
    /// `on_load`: the function that is called when the module is loaded.
    pub const ON_LOAD: u8 = 149;
    /// Makes a tuple: target, elements.
    pub const PUT_TUPLE2: u8 = 164;
    /// Call of a closure, since OTP 25.
    pub const CALL_FUN2: u8 = 178;
}

/// Numbers of operands, by opcode from 1 (genop.tab of OTP 29).
const ARITIES: [u8; 187] = [
    1, 3, 0, 2, 3, 2, 2, 3, 2, 4, 5, 2, 3, 2, 3, 2, 1, 1, 0, 0, 0, 0, 2, 1, 1, 2, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 1, 2, 1, 2,
    3, 3, 3, 3, 3, 2, 1, 1, 0, 1, 1, 3, 2, 2, 2, 5, 5, 5, 4, 2, 1, 1, 2, 2, 5, 5, 5, 2, 1, 0, 1, 2,
    2, 4, 4, 4, 4, 3, 1, 2, 1, 1, 1, 2, 6, 3, 5, 1, 2, 2, 3, 5, 7, 7, 7, 5, 3, 2, 2, 5, 6, 2, 2, 2,
    2, 1, 3, 4, 0, 8, 6, 2, 6, 5, 4, 5, 4, 5, 4, 3, 3, 3, 3, 3, 0, 1, 1, 7, 1, 5, 5, 2, 3, 3, 4, 0,
    0, 2, 2, 2, 3, 4, 3, 2, 2, 4, 3, 1, 2, 1, 1, 1, 6, 3, 0, 1, 5, 3, 2, 3, 2, 4, 4,
];

/// The chunk, of which the header was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code<'a> {
    /// The highest opcode in it: a loader that does not have it refuses the module.
    pub highest_opcode: u32,
    /// Number of labels.
    pub labels: u32,
    /// Number of functions.
    pub functions: u32,
    instructions: &'a [u8],
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Its number in genop.tab; see [`op`].
    pub opcode: u8,
    /// Its operands.
    pub operands: Vec<Operand>,
}

impl<'a> Code<'a> {
    /// Reads the header.
    pub(crate) fn parse(data: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(data);
        let size = cursor.u32()? as usize;
        let mut header = Cursor(cursor.take(size.max(HEADER))?);
        (header.u32()? == INSTRUCTION_SET).then_some(())?;
        Some(Self {
            highest_opcode: header.u32()?,
            labels: header.u32()?,
            functions: header.u32()?,
            instructions: cursor.0,
        })
    }

    /// The instructions, up to the first that is not understood or to the end.
    pub fn instructions(&self) -> Instructions<'a> {
        Instructions {
            rest: Some(Cursor(self.instructions)),
        }
    }

    /// The chunk's content, with these instructions.
    pub fn emit(&self, instructions: &[Instruction]) -> Vec<u8> {
        let header = [
            HEADER as u32,
            INSTRUCTION_SET,
            self.highest_opcode,
            self.labels,
            self.functions,
        ];
        let mut out: Vec<u8> = header.into_iter().flat_map(u32::to_be_bytes).collect();
        for instruction in instructions {
            out.push(instruction.opcode);
            instruction
                .operands
                .iter()
                .for_each(|operand| operand.emit(&mut out));
        }
        out
    }
}

/// Goes through the instructions of a module.
pub struct Instructions<'a> {
    rest: Option<Cursor<'a>>,
}

impl Iterator for Instructions<'_> {
    type Item = Result<Instruction, BeamError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut cursor = self.rest.take()?;
        let Some(instruction) = next_instruction(&mut cursor) else {
            return Some(Err(BeamError::Malformed(ChunkId::CODE)));
        };
        if instruction.opcode != op::INT_CODE_END {
            self.rest = Some(cursor);
        }
        Some(Ok(instruction))
    }
}

fn next_instruction(cursor: &mut Cursor<'_>) -> Option<Instruction> {
    let opcode = cursor.u8()?;
    let arity = *ARITIES.get(usize::from(opcode).checked_sub(1)?)?;
    let operands = (0..arity).map(|_| Operand::parse(cursor));
    Some(Instruction {
        opcode,
        operands: operands.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{ARITIES, Code, Instruction, Operand, op};
    use crate::code::operand::testing::operands;
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};

    fn instruction() -> impl Strategy<Value = Instruction> {
        (1..=187_u8).prop_flat_map(|opcode| {
            let arity = usize::from(ARITIES[usize::from(opcode) - 1]);
            prop::collection::vec(operands(), arity)
                .prop_map(move |operands| Instruction { opcode, operands })
        })
    }

    fn header() -> Code<'static> {
        Code {
            highest_opcode: 180,
            labels: 7,
            functions: 3,
            instructions: &[],
        }
    }

    /// `func_info m f 1` and a call of the third import, by hand from beam_asm.erl.
    #[test]
    fn the_layout_is_that_of_the_assembler() {
        let bytes =
            b"\0\0\0\x10\0\0\0\0\0\0\0\xb4\0\0\0\x07\0\0\0\x03\x02\x12\x22\x10\x07\x10\x20\x03";
        let code = Code::parse(bytes).unwrap();
        assert_eq!(
            (code.highest_opcode, code.labels, code.functions),
            (180, 7, 3)
        );
        let found: Vec<_> = code.instructions().map(Result::unwrap).collect();
        let expected = [
            (
                op::FUNC_INFO,
                vec![Operand::Atom(1), Operand::Atom(2), Operand::Unsigned(1)],
            ),
            (
                op::CALL_EXT,
                vec![Operand::Unsigned(1), Operand::Unsigned(2)],
            ),
            (op::INT_CODE_END, Vec::new()),
        ];
        let expected = expected.map(|(opcode, operands)| Instruction { opcode, operands });
        assert_eq!(found, expected);
        assert_eq!(code.emit(&found), bytes);
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Code::parse(b"\0\0\0\x10\0\0\0\0"), None);
        let other_set = b"\0\0\0\x10\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(Code::parse(other_set), None);
        for instructions in [&b"\0"[..], b"\xff", b"\x01", b""] {
            let code = Code {
                instructions,
                ..header()
            };
            let found: Vec<_> = code.instructions().collect();
            assert!(matches!(found[..], [Err(_)]), "{found:?}");
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_emit(mut list in prop::collection::vec(instruction(), 0..12)) {
            list.retain(|instruction| instruction.opcode != op::INT_CODE_END);
            list.push(Instruction { opcode: op::INT_CODE_END, operands: Vec::new() });
            let bytes = header().emit(&list);
            let code = Code::parse(&bytes).unwrap();
            let found: Result<Vec<_>, _> = code.instructions().collect();
            prop_assert_eq!(found, Ok(list));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let code = Code { instructions: &bytes, ..header() };
            let count = code.instructions().count();
            assert!(count <= bytes.len() + 1);
            let _ = Code::parse(&bytes);
        }
    }
}
