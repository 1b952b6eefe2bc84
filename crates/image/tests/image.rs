//! Whole images: independent programs accept them, the reader finds everything again, the same
//! input gives the same bytes, and failures leave nothing behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::process::Command;

use boot_contract::disk::{BLOCK_LIST, BlockList};
use common::{KERNEL_ADDRESS, assemble, example_root, kernel, oracle, with_spec};
use image::{DiskImage, ImageError, Part, Plan, PlanError, RootEntry};
use manifest::{Manifest, SCHEMA};
use proptest::prop_oneof;
use proptest::test_runner::TestRunner;

/// A root whose archive has at least this many MiB, in one sparse host file.
fn large_root(folder: &Path, mib: u64) -> Vec<RootEntry> {
    let path = folder.join("large");
    fs::File::create(&path).unwrap().set_len(mib << 20).unwrap();
    let mut root = example_root();
    root.push(RootEntry::host("/large", path, 0o644));
    root
}

/// A copy of the EFI system partition of an image.
fn esp_of(image: &Path, plan: &Plan) -> std::path::PathBuf {
    let esp = &plan.parts[3];
    let bytes = fs::read(image).unwrap();
    let path = image.with_extension("esp");
    let range = esp.offset as usize..(esp.offset + esp.size) as usize;
    fs::write(&path, &bytes[range]).unwrap();
    path
}

fn check_with_oracles(folder: &Path, root: &[RootEntry], fat: &str) {
    let image = folder.join("app.img");
    let report = assemble(root, &image);
    if let Some(text) = oracle(Command::new("sfdisk").arg("--verify").arg(&image)) {
        assert!(text.contains("No errors detected."), "{text}");
    }
    oracle(Command::new("sgdisk").arg("-v").arg(&image));
    let esp = esp_of(&image, &report.plan);
    if let Some(text) = oracle(Command::new("fsck.fat").arg("-vn").arg(&esp)) {
        assert!(text.contains(&format!("{fat} bit entries")), "{text}");
        let bad = ["differ", "wrong", "error", "orphan", "Free cluster summary"];
        assert!(!bad.iter().any(|word| text.contains(word)), "{text}");
    }
    if let Some(text) = oracle(Command::new("mdir").arg("-i").arg(&esp).arg("::UNIBEAM")) {
        assert!(
            text.contains("ROOT.CPIO") || text.contains("ROOT.cpio"),
            "{text}"
        );
    }
    let mut mtype = Command::new("mtype");
    if let Some(text) = oracle(mtype.arg("-i").arg(&esp).arg("::UNIBEAM/CMDLINE.TXT")) {
        assert_eq!(text, "ip=dhcp hostname=test\n");
    }
    let copy = folder.join("copy.cpio");
    let mut mcopy = Command::new("mcopy");
    if oracle(
        mcopy
            .arg("-i")
            .arg(&esp)
            .arg("::UNIBEAM/ROOT.CPIO")
            .arg(&copy),
    )
    .is_some()
    {
        let mut archive = Vec::new();
        let image = DiskImage::open(&image).unwrap();
        image.copy(image.root, &mut archive).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), archive);
    }
}

#[test]
fn independent_programs_accept_a_small_image() {
    let folder = tempfile::tempdir().unwrap();
    check_with_oracles(folder.path(), &example_root(), "16");
}

#[test]
fn independent_programs_accept_a_large_image() {
    let folder = tempfile::tempdir().unwrap();
    let root = large_root(folder.path(), 260);
    check_with_oracles(folder.path(), &root, "32");
}

#[test]
fn the_reader_finds_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.img");
    let report = assemble(&example_root(), &path);
    let image = DiskImage::open(&path).unwrap();
    assert_eq!(image.cmdline, "ip=dhcp hostname=test");
    let mut bytes = Vec::new();
    image.copy(image.kernel, &mut bytes).unwrap();
    assert_eq!(bytes, kernel());
    assert_eq!(image.root.offset % 4096, 0);
    let mut entries = image.root_entries().unwrap();
    let mut paths = Vec::new();
    while let Some(entry) = entries.next_entry().unwrap() {
        if entry.path == b"etc/hosts" {
            assert_eq!(entries.data(&entry).unwrap(), b"127.0.0.1 localhost\n");
        }
        paths.push(entry.path);
    }
    assert_eq!(paths.len(), 9);
    assert_eq!(image.gpt.partitions.len(), 2);
    let json = serde_json::to_string(&report.plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), report.plan);
}

#[test]
fn a_manifest_is_found_again_with_the_digest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.img");
    let manifest = Manifest {
        schema: SCHEMA,
        unibeam: "1.2.3".into(),
        ..Manifest::default()
    };
    let report = with_spec(&example_root(), |spec| {
        let spec = image::ImageSpec {
            manifest: Some(&manifest),
            ..*spec
        };
        image::assemble(&spec, &path, &mut |_| {}).unwrap()
    });
    let image = DiskImage::open(&path).unwrap();
    let found = image.read_manifest().unwrap().unwrap();
    assert_eq!(
        (found.unibeam.as_str(), &found.digest),
        ("1.2.3", &report.digest)
    );
    let esp = esp_of(&path, &report.plan);
    let mut mtype = Command::new("mtype");
    if let Some(text) = oracle(mtype.arg("-i").arg(&esp).arg("::UNIBEAM/MANIFEST.JSON")) {
        assert_eq!(text, found.emit());
    }
    oracle(Command::new("fsck.fat").arg("-vn").arg(&esp));
    // What nothing of the boot needs changes no identifier.
    let plain = folder.path().join("plain.img");
    assert_eq!(assemble(&example_root(), &plain).digest, report.digest);
    let plain = DiskImage::open(&plain).unwrap();
    assert_eq!(plain.gpt, image.gpt);
    assert_eq!(plain.read_manifest().unwrap(), None);
}

#[test]
fn a_damaged_or_later_manifest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.img");
    let said = |schema: u32, damage: &str| {
        let manifest = Manifest {
            schema,
            ..Manifest::default()
        };
        with_spec(&example_root(), |spec| {
            let spec = image::ImageSpec {
                manifest: Some(&manifest),
                ..*spec
            };
            image::assemble(&spec, &path, &mut |_| {}).unwrap()
        });
        let image = DiskImage::open(&path).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let at = image.manifest.unwrap().offset;
        file.write_all_at(damage.as_bytes(), at).unwrap();
        image.read_manifest().unwrap_err().to_string()
    };
    let later = said(SCHEMA + 1, "{");
    assert!(later.contains("use a later unibeam"), "{later}");
    let damaged = said(SCHEMA, "x");
    assert!(damaged.starts_with("manifest: it is damaged"), "{damaged}");
}

#[test]
fn the_block_list_points_at_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.img");
    let report = assemble(&example_root(), &path);
    let disk = fs::read(&path).unwrap();
    let stage = report.plan.parts[2].offset as usize;
    let list = BlockList::decode(&disk[stage + BLOCK_LIST..]).unwrap();
    assert_eq!(list.entry, KERNEL_ADDRESS + 4);
    let cmdline = list.cmdline.lba as usize * 512;
    assert_eq!(
        &disk[cmdline..][..list.cmdline.size as usize],
        b"ip=dhcp hostname=test"
    );
    assert!(disk[list.module.lba as usize * 512..].starts_with(b"070701"));
    let [segment] = list.segments() else {
        panic!("{list:?}")
    };
    let start = segment.lba as usize * 512 + segment.skip as usize;
    assert_eq!(disk[start..][..1000], kernel()[0x123..]);
    assert_eq!((segment.paddr, segment.mem_size), (KERNEL_ADDRESS, 1000));
    // The packet in the boot sector loads the two sectors of the stage.
    assert_eq!(disk[424 + 2..424 + 4], [2, 0]);
    assert_eq!(disk[424 + 8..424 + 16], [40, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let build = |reverse: bool, content: &str| {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::write(&source, content).unwrap();
        let mut root = example_root();
        root.push(RootEntry::host("/opt/app", &source, 0o644));
        if reverse {
            root.reverse();
        }
        let path = folder.path().join(if reverse { "a.img" } else { "b.img" });
        assemble(&root, &path);
        fs::read(path).unwrap()
    };
    let first = build(false, "one");
    assert!(first == build(true, "one"));
    assert!(first != build(false, "two"));
}

#[test]
fn changed_content_changes_the_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.img");
    let mut seen = Vec::new();
    for content in ["one", "two"] {
        assemble(&[RootEntry::bytes("/a", content, 0o644)], &path);
        let gpt = DiskImage::open(&path).unwrap().gpt;
        seen.push(gpt.disk);
        seen.extend(gpt.partitions.iter().map(|p| p.id));
    }
    for (i, guid) in seen.iter().enumerate() {
        assert!(!seen[..i].contains(guid), "{seen:?}");
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn failure(root: &[RootEntry], output: &Path) -> ImageError {
    with_spec(root, |spec| image::assemble(spec, output, &mut |_| {})).unwrap_err()
}

#[test]
fn a_failed_build_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("app.img");
    let root = [RootEntry::host("/a", folder.path().join("missing"), 0o644)];
    assert!(matches!(failure(&root, &output), ImageError::Input { .. }));
    // A file of /proc says it is empty and is not: found out only while writing.
    let root = [RootEntry::host("/a", "/proc/self/status", 0o644)];
    let error = failure(&root, &output);
    assert!(
        matches!(error, ImageError::InputChanged { expected: 0, .. }),
        "{error}"
    );
    let root = [RootEntry::host("/a", "/dev/null", 0o644)];
    assert!(matches!(
        failure(&root, &output),
        ImageError::InputKind { .. }
    ));
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn outputs_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = failure(&[], folder.path());
    assert!(matches!(error, ImageError::OutputIsDirectory { .. }));
    assert!(error.to_string().contains("app.img"), "{error}");
    let error = failure(&[], Path::new("/dev/null"));
    assert!(matches!(error, ImageError::OutputIsDevice { .. }));
    let error = failure(&[], &folder.path().join("no/such/folder.img"));
    assert!(matches!(error, ImageError::Output { .. }));
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn an_existing_file_is_replaced_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real.img");
    let link = folder.path().join("link.img");
    fs::write(&real, "old").unwrap();
    symlink(&real, &link).unwrap();
    let report = assemble(&example_root(), &link);
    assert_eq!(report.path, real.canonicalize().unwrap());
    assert!(link.symlink_metadata().unwrap().is_symlink());
    DiskImage::open(&real).unwrap();
}

#[test]
fn progress_ends_at_the_total() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = None;
    let output = folder.path().join("app.img");
    with_spec(&example_root(), |spec| {
        image::assemble(spec, &output, &mut |progress| last = Some(progress)).unwrap();
    });
    let last = last.unwrap();
    assert!(last.done == last.total && last.total > 0);
}

#[test]
fn images_take_no_space_for_their_gaps() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("app.img");
    assemble(&example_root(), &output);
    let metadata = output.metadata().unwrap();
    assert!(metadata.blocks() * 512 < metadata.len() / 8, "{metadata:?}");
}

#[test]
fn damaged_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.img");
    let report = assemble(&example_root(), &path);
    let good = fs::read(&path).unwrap();
    let esp = report.plan.parts[3].offset as usize;
    let error = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        fs::write(&path, bytes).unwrap();
        DiskImage::open(&path).unwrap_err().to_string()
    };
    assert!(error(510, 0).contains("not a protective MBR"));
    assert!(error(512, 0).contains("sector 1 holds no GPT header"));
    assert!(error(512 + 56, 1).contains("header checksum"));
    assert!(error(1024 + 40, 1).contains("checksum of the entries"));
    assert!(error(good.len() - 512, 0).contains("no GPT header"));
    assert!(error(esp + 13, 1).contains("clusters do not have 4096 bytes"));
    assert!(error(esp + 510, 0).contains("signature"));
    // The second entry of the root archive's chain in the FAT.
    let fat = esp + 512 * usize::from(good[esp + 14]);
    assert!(error(fat + 2 * 6, 0).contains("not contiguous"));
    fs::write(&path, &good[..20_000]).unwrap();
    assert!(
        DiskImage::open(&path)
            .unwrap_err()
            .to_string()
            .contains("too few")
    );
    fs::write(&path, "").unwrap();
    assert!(
        DiskImage::open(&path)
            .unwrap_err()
            .to_string()
            .contains("0 sectors")
    );
}

#[test]
fn unusable_specifications_are_refused() {
    let refused = |change: &dyn Fn(&mut image::ImageSpec<'_>)| {
        with_spec(&[], |spec| {
            let mut spec = *spec;
            change(&mut spec);
            image::plan(&spec).unwrap_err().to_string()
        })
    };
    assert!(refused(&|spec| spec.kernel = b"no").contains("not a well-formed ELF"));
    assert!(refused(&|spec| spec.boot_sector = b"no").contains("found 2 bytes"));
    assert!(refused(&|spec| spec.boot_sector = &[0; 512]).contains("no 55 AA"));
    assert!(refused(&|spec| spec.bios_stage = &[0; 600]).contains("no block list"));
    assert!(refused(&|spec| spec.bios_stage = &[0; 100_000]).contains("100000 bytes"));
    assert!(refused(&|spec| spec.cmdline = "a\nb").contains("control character at byte 1"));
    let long = "x".repeat(4096);
    let found = with_spec(&[], |spec| {
        let spec = image::ImageSpec {
            cmdline: &long,
            ..*spec
        };
        image::plan(&spec).unwrap_err().to_string()
    });
    assert!(found.contains("4096 bytes; at most 4095"));
}

#[test]
fn the_plan_in_the_documentation_is_true() {
    let page = include_str!("../../../docs/image-format.md");
    let (_, rest) = page.split_once("<!-- plan -->\n").unwrap();
    let (documented, _) = rest.split_once("<!-- /plan -->").unwrap();
    let plan = with_spec(&example_root(), |spec| {
        image::plan(spec).unwrap().to_string()
    });
    let shown: String = plan.lines().map(|line| format!("    {line}\n")).collect();
    assert_eq!(documented, shown);
}

#[test]
fn damaged_bytes_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.img");
    let report = assemble(&example_root(), &path);
    let esp = report.plan.parts[3].offset;
    let good = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut runner = TestRunner::default();
    // MBR and GPT; boot sector of the FAT; the FAT and the directories.
    let places = prop_oneof![0..2048u64, esp..esp + 512, esp + 512..esp + 45_000];
    let changes = proptest::collection::vec((places, 0u8..), 1..4);
    let result = runner.run(&changes, |changes| {
        for &(at, byte) in &changes {
            file.write_all_at(&[byte], at).unwrap();
        }
        if let Ok(image) = DiskImage::open(&path) {
            let _ = image.root_entries().unwrap().next_entry();
        }
        for &(at, _) in &changes {
            file.write_all_at(&good[at as usize..][..1], at).unwrap();
        }
        Ok(())
    });
    result.unwrap();
    DiskImage::open(&path).unwrap();
}

#[test]
fn contradicting_plans_are_refused() {
    let part = |name: &str, offset, size| Part {
        name: name.into(),
        offset,
        size,
        parts: Vec::new(),
    };
    let check = |parts: Vec<Part>| Plan { size: 4096, parts }.validate();
    assert_eq!(check(vec![part("a", 0, 512), part("b", 512, 3584)]), Ok(()));
    let overlap = check(vec![part("a", 0, 513), part("b", 512, 1)]);
    assert!(matches!(
        overlap,
        Err(PlanError::Overlap { offset: 512, .. })
    ));
    let outside = check(vec![part("a", 3584, 513)]);
    assert!(matches!(outside, Err(PlanError::Outside { end: 4097, .. })));
    let unaligned = check(vec![part("a", 100, 1)]);
    assert!(matches!(
        unaligned,
        Err(PlanError::Unaligned { offset: 100, .. })
    ));
    let mut outer = part("a", 512, 512);
    outer.parts.push(part("b", 0, 512));
    assert!(matches!(check(vec![outer]), Err(PlanError::Outside { .. })));
}
