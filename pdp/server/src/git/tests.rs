//! Repositories as an attacker would write them, and what a store says that is not so.

use std::fs;
use std::path::Path;

use countersign_pdp_engine::policy::MAX_FILES;

use super::testing::Kit;
use super::*;

const LINK: &str = "120000";
const FILE: &str = "100644";
const TREE: &str = "40000";

#[track_caller]
fn refused(kit: &Kit, commit: CommitId, within: &str, why: &str) {
    let said = kit.repository().files(commit, within).unwrap_err();
    assert!(said.to_string().contains(why), "{said}");
}

#[test]
fn a_policy_is_read_as_it_was_committed() {
    let kit = Kit::new();
    let folder = kit.at("work/policy/sub");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("data.json"), "{}").unwrap();
    fs::write(folder.join("notes.txt"), "no policy").unwrap();
    fs::write(kit.at("work/policy/.gitattributes"), "*.rego filter=evil ident export-ignore eol=crlf\n").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", kit.at("work/policy/readme")).unwrap();
    let first = kit.commit("package a # $Id$\n", None);
    let expected =
        [("a.rego", "package a # $Id$\n"), ("sub/data.json", "{}")].map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    assert_eq!(kit.repository().files(first, "policy").unwrap(), expected);
    assert_eq!(kit.repository().files(first, "/policy/sub/").unwrap(), [("data.json".to_owned(), b"{}".to_vec())]);
    assert_eq!(kit.repository().files(first, "").unwrap().len(), 2);
    let second = kit.commit("package b\n", None);
    // From packs too, with deltas, and from any folder of the work tree.
    kit.git(&["tag", "-am", "x", "one", &first.to_string()]);
    kit.git(&["gc", "-q", "--prune=now"]);
    let repository = Repository::discover(&kit.at("work/policy/sub")).unwrap();
    for (name, commit) in [("main", second), ("HEAD", second), ("main~1", first), ("one", first), (&first.to_string(), first)] {
        assert_eq!(repository.resolve(name), Ok(commit), "{name}");
    }
    assert_eq!(repository.files(first, "policy").unwrap(), expected);
    for name in ["nowhere", "--output=/tmp/x", "main~2", "one^{tree}", "main:policy", ""] {
        assert!(repository.resolve(name).is_err(), "{name}");
    }
    refused(&kit, second, "polic", "has no folder");
    refused(&kit, second, "policy/a.rego", "has no folder");
    refused(&kit, second, "policy/readme", "has no folder");
}

#[test]
fn nothing_of_the_repository_has_a_say() {
    let kit = Kit::new();
    let first = kit.commit("package first\n", None);
    let second = kit.commit("package second\n", None);
    // One object shown for another, in the three ways that git knows.
    kit.git(&["replace", &second.to_string(), &first.to_string()]);
    kit.git(&["config", "core.useReplaceRefs", "true"]);
    kit.git(&["config", "core.sshCommand", "touch pwned"]);
    kit.git(&["config", "include.path", "/nowhere"]);
    fs::create_dir_all(kit.at("work/.git/info")).unwrap();
    fs::write(kit.at("work/.git/info/grafts"), format!("{second}\n")).unwrap();
    fs::write(kit.at("work/.git/shallow"), format!("{second}\n")).unwrap();
    let repository = kit.repository();
    assert_eq!(repository.files(second, "policy").unwrap()[0].1, b"package second\n");
    assert_eq!(repository.commit(second).unwrap().parents, [first]);
    fs::write(kit.at("work/.git/objects/info/alternates"), "/somewhere/else\n").unwrap();
    let said = Repository::open(&kit.at("work")).unwrap_err().to_string();
    assert!(said.contains("borrows objects"), "{said}");
    assert!(Repository::open(Path::new("/nowhere")).is_err());
}

#[test]
fn an_object_is_what_its_id_says() {
    let kit = Kit::new();
    let loose = |id: &str| kit.at(&format!("work/.git/objects/{}/{}", &id[..2], &id[2..]));
    let commit = kit.commit("package good\n", None);
    let [good, evil] = ["package good\n", "package evil\n"].map(|text| kit.object("blob", text.as_bytes()));
    fs::remove_file(loose(&good)).unwrap();
    fs::copy(loose(&evil), loose(&good)).unwrap();
    let said = kit.repository().files(commit, "policy").unwrap_err();
    assert_eq!(said, GitError::Damaged(format!("what is stored as `{good}` is something else")));
    fs::remove_file(loose(&good)).unwrap();
    fs::write(loose(&good), b"x\x9c nothing of the kind").unwrap();
    assert!(matches!(kit.repository().files(commit, "policy").unwrap_err(), GitError::Damaged(_)));
    fs::remove_file(loose(&good)).unwrap();
    assert!(matches!(kit.repository().files(commit, "policy").unwrap_err(), GitError::Damaged(_)));
    assert!(matches!(kit.repository().peel(commit.0).map(|(_, commit)| commit), Ok(found) if found == commit));
}

#[test]
fn an_object_that_is_longer_than_it_says_is_not_unpacked() {
    use std::io::Write as _;
    let kit = Kit::new();
    let commit = kit.commit("package good\n", None);
    let good = kit.object("blob", b"package good\n");
    let mut bomb = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(b"blob 13\0").unwrap();
    (0..512).for_each(|_| bomb.write_all(&[0; 1 << 20]).unwrap());
    let path = kit.at(&format!("work/.git/objects/{}/{}", &good[..2], &good[2..]));
    fs::remove_file(&path).unwrap();
    fs::write(path, bomb.finish().unwrap()).unwrap();
    assert!(matches!(kit.repository().files(commit, "policy").unwrap_err(), GitError::Damaged(_)));
}

#[test]
fn names_and_modes_that_lead_elsewhere() {
    let kit = Kit::new();
    let blob = kit.object("blob", b"/etc/passwd");
    let inner = kit.tree(&[(FILE, b"a.rego", &blob)]);
    for name in [
        &b".."[..],
        b".",
        b".git",
        b".GIT",
        b"git~1",
        b"a/b",
        b"a\\b",
        b".g\xe2\x80\x8cit",
        b"a\x1b[2J",
        b"\xff",
        b"",
        b".git::$INDEX_ALLOCATION",
    ] {
        let commit = kit.commit_of(&kit.tree(&[(TREE, name, &inner)]));
        assert!(kit.repository().files(commit, "").is_err(), "{}", name.escape_ascii());
        // Also where only the way to the policy leads by.
        let commit = kit.commit_of(&kit.tree(&[(FILE, name, &blob), (TREE, b"policy", &inner)]));
        assert!(kit.repository().files(commit, "policy").is_err(), "{}", name.escape_ascii());
    }
    let check = |mode: &str, name: &[u8], why: &str| refused(&kit, kit.commit_of(&kit.tree(&[(mode, name, &blob)])), "", why);
    check(LINK, b"a.rego", "is a link");
    check(LINK, b"data.json", "is a link");
    check("160000", b"lib", "is a submodule");
    check("100664", b"a.rego", "no regular file");
    check("20000", b"a.rego", "");
    check(FILE, "é.rego".repeat(50).as_bytes(), "too long");
    // A link is no folder, whatever it points to.
    let link = kit.commit_of(&kit.tree(&[(LINK, b"policy", &blob)]));
    refused(&kit, link, "policy", "has no folder");
    let twice = kit.commit_of(&kit.tree(&[(FILE, b"a.rego", &blob), (FILE, b"a.rego", &inner)]));
    refused(&kit, twice, "", "is there twice");
    // A tree that says it is a file, and a file that says it is a tree.
    check(TREE, b"policy", "is no tree");
    refused(&kit, kit.commit_of(&kit.tree(&[(FILE, b"a.rego", &inner)])), "", "is no blob");
}

#[test]
fn bounds_hold_before_anything_is_unpacked() {
    let kit = Kit::new();
    let blob = kit.object("blob", b"x");
    let file: (&str, &[u8], &str) = (FILE, b"a.rego", &blob);
    let mut deep = kit.tree(&[file]);
    for _ in 0..9 {
        deep = kit.tree(&[(TREE, b"d", &deep)]);
    }
    refused(&kit, kit.commit_of(&deep), "", "nested too deeply");
    // A few trees that stand for millions of files.
    let mut wide = kit.tree(&[(FILE, b"x", &blob)]);
    let names: Vec<Vec<u8>> = (0..100).map(|at| format!("{at:03}").into_bytes()).collect();
    for _ in 0..4 {
        let entries: Vec<(&str, &[u8], &str)> = names.iter().map(|name| (TREE, name.as_slice(), wide.as_str())).collect();
        wide = kit.tree(&entries);
    }
    refused(&kit, kit.commit_of(&wide), "", "entries");
    let names: Vec<Vec<u8>> = (0..=MAX_FILES).map(|at| format!("{at:05}.rego").into_bytes()).collect();
    let many: Vec<(&str, &[u8], &str)> = names.iter().map(|name| (FILE, name.as_slice(), blob.as_str())).collect();
    refused(&kit, kit.commit_of(&kit.tree(&many)), "", &format!("more than {MAX_FILES} files"));
    let giant = kit.object("blob", &vec![0; 65 << 20]);
    refused(&kit, kit.commit_of(&kit.tree(&[(FILE, b"data.json", &giant)])), "", "larger than 64 MiB");
    let message = kit.object(
        "commit",
        &[format!("tree {deep}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\n").as_bytes(), &vec![b'x'; 2 << 20]].concat(),
    );
    let said = kit.repository().files(CommitId::parse(&message).unwrap(), "").unwrap_err().to_string();
    assert!(said.contains("larger than is read"), "{said}");
}

#[test]
fn what_can_be_followed() {
    let branch = |name: &str| Follow::Branch(name.to_owned()).check();
    assert_eq!((branch("main"), branch("a/b")), (Ok(()), Ok(())));
    for name in ["", "../x", "a..b", "a b", "a:b", "a~1", "a^", "x.lock", "/x", "x/", "\n", "a*", "@{1}"] {
        assert!(branch(name).is_err(), "{name}");
    }
    assert!(Follow::Commit("0123456789".repeat(4)).check().is_ok());
    assert!(Follow::Commit("01234567".to_owned()).check().is_err());
}
