//! Every format is read back as the disk it was made of.

use std::io::{Cursor, Read, Seek, SeekFrom};

use proptest::{collection::vec, prelude::any, prop_oneof, proptest, strategy::Strategy};

use super::{Compress, Compression, Container, Encoding, Format, Raw, Runs, unpack_gce, write};

const MIB: usize = 1 << 20;

/// Disks of up to 3 MiB with pieces of noise and of text at odd places.
fn disks() -> impl Strategy<Value = (Vec<u8>, Runs)> {
    let noise = vec(any::<u8>(), 1..5000);
    let text = vec(b'a'..b'd', 1..10).prop_map(|word| word.repeat(20_000));
    let piece = (0..3 * MIB, prop_oneof![noise, text]);
    (1..=3usize, vec(piece, 0..6)).prop_map(|(mib, pieces)| {
        let mut disk = vec![0; mib * MIB];
        let mut runs = Runs::default();
        for (at, bytes) in pieces {
            let end = (at + bytes.len()).min(disk.len());
            if at < end {
                disk[at..end].copy_from_slice(&bytes[..end - at]);
                runs.add(at as u64, end as u64);
            }
        }
        (disk, runs)
    })
}

/// Formats whose files are read block by block.
fn containers() -> Vec<Encoding> {
    let encoding = |format, compression| Encoding {
        format,
        compression,
    };
    vec![
        encoding(Format::Raw, None),
        encoding(Format::Qcow2, None),
        encoding(Format::Qcow2, Some(Compression::Zstd)),
        encoding(Format::Qcow2, Some(Compression::Deflate)),
        encoding(Format::Vhd, None),
        encoding(Format::Vhdx, None),
        encoding(Format::Vmdk, None),
        encoding(Format::Vmdk, Some(Compression::Deflate)),
    ]
}

fn file(encoding: Encoding, disk: &[u8], runs: &Runs) -> Vec<u8> {
    let mut raw = Raw::new(Cursor::new(disk), disk.len() as u64, runs.clone());
    let mut out = Cursor::new(Vec::new());
    write(encoding, &mut raw, &[7; 32], &mut out).unwrap();
    out.into_inner()
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]

    #[test]
    fn containers_hold_their_disk((disk, runs) in disks(), at in 0..MIB) {
        for encoding in containers() {
            let bytes = file(encoding, &disk, &runs);
            assert!(bytes == file(encoding, &disk, &runs), "{encoding} twice");
            let mut container = Container::open(Cursor::new(&bytes)).unwrap();
            let mut found = Vec::new();
            container.read_to_end(&mut found).unwrap();
            assert!(found == disk, "{encoding} differs");
            let mut piece = vec![0; 1000.min(disk.len() - at)];
            container.seek(SeekFrom::Start(at as u64)).unwrap();
            container.read_exact(&mut piece).unwrap();
            assert!(disk[at..].starts_with(&piece), "{encoding} differs at {at}");
        }
    }

    #[test]
    fn archives_hold_their_disk((disk, runs) in disks()) {
        let gce = Encoding { format: Format::Gce, compression: Some(Compression::Deflate) };
        let bytes = file(gce, &disk, &runs);
        let mut archive = flate2::read::GzDecoder::new(&*bytes);
        let mut found = Cursor::new(Vec::new());
        let size = unpack_gce(&mut archive, disk.len() as u64, &mut found).unwrap();
        let mut found = found.into_inner();
        found.resize(size as usize, 0);
        assert!(found == disk);
    }

    /// Whatever is damaged, reading ends.
    #[test]
    fn damaged_containers_do_not_panic(at in any::<u16>(), byte in any::<u8>(), cut in any::<u16>()) {
        let disk = b"some text ".repeat(20_000);
        let mut runs = Runs::default();
        runs.add(0, disk.len() as u64);
        let mut disk = disk;
        disk.resize(MIB, 0);
        for encoding in containers() {
            let mut bytes = file(encoding, &disk, &runs);
            let at = usize::from(at) % bytes.len().min(512);
            bytes[at] = byte;
            let _ = crate::fuzz::container(&bytes);
            bytes.truncate(usize::from(cut));
            let _ = crate::fuzz::container(&bytes);
        }
    }
}

#[test]
fn a_wish_for_compression_is_heard() {
    let path = std::path::Path::new("a.qcow2");
    let encoding = Encoding::new(None, Some(Compress::With(Compression::Deflate)), path);
    assert_eq!(
        encoding.unwrap().to_string(),
        "qcow2, compressed with deflate"
    );
}
