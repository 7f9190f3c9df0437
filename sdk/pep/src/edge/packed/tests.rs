//! Every line arrives at once, and answers are no bombs.

use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderValue;
use http_body_util::BodyExt as _;

use super::*;

fn pack(plain: &[u8]) -> Bytes {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap().into()
}

#[tokio::test]
async fn each_line_can_be_read_when_its_frame_is_there() {
    let (lines, sent) = mpsc::channel(4);
    let (mut packed, mut reader) = (Packed::new(sent), Decompress::new(true));
    let text = |number: usize| format!("{{\"life\":\"00000000000000aa\",\"batch\":{number},\"of\":[\"main.1.1\"]}}\n");
    let mut sizes = Vec::new();
    for number in 1..=20 {
        lines.send(text(number).into()).await.unwrap();
        let frame = packed.frame().await.unwrap().unwrap().into_data().unwrap();
        let mut plain = Vec::with_capacity(1_024);
        assert_eq!(reader.decompress_vec(&frame, &mut plain, FlushDecompress::None).unwrap(), Status::Ok);
        assert_eq!(String::from_utf8(plain).unwrap(), text(number));
        sizes.push(frame.len());
    }
    assert!(sizes[1..].iter().all(|size| *size < text(20).len() / 2), "what was said before is not said again: {sizes:?}");
    drop(lines);
    let end = packed.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(reader.decompress_vec(&end, &mut Vec::with_capacity(8), FlushDecompress::None).unwrap(), Status::StreamEnd);
    assert!(packed.frame().await.is_none() && http_body::Body::is_end_stream(&packed));
}

#[test]
fn answers_are_unpacked_within_bounds() {
    let unpack = |codings: &[&'static str], body: Bytes| {
        let headers = codings.iter().map(|coding| (CONTENT_ENCODING, HeaderValue::from_static(coding))).collect();
        unpacked(&headers, body, 1_000)
    };
    let answer = Bytes::from("{\"decision\":true}".repeat(50));
    assert_eq!(unpack(&[], answer.clone()), Some(answer.clone()));
    assert_eq!(unpack(&["deflate"], pack(&answer)), Some(answer.clone()));
    assert_eq!(unpack(&["deflate"], pack(&[b'a'; 1_000])), Some(Bytes::from(vec![b'a'; 1_000])));
    let packed = pack(&answer);
    let refused = [
        (&["deflate"][..], pack(&[b'a'; 1_001])),
        (&["deflate"], pack(&vec![b'a'; 10 << 20])),
        (&["deflate"], packed.slice(..packed.len() - 1)),
        (&["deflate"], [&packed[..], b"x"].concat().into()),
        (&["deflate"], answer),
        (&["gzip"], packed.clone()),
        (&["deflate, deflate"], packed.clone()),
        (&["deflate", "deflate"], packed),
    ];
    for (codings, body) in refused {
        assert_eq!(unpack(codings, body), None, "{codings:?}");
    }
}
