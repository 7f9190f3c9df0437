//! Hostile archives, each by its name (BND-01), and the forms that honest tools write.

use tar::{EntryType, Header};

use super::super::tests::{Packed, gzip};
use super::*;

#[track_caller]
fn refused(packed: Packed, expected: &str) {
    let said = read(&packed.gz()).unwrap_err().to_string();
    assert!(said.contains(expected), "{said}");
}

fn names(packed: Packed) -> Vec<String> {
    read(&packed.gz()).unwrap().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn names_as_tools_write_them() {
    let packed = Packed::new()
        .entry("./", EntryType::Directory, b"")
        .entry("./a/", EntryType::Directory, b"")
        .file("./a/data.json", "{}")
        .file("/b.rego", "package b")
        .file(".manifest", "{}");
    assert_eq!(names(packed), ["a/data.json", "b.rego", ".manifest"]);
}

#[test]
fn a_path_out_of_the_bundle() {
    for name in [
        "../x.rego",
        "a/../../x.rego",
        "/../x.rego",
        "//x.rego",
        "a//x.rego",
        "a/./x.rego",
        "..\\x.rego",
        "c:/x.rego",
        "a\n/x.rego",
        "x. /a.rego",
    ] {
        refused(Packed::new().file(name, ""), "is not a path within the bundle");
    }
    refused(Packed::new().entry("../up/", EntryType::Directory, b""), "is not a path within");
    refused(Packed::new().file(&format!("{}x.rego", "d/".repeat(20)), ""), "is not a path within");
}

#[test]
fn an_absolute_path_is_only_a_name_that_does_not_belong() {
    refused(Packed::new().file("/etc/passwd", "root"), "does not belong into a bundle");
}

#[test]
fn a_link_a_pipe_a_device() {
    refused(Packed::new().entry("data.json", EntryType::Symlink, b""), "a symbolic link");
    refused(Packed::new().entry("data.json", EntryType::Link, b""), "a hard link");
    refused(Packed::new().entry("data.json", EntryType::Fifo, b""), "a pipe");
    refused(Packed::new().entry("data.json", EntryType::Char, b""), "a device");
    refused(Packed::new().entry("data.json", EntryType::Block, b""), "a device");
    refused(Packed::new().entry("data.json", EntryType::GNUSparse, b""), "a sparse file");
    refused(Packed::new().entry("data.json", EntryType::new(b'Z'), b""), "not known");
}

#[test]
fn a_file_that_sets_the_user() {
    refused(Packed::new().with(|header| header.set_mode(0o4755), "x.rego", b""), "would set the user");
    refused(Packed::new().with(|header| header.set_mode(0o2755), "x.rego", b""), "would set the user");
}

#[test]
fn a_name_twice_or_in_two_cases() {
    refused(Packed::new().file("x.rego", "package a").file("x.rego", "package b"), "twice");
    refused(Packed::new().file("x.rego", "package a").file("./x.rego", "package b"), "twice");
    refused(Packed::new().file("a/x.rego", "package a").file("A/x.rego", "package b"), "case");
}

#[test]
fn a_name_that_does_not_belong() {
    refused(Packed::new().file("README.md", ""), "does not belong");
    refused(Packed::new().file("a/.manifest", "{}"), "does not belong");
    refused(Packed::new().file("x.json", "{}"), "does not belong");
    refused(Packed::new().file(".rego", ""), "does not belong");
    refused(Packed::new().file("data.yaml", "a: b"), "give the document as `data.json`");
    refused(Packed::new().file("policy.wasm", ""), "target `rego`");
    refused(Packed::new().file("plan.json", ""), "target `rego`");
    refused(Packed::new().file("patch.json", "{}"), "delta");
    let mut header = Packed::header(b"\xff.rego", EntryType::Regular, 0);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, &[][..]).unwrap();
    assert!(matches!(read(&gzip(&builder.into_inner().unwrap())), Err(ArchiveError::Name)));
}

#[test]
fn a_hundred_thousand_entries() {
    let mut builder = tar::Builder::new(Vec::new());
    for at in 0..MOST_ENTRIES + 1 {
        builder.append(&Packed::header(format!("{at}/").as_bytes(), EntryType::Directory, 0), &[][..]).unwrap();
    }
    assert!(matches!(read(&gzip(&builder.into_inner().unwrap())), Err(ArchiveError::TooMany | ArchiveError::Bomb)));
}

#[test]
fn a_bomb_of_a_thousand_to_one() {
    let zeros = vec![b' '; 20 * 1024 * 1024];
    let packed = Packed::new().entry("data.json", EntryType::Regular, &zeros).gz();
    assert!(zeros.len() / packed.len() > 900);
    assert!(matches!(read(&packed), Err(ArchiveError::Bomb)));
    // The same behind the end of the archive, where nobody would look.
    let mut tar = Packed::new().file("data.json", "{}").tar();
    tar.extend(vec![0; 20 * 1024 * 1024]);
    assert!(matches!(read(&gzip(&tar)), Err(ArchiveError::Bomb)));
}

#[test]
fn a_header_that_announces_eight_gibibytes() {
    let mut bytes = Packed::header(b"data.json", EntryType::Regular, 8 << 30).as_bytes().to_vec();
    bytes.extend([0; 1024]);
    assert!(matches!(read(&gzip(&bytes)), Err(ArchiveError::Bomb)));
}

#[test]
fn a_size_that_is_not_there() {
    let mut bytes = Packed::header(b"data.json", EntryType::Regular, 4096).as_bytes().to_vec();
    bytes.extend(b"{}");
    assert!(matches!(read(&gzip(&bytes)), Err(ArchiveError::Short(_) | ArchiveError::Broken(_))));
}

fn pax(records: &str) -> Vec<u8> {
    let record = |text: &str| {
        let (mut length, body) = (text.len() + 2, format!(" {text}\n"));
        length += length.to_string().len();
        format!("{length}{body}")
    };
    records.split(';').map(record).collect::<String>().into_bytes()
}

#[test]
fn an_extension_that_changes_the_next_entry() {
    for record in ["size=1", "linkpath=/etc/passwd", "GNU.sparse.major=1"] {
        let packed = Packed::new().entry("pax", EntryType::XHeader, &pax(record)).file("data.json", "{}");
        refused(packed, "by which readers would differ");
        let packed = Packed::new().entry("pax", EntryType::XGlobalHeader, &pax(record)).file("data.json", "{}");
        refused(packed, "by which readers would differ");
    }
    // What Python and macOS write: times and attributes, which say nothing about the content.
    let packed = Packed::new().entry("pax", EntryType::XHeader, &pax("mtime=1.5;LIBARCHIVE.xattr.a=b")).file("data.json", "{}");
    assert_eq!(names(packed), ["data.json"]);
}

#[test]
fn a_long_name_is_checked_like_any_other() {
    let long = format!("{}/x.rego", "d".repeat(120));
    let packed =
        Packed::new().entry("././@LongLink", EntryType::GNULongName, format!("{long}\0").as_bytes()).file("short.rego", "package a");
    assert_eq!(names(packed), std::slice::from_ref(&long));
    let packed = Packed::new().entry("pax", EntryType::XHeader, &pax(&format!("path={long}"))).file("short.rego", "package a");
    assert_eq!(names(packed), [long]);
    let hidden = Packed::new().entry("././@LongLink", EntryType::GNULongName, b"../x.rego\0").file("x.rego", "package a");
    refused(hidden, "is not a path within");
    refused(Packed::new().entry("././@LongLink", EntryType::GNULongName, b"x.rego\0"), "ends before");
}

#[test]
fn something_behind_the_end() {
    let mut tar = Packed::new().file("data.json", "{}").tar();
    tar.extend(Packed::new().file("hidden.rego", "package a").tar());
    assert!(matches!(read(&gzip(&tar)), Err(ArchiveError::Trailing)));
    let mut two = Packed::new().file("data.json", "{}").gz();
    two.extend(Packed::new().file("hidden.rego", "package a").gz());
    assert!(matches!(read(&two), Err(ArchiveError::Trailing)));
}

#[test]
fn a_stream_that_is_damaged() {
    let whole = Packed::new().file("data.json", "{}").gz();
    assert!(matches!(read(&whole[..whole.len() - 4]), Err(ArchiveError::Broken(_))));
    let mut wrong = whole.clone();
    let at = whole.len() - 6;
    wrong[at] ^= 1;
    assert!(matches!(read(&wrong), Err(ArchiveError::Broken(_))), "a wrong sum");
    assert!(read(b"not gzip").is_err());
    let mut header: Header = Packed::header(b"data.json", EntryType::Regular, 0);
    header.as_mut_bytes()[0] = b'D';
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend([0; 1024]);
    assert!(matches!(read(&gzip(&bytes)), Err(ArchiveError::Broken(_))), "a wrong sum of a header");
}

#[test]
fn no_damage_makes_it_panic() {
    let tar = Packed::new()
        .entry("pax", EntryType::XHeader, &pax("mtime=1.5"))
        .file("a/data.json", "{\"k\": 1}")
        .file("x.rego", "package x")
        .tar();
    for at in 0..tar.len() {
        for bit in [0x01, 0x80] {
            let mut damaged = tar.clone();
            damaged[at] ^= bit;
            let _ = entries(&mut Archive::new(&damaged[..]));
        }
        let _ = entries(&mut Archive::new(&tar[..at]));
    }
}

#[test]
fn an_archive_that_is_too_large_to_begin_with() {
    assert!(matches!(read(&vec![0; LARGEST + 1]), Err(ArchiveError::TooLarge)));
}
