//! The rules of the repository, each a test: who may depend on whom, who owns which crate, and what a document may link to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The direct, non-development dependencies of each of our crates, by `cargo metadata`.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"])
        .current_dir(top())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let all = package["dependencies"].as_array().unwrap().iter();
            let normal = all.filter(|dependency| dependency["kind"].is_null());
            (package["name"].as_str().unwrap().to_owned(), normal.map(|one| one["name"].as_str().unwrap().to_owned()).collect())
        })
        .collect()
}

#[test]
fn layers_only_look_down() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("countersign-sdk-types", &[][..]),
        ("countersign-risk", &["countersign-sdk-types"]),
        ("countersign-pdp-engine", &["countersign-sdk-types", "countersign-risk"]),
        ("countersign-pdp-stepup", &["countersign-sdk-types", "countersign-pdp-engine"]),
        ("countersign-pdp-store", &["countersign-sdk-types", "countersign-risk", "countersign-pdp-engine"]),
        ("countersign-sdk-client", &["countersign-sdk-types"]),
        ("countersign-sdk-pep", &["countersign-sdk-types", "countersign-sdk-client", "countersign-pdp-engine"]),
        ("countersign-pdp-demo", &["countersign-sdk-types", "countersign-sdk-client", "countersign-sdk-pep"]),
    ]);
    let dependencies = dependencies();
    for (name, allowed) in allowed {
        let ours = dependencies[name].iter().filter(|one| one.starts_with("countersign-"));
        for dependency in ours {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not depend on {dependency}");
        }
    }
}

#[test]
fn each_owned_dependency_has_one_owner() {
    let owners = [
        ("regorus", "countersign-pdp-engine"),
        ("jsonwebtoken", "countersign-pdp-engine"),
        ("webauthn-rs", "countersign-pdp-stepup"),
        ("sled", "countersign-pdp-store"),
        ("maxminddb", "countersign-pdp-server"),
    ];
    let dependencies = dependencies();
    for (owned, owner) in owners {
        let found: Vec<_> = dependencies.iter().filter(|(_, of)| of.contains(owned)).map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, [owner], "{owned} has one owner");
    }
}

#[test]
fn the_engine_closure_has_no_server_and_no_openssl() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "countersign-pdp-engine", "-e", "normal", "--prefix", "none", "--locked", "--offline"])
        .current_dir(top())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("regorus"));
    for unwanted in ["axum", "hyper", "tokio", "openssl-sys", "native-tls", "sled", "webauthn-rs"] {
        assert!(!tree.lines().any(|line| line.split(' ').next() == Some(unwanted)), "the engine depends on {unwanted}");
    }
}

/// Every file that git tracks or would track.
fn tracked() -> Vec<PathBuf> {
    let output = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(top()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).unwrap();
    listed.lines().map(|line| top().join(line)).filter(|path| path.is_file()).collect()
}

fn with_ending(ending: &str) -> Vec<(PathBuf, String)> {
    let files = tracked().into_iter().filter(|path| path.extension().is_some_and(|own| own == ending));
    let read = files.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()));
    let read: Vec<_> = read.collect();
    assert!(!read.is_empty(), "no files with ending {ending}");
    read
}

#[test]
fn every_source_file_says_what_it_is_for() {
    for (path, text) in with_ending("rs") {
        assert!(text.trim_start().starts_with("//!"), "{} does not open with a sentence", path.display());
    }
}

#[test]
fn no_test_is_ignored_and_no_stub_is_left() {
    let marks = ["#[ig".to_owned() + "nore", "to".to_owned() + "do!(", "unimple".to_owned() + "mented!("];
    for (path, text) in with_ending("rs") {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{} contains {mark}", path.display());
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (path, text) in with_ending("md") {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            assert!(path.parent().unwrap().join(target).exists(), "{}: dead link to {target}", path.display());
        }
    }
}

/// The closure of the client by `cargo tree`: what an application builds and trusts when it links it.
fn closure_of_the_client(features: &[&str]) -> BTreeSet<String> {
    let asked = ["tree", "-p", "countersign-sdk-client", "-e", "normal", "--prefix", "none", "--locked", "--offline"];
    let output = Command::new(env!("CARGO")).args(asked).args(features).current_dir(top()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines()
        .filter_map(|line| line.split_once(" v").map(|(name, rest)| format!("{name} {}", rest.split(' ').next().unwrap())))
        .collect()
}

#[test]
fn the_client_closure_is_small() {
    for (features, most) in [(&["--no-default-features"][..], 46), (&[], 58), (&["--features", "grpc"], 69)] {
        let closure = closure_of_the_client(features);
        assert!(closure.len() > 20, "it was not read: {closure:?}");
        assert!(closure.len() <= most, "{features:?}: {} crates, and {most} are allowed: {closure:?}", closure.len());
        for unwanted in ["axum", "regorus", "tonic", "openssl-sys", "native-tls", "ring", "countersign-risk", "countersign-pdp-engine"] {
            let is_there = closure.iter().any(|one| one.split(' ').next() == Some(unwanted));
            assert!(!is_there, "{features:?}: the client depends on {unwanted}");
        }
    }
}

/// Where every public item has an example that is compiled with the documentation.
const WITH_EXAMPLES: &[&str] = &["sdk/client/src", "sdk/pep/src"];

/// What each public function, struct, enum or trait of a source text is called, and whether its comment holds an example.
fn examples(text: &str) -> Vec<(String, bool)> {
    let is_item = |line: &str| {
        let rest = line.strip_prefix("pub ")?;
        let rest = ["const ", "async ", "unsafe "].iter().fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        let named = ["fn ", "struct ", "enum ", "trait "].iter().find_map(|word| rest.strip_prefix(word))?;
        Some(named.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned())
    };
    let (mut found, mut has_example) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        match () {
            () if line.starts_with("///") => has_example |= line.contains("```"),
            // What stands between a comment and its item.
            () if line.starts_with('#') || line.starts_with(')') || line.starts_with("reason") || line.is_empty() => {}
            () => {
                found.extend(is_item(line).map(|name| (name, has_example)));
                has_example = false;
            }
        }
    }
    found
}

/// The sources of a crate, without its tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let is_test = |path: &Path| path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs" | "fake.rs")));
    let own = with_ending("rs").into_iter().filter(|(path, _)| path.starts_with(top().join(folder)));
    own.filter(|(path, _)| !is_test(path.strip_prefix(top().join(folder)).unwrap())).collect()
}

#[test]
fn every_public_item_of_the_sdk_has_an_example() {
    for folder in WITH_EXAMPLES {
        let found: Vec<_> =
            sources(folder).into_iter().flat_map(|(path, text)| examples(&text).into_iter().map(move |one| (path.clone(), one))).collect();
        assert!(found.len() > 20, "{folder}: {found:?}");
        let missing: Vec<_> = found
            .iter()
            .filter(|(_, (_, has_example))| !has_example)
            .map(|(path, (name, _))| format!("{}: {name}", path.display()))
            .collect();
        assert!(missing.is_empty(), "no example:\n{}", missing.join("\n"));
    }
    assert_eq!(examples("/// x\npub fn a() {}\n/// ```\n#[must_use]\npub const fn b()"), [("a".to_owned(), false), ("b".to_owned(), true)]);
}
