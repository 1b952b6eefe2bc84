//! What was found, for people.

use super::Subject;
use crate::output::mib;
use image::ByteRange;
use inspect::{
    Diff, Entry, Extracted, Inspected, Kind, PartitionChange, SizeChange, VersionChange, printable,
};
use manifest::{Application, Library, Package};
use std::fmt::Write as _;
use std::path::Path;

/// Paths of users of a library that are shown; the rest is counted.
const USERS_SHOWN: usize = 2;

/// What a line of the overview begins with.
const INDENT: &str = "  ";

/// Everything in short. With the width of a terminal, sizes have bars.
pub(super) fn overview(subject: &Subject<'_>, columns: Option<usize>) -> String {
    let inspected = &subject.inspected;
    let sections = [
        head(subject),
        section("Size by part", &parts(inspected, columns)),
        section(
            "Applications",
            &applications(&inspected.manifest.applications, columns),
        ),
        section("Libraries", &libraries(&inspected.manifest.libraries)),
        section("Boot", &boot(inspected)),
    ];
    sections.join("\n").trim_end().to_owned()
}

fn head(subject: &Subject<'_>) -> String {
    let inspected = &subject.inspected;
    let manifest = &inspected.manifest;
    let mut text = format!(
        "{}: {} {} on ERTS {}",
        subject.path.display(),
        printable(&manifest.release.name),
        printable(&manifest.release.version),
        printable(&manifest.runtime.version)
    );
    match (inspected.image, inspected.osv) {
        (None, Some(osv)) => {
            let size = osv.size().map_or_else(|_| "unknown size".into(), mib);
            let format = osv.medium().format();
            let _ = writeln!(text, ", a disk of {size} ({format})");
        }
        (Some(image), _) => {
            let format = image.medium().format();
            let packed = if image.medium().is_packed() {
                ", compressed as a whole"
            } else {
                ""
            };
            let size = mib(image.size());
            let _ = writeln!(text, ", a disk of {size} ({format}{packed})");
        }
        (None, None) => text.push_str(", what an image would hold\n"),
    }
    if inspected.inferred {
        text.push_str("no manifest: an older image; this is what its files tell\n");
    } else if inspected.image.is_some() || inspected.osv.is_some() {
        let _ = writeln!(
            text,
            "made by unibeam {}, digest {}",
            printable(&manifest.unibeam),
            printable(&manifest.digest)
        );
    }
    if let Some(base) = &manifest.base {
        let (family, version) = (printable(&base.family), printable(&base.version));
        let _ = writeln!(text, "boots {family} {version}");
    }
    text
}

fn section(title: &str, rows: &[String]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let rows: String = rows.iter().map(|row| format!("{INDENT}{row}\n")).collect();
    format!("{title}\n{rows}")
}

fn parts(inspected: &Inspected<'_>, columns: Option<usize>) -> Vec<String> {
    let parts = inspected.sizes.iter().filter(|part| part.size > 0);
    let rows: Vec<_> = parts
        .map(|part| (part.part.to_owned(), part.size))
        .collect();
    chart(&rows, columns)
}

fn applications(applications: &[Application], columns: Option<usize>) -> Vec<String> {
    let name = |app: &Application| printable(&app.name);
    let width = applications
        .iter()
        .map(|app| name(app).chars().count())
        .max();
    let width = width.unwrap_or_default();
    let label = |app: &Application| format!("{:width$}  {}", name(app), printable(&app.version));
    let rows: Vec<_> = applications
        .iter()
        .map(|app| (label(app), app.size))
        .collect();
    chart(&rows, columns)
}

/// Rows of a label and a size, with bars if there is a width for them.
fn chart(rows: &[(String, u64)], columns: Option<usize>) -> Vec<String> {
    let label_width = rows.iter().map(|(label, _)| label.chars().count()).max();
    let label_width = label_width.unwrap_or_default();
    let size_width = rows
        .iter()
        .map(|(_, size)| mib(*size).len())
        .max()
        .unwrap_or_default();
    let most = rows.iter().map(|(_, size)| *size).max().unwrap_or_default();
    let used = INDENT.len() + label_width + 2 + size_width + 2;
    let room = columns.map_or(0, |columns| columns.saturating_sub(used + 1));
    let row = |(label, size): &(String, u64)| {
        let text = format!("{label:label_width$}  {:>size_width$}", mib(*size));
        match bar(*size, most, room) {
            bar if bar.is_empty() => text,
            bar => format!("{text}  {bar}"),
        }
    };
    rows.iter().map(row).collect()
}

/// Blocks of one to seven eighths of a column (Unicode, "Block Elements").
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A bar for `size`, of at most `room` columns for the size of `most`.
fn bar(size: u64, most: u64, room: usize) -> String {
    let eighths = u128::from(size) * (8 * room as u128) / u128::from(most.max(1));
    let (full, part) = (eighths / 8, eighths % 8);
    "█".repeat(full as usize) + EIGHTHS[part as usize]
}

fn libraries(libraries: &[Library]) -> Vec<String> {
    let origin = |package: &Package| format!(" from {} {}", package.name, package.version);
    let rows = libraries.iter().flat_map(|library| {
        let package = library.package.as_ref().map(origin).unwrap_or_default();
        let path = &library.path;
        [
            printable(format!("{path}  {}{package}", mib(library.size))),
            printable(format!("{INDENT}needed by {}", users(&library.needed_by))),
        ]
    });
    rows.collect()
}

fn users(paths: &[String]) -> String {
    let shown = paths.len().min(USERS_SHOWN);
    let rest = paths.len() - shown;
    let mut text = paths[..shown].join(", ");
    match (shown, rest) {
        (0, _) => text.push_str("nothing here by name"),
        (_, 0) => {}
        (_, rest) => {
            let _ = write!(text, " and {rest} more");
        }
    }
    text
}

fn boot(inspected: &Inspected<'_>) -> Vec<String> {
    let boot = &inspected.manifest.boot;
    let fields = [
        ("command line", boot.command_line.clone()),
        ("program", boot.program.clone()),
        ("beside", boot.beside.join(" ")),
        ("directory", boot.directory.clone()),
        ("host name", boot.host_name.clone()),
        ("environment", boot.environment.join(" ")),
    ];
    let known = fields.into_iter().filter(|(_, value)| !value.is_empty());
    known
        .map(|(name, value)| format!("{name:<12}  {}", printable(value)))
        .collect()
}

/// A line of the list, in the manner of `ls -l`.
pub(super) fn entry(entry: &Entry) -> String {
    let (kind, target) = match &entry.kind {
        Kind::File => ('-', String::new()),
        Kind::Directory => ('d', String::new()),
        Kind::Symlink(target) => ('l', format!(" -> {}", printable(target))),
        Kind::Special(_) => ('?', String::new()),
    };
    let path = printable(&entry.path);
    format!(
        "{kind}{:04o} {:>10} /{path}{target}",
        entry.mode, entry.size
    )
}

pub(super) fn extracted(extracted: Extracted, folder: &Path) -> String {
    let Extracted { files, bytes } = extracted;
    format!("{}: {files} files, {}", folder.display(), mib(bytes))
}

pub(super) fn diff(diff: &Diff) -> String {
    if diff.is_empty() {
        return "no difference".into();
    }
    let boot = diff.boot.iter().map(|change| {
        let (old, new) = (printable(&change.old), printable(&change.new));
        match old == new {
            true => format!("{}: {new:?}, changed in what is not shown", change.field),
            false => format!("{}: {old:?} -> {new:?}", change.field),
        }
    });
    let files = diff.files.iter().map(|file| {
        let delta = signed(file.old_size.unwrap_or(0), file.new_size.unwrap_or(0));
        let mark = mark(file.old_size.is_some(), file.new_size.is_some());
        format!("{mark} {} ({delta})", file.path)
    });
    let sections = [
        section("Versions", &versions(&diff.versions)),
        section("Applications", &versions(&diff.applications)),
        section("Libraries", &versions(&diff.libraries)),
        section("Boot", &boot.collect::<Vec<_>>()),
        section("Kernel", &another(diff.kernel_changed)),
        section("Boot code", &another(diff.boot_code_changed)),
        section("Digest", &another(diff.digest_changed)),
        section("Partitions", &partitions(&diff.partitions)),
        section("Sizes", &size_changes(&diff.sizes)),
        section("Files", &files.collect::<Vec<_>>()),
    ];
    let said: Vec<_> = sections
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    said.join("\n").trim_end().to_owned()
}

fn another(changed: Option<bool>) -> Vec<String> {
    let said = changed.filter(|&changed| changed);
    said.map(|_| "another one".to_owned()).into_iter().collect()
}

fn mark(before: bool, after: bool) -> char {
    match (before, after) {
        (false, _) => '+',
        (_, false) => '-',
        _ => '~',
    }
}

fn versions(changes: &[VersionChange]) -> Vec<String> {
    let rows = changes.iter().map(|VersionChange { name, old, new }| {
        let mark = mark(old.is_some(), new.is_some());
        let sides: Vec<_> = [old, new]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        format!(
            "{mark} {} {}",
            printable(name),
            printable(sides.join(" -> "))
        )
    });
    rows.collect()
}

fn size_changes(changes: &[SizeChange]) -> Vec<String> {
    let rows = changes.iter().map(|SizeChange { part, old, new }| {
        format!(
            "{part}: {} -> {} ({})",
            mib(*old),
            mib(*new),
            signed(*old, *new)
        )
    });
    rows.collect()
}

fn partitions(changes: &[PartitionChange]) -> Vec<String> {
    let place = |range: &ByteRange| format!("{} bytes at {}", range.size, range.offset);
    let rows = changes.iter().map(|PartitionChange { name, old, new }| {
        let sides: Vec<_> = [old, new].into_iter().flatten().map(place).collect();
        let mark = mark(old.is_some(), new.is_some());
        format!("{mark} {name}: {}", sides.join(" -> "))
    });
    rows.collect()
}

/// A difference in bytes.
fn signed(old: u64, new: u64) -> String {
    format!("{:+} bytes", i128::from(new) - i128::from(old))
}

#[cfg(test)]
mod tests {
    use super::{bar, chart, users};

    #[test]
    fn bars_fill_the_terminal_and_no_more() {
        let rows = [
            ("a".to_owned(), 3 << 20),
            ("long name".to_owned(), 1 << 20),
            ("no".to_owned(), 0),
        ];
        let plain = chart(&rows, None);
        assert_eq!(
            plain,
            [
                "a          3.0 MiB",
                "long name  1.0 MiB",
                "no         0.0 MiB"
            ]
        );
        let drawn = chart(&rows, Some(40));
        assert!(
            drawn.iter().all(|row| row.chars().count() <= 40 - 3),
            "{drawn:?}"
        );
        assert_eq!(drawn[0].matches('█').count(), 17);
        assert_eq!(drawn[1].matches('█').count(), 5);
        assert_eq!(drawn[2], plain[2]);
        assert_eq!(chart(&rows, Some(5)), plain);
    }

    #[test]
    fn small_sizes_have_thin_bars() {
        assert_eq!(bar(1, 8, 1), "▏");
        assert_eq!(bar(u64::MAX, u64::MAX, 2), "██");
        assert_eq!(bar(0, 0, 9), "");
    }

    #[test]
    fn many_users_are_counted() {
        let paths = |count: usize| vec!["/x".to_owned(); count];
        assert_eq!(users(&paths(2)), "/x, /x");
        assert_eq!(users(&paths(5)), "/x, /x and 3 more");
        assert_eq!(users(&[]), "nothing here by name");
    }
}
