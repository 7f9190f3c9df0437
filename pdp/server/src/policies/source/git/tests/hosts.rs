//! Hosts that serve a repository by HTTP, and hosts that lie, break off, go on without end or say nothing. Whatever they do, what was fetched before is there.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;
use crate::git::testing::{Asked, Host, WORK, backend, read};
use crate::tls::tests::Authority;

/// Long enough for a busy machine, short enough for a test that waits for its end.
const PATIENT: Bounds =
    Bounds { within: Duration::from_secs(60), listed: 1 << 20, received: 8 << 20, objects: 10_000, object: 1 << 20, unpacked: 8 << 20 };
const SHORT: Bounds = Bounds { within: Duration::from_secs(3), ..PATIENT };

fn elsewhere(kit: &Kit, url: &str, trusted: Option<CommitId>, bounds: Bounds) -> Git {
    bounded(kit.settings(url), kit.at("mirror"), trusted, bounds).unwrap()
}

#[test]
fn a_branch_is_fetched_when_it_moved_and_only_then() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    let host = Host::start(&kit.at(""));
    let mut git = elsewhere(&kit, &host.url, None, PATIENT);
    offered(&mut git, first);
    assert!(matches!(git.look(), Look::Nothing));
    assert_eq!(host.fetches(), 1, "nothing moved");
    let body = |asked: &Asked| String::from_utf8_lossy(&asked.body).into_owned();
    let listed = host.asked.lock().unwrap().iter().map(body).find(|asked| asked.contains("ls-refs")).unwrap();
    assert!(listed.contains("ref-prefix refs/heads/main\n"), "only what is followed is asked for: {listed}");
    let second = kit.commit("package two", Some("ann"));
    let offer = offered(&mut git, second);
    assert_eq!(offer.files, [("a.rego".to_owned(), b"package two".to_vec())]);
    let fetch = body(host.asked.lock().unwrap().iter().rfind(|asked| asked.is_fetch()).unwrap());
    assert!(fetch.contains(&format!("want {second}")) && fetch.contains(&format!("have {first}")), "{fetch}");
    // A restart finds what was fetched, and goes on from there.
    offered(&mut elsewhere(&kit, &host.url, Some(second), PATIENT), second);
    assert_eq!(host.fetches(), 2);
}

#[test]
fn a_damaged_mirror_heals() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    let host = Host::start(&kit.at(""));
    offered(&mut elsewhere(&kit, &host.url, None, PATIENT), first);
    for pack in fs::read_dir(kit.at("mirror/objects/pack")).unwrap() {
        fs::remove_file(pack.unwrap().path()).unwrap();
    }
    let mut git = elsewhere(&kit, &host.url, None, PATIENT);
    assert!(matches!(git.look(), Look::Failed(_)));
    offered(&mut git, first);
    fs::write(kit.at("mirror/HEAD"), "nonsense").unwrap();
    offered(&mut elsewhere(&kit, &host.url, None, PATIENT), first);
    // Whatever else lies there is nobody's to delete.
    fs::create_dir(kit.at("other")).unwrap();
    fs::write(kit.at("other/precious"), "x").unwrap();
    let mut git = bounded(kit.settings(&host.url), kit.at("other"), None, PATIENT).unwrap();
    refused(&mut git, "holds something else");
    assert!(kit.at("other/precious").exists());
}

#[test]
fn tags_and_commits_are_fetched_too() {
    let kit = scene();
    let first = kit.commit("package one", None);
    kit.tag("live", Some("ann"));
    let second = kit.commit("package two", Some("ann"));
    let host = Host::start(&kit.at(""));
    let follow = |follow: Follow, mirror: &str| {
        let settings = Settings { follow, ..kit.settings(&host.url) };
        bounded(settings, kit.at(mirror), None, PATIENT).unwrap()
    };
    offered(&mut follow(Follow::Tag("live".to_owned()), "a"), first);
    let mut pinned = follow(Follow::Commit(second.to_string()), "b");
    offered(&mut pinned, second);
    assert!(matches!(pinned.look(), Look::Nothing));
    refused(&mut follow(Follow::Branch("other".to_owned()), "c"), "has no `refs/heads/other`");
}

#[test]
fn a_token_is_sent_and_read_again() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    let host = Host::start(&kit.at(""));
    let only = |authorization: &'static str| {
        host.twist(move |asked, answer, stream| {
            let refusal = b"HTTP/1.1 401 No\r\nwww-authenticate: Basic\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let sent = crate::git::testing::header(&asked.headers, "authorization");
            stream.write_all(if sent.as_deref() == Some(authorization) { &answer } else { refusal }).unwrap();
        });
    };
    only("Bearer secret-token");
    let settings = Settings { token: Some(kit.at("token")), ..kit.settings(&host.url) };
    let mut git = bounded(settings, kit.at("mirror"), None, PATIENT).unwrap();
    refused(&mut git, "cannot use the token");
    fs::write(kit.at("token"), "wrong\n").unwrap();
    refused(&mut git, "does not let us in (401)");
    fs::write(kit.at("token"), "secret-token\n").unwrap();
    offered(&mut git, first);
    only("Basic YW5uOnBhc3M=");
    fs::write(kit.at("token"), "ann:pass\n").unwrap();
    let second = kit.commit("package two", Some("ann"));
    offered(&mut git, second);
}

/// What a host does once, and how long that may take; after it the same mirror goes on as if nothing had been.
#[track_caller]
fn survives(why: &str, bounds: Bounds, twist: impl Fn(&Asked, Vec<u8>, &mut dyn Write) + Send + Sync + 'static) {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    let host = Host::start(&kit.at(""));
    offered(&mut elsewhere(&kit, &host.url, None, PATIENT), first);
    let second = kit.commit("package two", Some("ann"));
    host.twist(twist);
    let started = Stopwatch::start();
    match elsewhere(&kit, &host.url, Some(first), bounds).look() {
        Look::Refused { why: said, .. } | Look::Failed(said) => assert!(said.contains(why), "{said}"),
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(40), "it took {:?}", started.elapsed());
    // What was there before is there, and whole.
    let mirror = kit.at("mirror");
    let in_mirror = ["--git-dir", mirror.to_str().unwrap()];
    kit.git(&[&in_mirror[..], &["fsck", "--strict"]].concat());
    assert_eq!(kit.git(&[&in_mirror[..], &["rev-parse", "refs/countersign/kept"]].concat()), first.to_string());
    host.behave();
    offered(&mut elsewhere(&kit, &host.url, Some(first), PATIENT), second);
}

/// Writes until the other side is gone.
fn until_gone(stream: &mut dyn Write, bytes: &[u8]) {
    while stream.write_all(bytes).is_ok() {}
}

fn head(kind: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/x-git-upload-pack-{kind}\r\n\r\n").into_bytes()
}

fn line(bytes: &[u8]) -> Vec<u8> {
    [format!("{:04x}", bytes.len() + 4).as_bytes(), bytes].concat()
}

/// An answer to a fetch with a pack of whatever content.
fn packed(pack: &[u8]) -> Vec<u8> {
    let chunks = pack.chunks(60_000).map(|chunk| line(&[b"\x01", chunk].concat()));
    [head("result"), line(b"packfile\n"), chunks.collect::<Vec<_>>().concat(), b"0000".to_vec()].concat()
}

/// A host that answers a fetch with this pack, and is honest otherwise.
#[track_caller]
fn survives_pack(why: &str, pack: Vec<u8>) {
    survives(why, PATIENT, move |asked, answer, stream| {
        stream.write_all(&if asked.is_fetch() { packed(&pack) } else { answer }).unwrap();
    });
}

#[test]
fn a_redirect_is_not_followed() {
    survives("redirect (302)", PATIENT, |_, _, stream| {
        let there = b"HTTP/1.1 302 There\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(there).unwrap();
    });
}

#[test]
fn a_host_that_speaks_of_something_else() {
    survives("status 500", PATIENT, |_, _, stream| stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").unwrap());
    survives("header", PATIENT, |_, _, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi").unwrap();
    });
    survives("cannot be fetched", PATIENT, |_, _, stream| {
        stream.write_all(&[head("advertisement"), b"zzzz".to_vec()].concat()).unwrap();
    });
    survives("could not be asked", PATIENT, |_, _, stream| stream.write_all(b"\0\0\0\0").unwrap());
}

#[test]
fn an_answer_that_breaks_off() {
    for tenths in [3, 9] {
        survives("cannot be fetched", PATIENT, move |asked, answer, stream| {
            let end = if asked.is_fetch() { answer.len() * tenths / 10 } else { answer.len() };
            stream.write_all(&answer[..end]).unwrap();
        });
    }
}

#[test]
fn a_pack_that_is_not_what_it_says() {
    survives("cannot be fetched", PATIENT, |asked, mut answer, stream| {
        if asked.is_fetch() {
            let pack = answer.windows(4).position(|four| four == b"PACK").unwrap();
            answer[pack + 40] ^= 0x55;
        }
        stream.write_all(&answer).unwrap();
    });
    survives_pack("more than 10000 objects", [&b"PACK\0\0\0\x02\xff\xff\xff\xff"[..], &[0; 100]].concat());
    survives_pack("cannot be fetched", [&b"PACK\0\0\0\x02\0\0\x03\xe8"[..], &[0; 100]].concat());
    survives_pack("cannot be fetched", b"PACK".to_vec());
    survives_pack("cannot be fetched", vec![b'x'; 4096]);
    survives_pack("cannot be fetched", Vec::new());
}

/// The header of an object in a pack: its kind, and how long it is, seven bits at a time after the first four.
fn entry(kind: u8, mut size: u64) -> Vec<u8> {
    let mut first = (kind << 4) | u8::try_from(size & 15).unwrap();
    size >>= 4;
    let mut header = Vec::new();
    while size > 0 {
        header.push(first | 0x80);
        first = u8::try_from(size & 0x7f).unwrap();
        size >>= 7;
    }
    header.push(first);
    header
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    deflate.write_all(content).unwrap();
    deflate.finish().unwrap()
}

fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
    let head = [&b"PACK\0\0\0\x02"[..], &u32::try_from(objects.len()).unwrap().to_be_bytes()].concat();
    let all = [head, objects.concat()].concat();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &all);
    [&all, sum.as_ref()].concat()
}

const BLOB: u8 = 3;
const OFFSET_DELTA: u8 = 6;
const ID_DELTA: u8 = 7;

/// A length in a delta, seven bits at a time.
fn size(mut size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while size > 0x7f {
        bytes.push(u8::try_from(size & 0x7f).unwrap() | 0x80);
        size >>= 7;
    }
    bytes.push(u8::try_from(size).unwrap());
    bytes
}

/// How far back a base is.
fn back(mut distance: usize) -> Vec<u8> {
    let mut bytes = vec![(distance & 0x7f) as u8];
    distance >>= 7;
    while distance > 0 {
        distance -= 1;
        bytes.insert(0, 0x80 | (distance & 0x7f) as u8);
        distance >>= 7;
    }
    bytes
}

/// The id of a blob.
fn id(content: &[u8]) -> Vec<u8> {
    let whole = [format!("blob {}\0", content.len()).as_bytes(), content].concat();
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &whole).as_ref().to_vec()
}

/// A chain in which each object but the first is a copy of the one before with another end, and has a sibling: resolving one branch keeps the base of the
/// other.
fn forked(depth: u32, length: usize, by_id: bool) -> Vec<Vec<u8>> {
    let (mut offset, mut at, mut content) = (12, 12, vec![0; length]);
    let mut objects = vec![[entry(BLOB, length as u64), deflated(&content)].concat()];
    offset += objects[0].len();
    for step in 1..=depth {
        let base = at;
        let parent = id(&content);
        for last in [step.to_be_bytes(), (step | 1 << 31).to_be_bytes()] {
            let copy = [&[0xb0 | 0x40][..], &(length as u32 - 4).to_le_bytes()[..3], &[4][..], &last].concat();
            let delta = [size(length as u64), size(length as u64), copy].concat();
            let (kind, from) = if by_id { (ID_DELTA, parent.clone()) } else { (OFFSET_DELTA, back(offset - base)) };
            objects.push([entry(kind, delta.len() as u64), from, deflated(&delta)].concat());
            at = offset;
            offset += objects.last().unwrap().len();
            content.truncate(length - 4);
            content.extend(last);
        }
    }
    objects
}

#[test]
fn chains_that_would_fill_the_memory() {
    for by_id in [false, true] {
        survives_pack("deltas that may take more than", pack(&forked(20, 1 << 19, by_id)));
        // A few of them are what anybody may send; it is only not what was asked for.
        survives_pack("did not send what it was asked for", pack(&forked(5, 1 << 19, by_id)));
    }
    survives_pack("a chain of more than 4095 deltas", pack(&forked(4096, 64, false)));
    survives_pack("more than 1048576 bytes", pack(&[[entry(BLOB, 1 << 21), deflated(&vec![0; 1 << 21])].concat()]));
}

#[test]
fn objects_that_would_fill_the_memory() {
    // One that says that it is a terabyte, and one that is longer than it says.
    survives_pack("cannot be fetched", pack(&[[entry(BLOB, 1 << 40), deflated(&vec![0; 4 << 20])].concat()]));
    survives_pack("cannot be fetched", pack(&[[entry(BLOB, 4), deflated(&vec![0; 64 << 20])].concat()]));
    // A delta that copies a small base again and again, to a gigabyte.
    let base = vec![0; 0x10000];
    let object = [entry(BLOB, base.len() as u64), deflated(&base)].concat();
    let copies = 1 << 14;
    let delta = [size(base.len() as u64), size(base.len() as u64 * copies), vec![0x80; usize::try_from(copies).unwrap()]].concat();
    let back = u8::try_from(object.len()).unwrap_or(0);
    let behind = if back < 0x80 && back > 0 {
        vec![back]
    } else {
        vec![0x80 | u8::try_from((object.len() >> 7) - 1).unwrap(), (object.len() & 0x7f) as u8]
    };
    survives_pack("cannot be fetched", pack(&[object, [entry(OFFSET_DELTA, delta.len() as u64), behind, deflated(&delta)].concat()]));
}

#[test]
fn a_host_that_sends_less_than_it_says() {
    survives_pack("did not send what it was asked for", pack(&[]));
    let other = b"something else";
    survives_pack("did not send what it was asked for", pack(&[[entry(3, other.len() as u64), deflated(other)].concat()]));
}

#[test]
fn a_host_that_sends_without_end() {
    survives("too much", PATIENT, |_, _, stream| {
        stream.write_all(&[head("advertisement"), line(b"version 2\n")].concat()).unwrap();
        until_gone(stream, &line(&[b"x".repeat(1000), b"\n".to_vec()].concat()));
    });
    survives("too much", PATIENT, |asked, answer, stream| {
        if asked.line.starts_with("GET") {
            return stream.write_all(&answer).unwrap();
        }
        stream.write_all(&head("result")).unwrap();
        until_gone(stream, &line(format!("{} refs/heads/main{}\n", "1".repeat(40), "x".repeat(900)).as_bytes()));
    });
    // In the pack, and beside it as news of the progress.
    for band in [1, 2] {
        survives("too much", PATIENT, move |asked, answer, stream| {
            if !asked.is_fetch() {
                return stream.write_all(&answer).unwrap();
            }
            let begin = [&b"\x01PACK\0\0\0\x02\0\0\0\x01"[..], &entry(3, 1 << 40), b"\x78\x01"].concat();
            stream.write_all(&[head("result"), line(b"packfile\n"), line(&begin)].concat()).unwrap();
            // Stored blocks of the deflate format: they go on as long as somebody reads.
            let block = [&[0, 0xff, 0x7f, 0, 0x80][..], &[0; 0x7fff]].concat();
            until_gone(stream, &line(&[&[band][..], &block].concat()));
        });
    }
}

#[test]
fn a_host_that_never_comes_to_an_end() {
    // News of the progress, slowly enough for any bound on bytes: each waits until the one before was taken.
    survives("takes too long", Bounds { received: u64::MAX, ..SHORT }, |asked, answer, stream| {
        if !asked.is_fetch() {
            return stream.write_all(&answer).unwrap();
        }
        stream.write_all(&[head("result"), line(b"packfile\n")].concat()).unwrap();
        until_gone(stream, &line(b"\x02still counting\n"));
    });
}

#[test]
fn a_host_that_says_nothing() {
    let kit = scene();
    // It accepts, and that is all.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a", listener.local_addr().unwrap());
    refused(&mut elsewhere(&kit, &url, None, SHORT), "takes too long");
}

#[test]
fn a_look_ends_with_the_server() {
    let kit = scene();
    fs::write(kit.at("known"), "").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for url in [format!("http://127.0.0.1:{port}/a"), format!("ssh://git@127.0.0.1:{port}/a")] {
        let pace = pace();
        let settings = Settings { known_hosts: Some(kit.at("known")), ..kit.settings(&url) };
        let mut git = Git::bounded(settings, kit.at("mirror"), kit.at("anchor"), PATIENT, Arc::clone(&pace)).unwrap();
        let look = std::thread::spawn(move || git.look());
        std::thread::sleep(Duration::from_millis(500));
        let since = Stopwatch::start();
        pace.end();
        let Look::Failed(said) = look.join().unwrap() else { panic!() };
        assert!(said.contains("the server stops"), "{said}");
        assert!(since.elapsed() < Duration::from_secs(2), "it took {:?}", since.elapsed());
    }
}

/// Serves with a certificate of an authority for a name.
fn secure(kit: &Kit, authority: &Authority, name: &str) -> u16 {
    authority.issue(name, "host.pem", "host-key.pem");
    let certificate = CertificateDer::from_pem_file(authority.path("host.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.path("host-key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, root) = (listener.local_addr().unwrap().port(), kit.at(""));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
            // Who does not trust the certificate says so and goes.
            if stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
                let answer = backend(&root, &read(&mut stream));
                stream.get_mut().write_all(&answer).unwrap();
                stream.get_mut().conn.send_close_notify();
                let _gone = stream.get_mut().flush().and_then(|()| stream.read(&mut [0]).map(drop));
            }
        }
    });
    port
}

#[test]
fn the_certificate_must_be_of_the_host_and_the_authority() {
    let kit = scene();
    let first = kit.commit("package one", Some("ann"));
    let (ours, others) = (Authority::new(), Authority::new());
    let ask = |authority: &Authority, name: &str, mirror: &str, private: bool| {
        let url = format!("https://localhost:{}/{WORK}/.git", secure(&kit, authority, name));
        let settings = Settings { ca_file: Some(ours.path("ca.pem")), dangerous_private_address: private, ..kit.settings(&url) };
        bounded(settings, kit.at(mirror), None, PATIENT).unwrap()
    };
    offered(&mut ask(&ours, "localhost", "a", true), first);
    refused(&mut ask(&others, "localhost", "b", true), "certificate");
    refused(&mut ask(&ours, "other.example", "c", true), "certificate");
    refused(&mut ask(&ours, "localhost", "d", false), "not allowed");
}
