//! Lines in any pieces, and bodies that are hostile or broken.

use std::io::Write as _;

use axum::http::HeaderValue;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::*;

fn headers(codings: &[&str]) -> HeaderMap {
    codings.iter().map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap())).collect()
}

fn pack(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// What is read of a body that comes in pieces of a size: the lines, and how it ends.
fn read(codings: &[&str], body: &[u8], size: usize) -> (Vec<String>, Result<(), u16>) {
    let status = |refusal: Refusal| refusal.status.as_u16();
    let mut lines = match Lines::of(&headers(codings)) {
        Ok(lines) => lines,
        Err(refusal) => return (Vec::new(), Err(status(refusal))),
    };
    let mut all = Vec::new();
    for piece in body.chunks(size) {
        lines.came(Bytes::copy_from_slice(piece));
        loop {
            match lines.next() {
                Ok(Some(line)) => all.push(String::from_utf8(line).unwrap()),
                Ok(None) => break,
                Err(refusal) => return (all, Err(status(refusal))),
            }
        }
    }
    (all, lines.end().map_err(status))
}

#[test]
fn lines_are_the_same_in_any_coding_and_any_pieces() {
    let text: String = (0..2_000).map(|number| format!("[{number},\"{}\"]\n", number * 7_919 % 10_007)).collect();
    let expected: Vec<String> = text.split_inclusive('\n').map(ToOwned::to_owned).collect();
    for size in [1, 7, 4_096, usize::MAX] {
        for (codings, body) in
            [(&[][..], text.clone().into_bytes()), (&["identity"], text.clone().into_bytes()), (&["Deflate"], pack(text.as_bytes()))]
        {
            assert_eq!(read(codings, &body, size), (expected.clone(), Ok(())), "{codings:?} by {size}");
        }
    }
    assert_eq!(read(&["deflate"], &pack(b""), 9), (Vec::new(), Ok(())));
}

#[test]
fn a_line_is_read_when_it_was_flushed() {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut lines = Lines::of(&headers(&["deflate"])).unwrap();
    for line in ["one\n", "two\n", "two\n"] {
        encoder.write_all(line.as_bytes()).unwrap();
        encoder.flush().unwrap();
        lines.came(std::mem::take(encoder.get_mut()).into());
        assert_eq!(lines.next().unwrap().unwrap(), line.as_bytes());
        assert_eq!(lines.next(), Ok(None));
    }
    lines.came(encoder.finish().unwrap().into());
    assert_eq!(lines.next(), Ok(None));
    assert_eq!(lines.end(), Ok(()));
}

#[test]
fn what_an_honest_edge_sends_is_no_bomb() {
    let name = "n".repeat(countersign_pdp_engine::record::EDGE_NAME);
    let line = |number| format!("[{number},3,\"{name}\",\"{name}\",1,3,0,3]");
    let batch = |number| (0..512).map(|at| line(number * 512 + at)).collect::<Vec<_>>().join(",");
    let text: String = (0..8).map(|number| format!("{}\n", batch(number))).collect();
    let packed = pack(text.as_bytes());
    assert!(text.len() > GRACE * 4 && text.len() > packed.len() * 50, "{} of {}", packed.len(), text.len());
    assert_eq!(read(&["deflate"], &packed, 4_096).1, Ok(()));
}

#[test]
fn bombs_are_refused_before_they_are_unpacked() {
    // A thousand times what is sent, as lines and as one line.
    assert_eq!(read(&["deflate"], &pack(&b"a\n".repeat(1 << 20)), usize::MAX).1, Err(413));
    assert_eq!(read(&["deflate"], &pack(&vec![b'a'; 64 << 20]), usize::MAX).1, Err(413));
    let mut lines = Lines::of(&headers(&["deflate"])).unwrap();
    let bomb = pack(&vec![b'\n'; 64 << 20]);
    lines.came(bomb.into());
    let mut count = 0;
    while let Ok(Some(_)) = lines.next() {
        count += 1;
    }
    assert!(count <= MOST && lines.read <= MOST + PIECE, "{count} lines of {} bytes", lines.read);
    // A thin one, which is more than may be sent at all, and a long line without an end.
    let text: String = (0..1_000_000_u64).map(|number| format!("{}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    assert_eq!(read(&["deflate"], &pack(text.as_bytes()), 65_536).1, Err(413));
    assert_eq!(read(&[], text.as_bytes(), 65_536).1, Err(413));
    assert_eq!(read(&[], &vec![b'a'; BATCH.bytes + 1], 65_536).1, Err(413));
}

#[test]
fn broken_streams_are_malformed() {
    let packed = pack(b"one\ntwo\n");
    for end in 1..packed.len() {
        assert_eq!(read(&["deflate"], &packed[..end], usize::MAX).1, Err(400), "cut at {end}");
    }
    let mut other_sum = packed.clone();
    *other_sum.last_mut().unwrap() ^= 1;
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &packed[2..]].concat();
    for body in [other_sum, gzip, b"one\ntwo\n".to_vec(), [&packed[..], b"x"].concat(), [&packed[..], &packed].concat()] {
        assert_eq!(read(&["deflate"], &body, usize::MAX).1, Err(400), "{body:?}");
        assert_eq!(read(&["deflate"], &body, 1).1, Err(400), "{body:?}");
    }
    assert_eq!(read(&["deflate"], &pack(b"one\ntwo"), 5), (vec!["one\n".to_owned()], Err(400)));
    assert_eq!(read(&[], b"one\ntwo", 5), (vec!["one\n".to_owned()], Err(400)));
    assert_eq!(read(&["deflate"], b"", 1).1, Err(400), "there is no stream");
}

#[test]
fn other_codings_and_two_of_them_are_not_read() {
    for codings in
        [&["gzip"][..], &["br"], &["deflate, deflate"], &["deflate", "deflate"], &["identity", "deflate"], &["gzip, deflate"], &[""]]
    {
        assert_eq!(read(codings, &pack(b"one\n"), 9).1, Err(415), "{codings:?}");
    }
}
