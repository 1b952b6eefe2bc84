//! The partition table: parse and emit are twins, and GUIDs have their well-known byte order.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use image::gpt::{Gpt, GptError, Guid, Partition};
use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert_eq, proptest};

const SECTORS: u64 = 10_000;

fn arb_partition(first: u64) -> impl Strategy<Value = Partition> {
    let kind = any::<[u8; 16]>().prop_filter("0 is unused", |kind| kind != &[0; 16]);
    (
        kind,
        any::<[u8; 16]>(),
        0u64..90,
        "[a-zA-Z \u{e9}\u{1f600}]{0,18}",
    )
        .prop_map(move |(kind, id, size, name)| Partition {
            kind: Guid(kind),
            id: Guid(id),
            first,
            last: first + size,
            name,
        })
}

fn arb_gpt() -> impl Strategy<Value = Gpt> {
    let partitions = (0usize..90).prop_flat_map(|count| {
        (0..count as u64)
            .map(|i| arb_partition(34 + 100 * i))
            .collect::<Vec<_>>()
    });
    (any::<[u8; 16]>(), partitions).prop_map(|(disk, partitions)| Gpt {
        disk: Guid(disk),
        sectors: SECTORS,
        partitions,
    })
}

fn parse_primary(bytes: &[u8]) -> Result<Gpt, GptError> {
    let header = bytes[..512].try_into().unwrap();
    Gpt::parse(1, SECTORS, header, bytes[512..].try_into().unwrap())
}

proptest! {
    #[test]
    fn emit_and_parse_are_twins(gpt in arb_gpt()) {
        prop_assert_eq!(&parse_primary(&gpt.emit_primary()).unwrap(), &gpt);
        let backup = gpt.emit_backup();
        let (table, header) = backup.split_at(32 * 512);
        let header = header.try_into().unwrap();
        let parsed = Gpt::parse(SECTORS - 1, SECTORS, header, table.try_into().unwrap());
        prop_assert_eq!(parsed.unwrap(), gpt);
    }

    #[test]
    fn every_changed_byte_that_counts_is_noticed(gpt in arb_gpt(), at in any::<prop::sample::Index>(), change in 1u8..) {
        let mut bytes = gpt.emit_primary();
        // The rest of the header's sector is reserved and not covered by a checksum.
        let at = at.index(92 + 32 * 512);
        bytes[if at < 92 { at } else { at - 92 + 512 }] ^= change;
        assert!(parse_primary(&bytes).is_err());
    }
}

#[test]
fn overlapping_and_stray_partitions_are_refused() {
    let partition = |first, last| Partition {
        kind: Guid([1; 16]),
        id: Guid([2; 16]),
        first,
        last,
        name: String::new(),
    };
    let number = |partitions: Vec<Partition>| {
        let gpt = Gpt {
            disk: Guid([3; 16]),
            sectors: SECTORS,
            partitions,
        };
        match parse_primary(&gpt.emit_primary()) {
            Err(GptError::Partition { number, .. }) => number,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(number(vec![partition(100, 200), partition(200, 300)]), 2);
    assert_eq!(number(vec![partition(33, 200)]), 1);
    assert_eq!(number(vec![partition(300, 200)]), 1);
    assert_eq!(number(vec![partition(300, SECTORS - 33)]), 1);
    assert_eq!(number(vec![partition(300, u64::MAX)]), 1);
}

#[test]
fn guids_have_the_byte_order_of_the_specification() {
    // UEFI 2.10, appendix A: the example's first fields are little-endian.
    let guid = Guid::from_text("C12A7328-F81F-11D2-BA4B-00A0C93EC93B").unwrap();
    let bytes = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9,
        0x3b,
    ];
    assert_eq!(guid, Guid(bytes));
    assert_eq!(guid.to_string(), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
    let hashed = Guid::from_hash(&[0xff; 32]).to_string();
    assert_eq!(hashed, "FFFFFFFF-FFFF-8FFF-BFFF-FFFFFFFFFFFF");
    assert_eq!(Guid::from_text("C12A7328"), None);
    assert_eq!(
        Guid::from_text("X12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
        None
    );
}
