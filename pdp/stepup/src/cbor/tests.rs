//! Well-formed items, and those that are built to hurt a reader.

use super::*;

#[track_caller]
fn check(bytes: &[u8], left: Option<usize>) {
    let mut reader = Reader::new(bytes);
    assert_eq!(reader.skip().map(|()| reader.0.len()), left, "{:02x?}", &bytes[..bytes.len().min(12)]);
}

#[test]
fn one_item_is_passed_over() {
    check(b"\x00", Some(0));
    check(b"\x18\xff\x00", Some(1));
    check(b"\x38\x18", Some(0));
    check(b"\xf5\xf5", Some(1));
    check(b"\xfb\0\0\0\0\0\0\0\0", Some(0));
    check(b"\x63abc", Some(0));
    check(b"\x58\x02ab!", Some(1));
    check(b"\xa2\x01\x02\x63fmt\x82\x01\x02", Some(0));
}

#[test]
fn what_is_cut_off_or_foreign_is_refused() {
    for bytes in [&b""[..], b"\x18", b"\x63ab", b"\x82\x01", b"\xa1\x01", b"\x1c", b"\x5f\x41a\xff", b"\x9f\xff", b"\xbf\xff", b"\xc0\x00"]
    {
        check(bytes, None);
    }
}

#[test]
fn bombs_end_at_once() {
    check(&[0x81; 1_000_000], None);
    check(b"\x5a\xff\xff\xff\xff", None);
    check(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", None);
    check(b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", None);
    check(b"\x9a\xff\xff\xff\xff\x00\x00", None);
}

#[test]
fn an_item_of_another_kind_is_not_read() {
    assert_eq!(Reader::new(b"\x41a").text(), None);
    assert_eq!(Reader::new(b"\x61\xff").text(), None);
    assert_eq!(Reader::new(b"\x61a").bytes(), None);
    assert_eq!(Reader::new(b"\x81\x01").map(), None);
    assert_eq!(Reader::new(b"\xa1\x01\x02").map(), Some(1));
}
