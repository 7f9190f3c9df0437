//! The public interfaces of the SDK's crates are files that people read in review: a change that breaks programs is seen before it is released.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use countersign_tests::public_api::{Change, compare, lines};

const CRATES: [(&str, &str); 3] = [
    ("countersign-sdk-types", "sdk/types/public-api.txt"),
    ("countersign-sdk-client", "sdk/client/public-api.txt"),
    ("countersign-sdk-pep", "sdk/pep/public-api.txt"),
];

/// What rustdoc says of the crates as JSON, which only a nightly one does unless it is asked in this way. Only rustdoc is: nothing is compiled otherwise than
/// it always is.
fn documented() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let rustdoc = folder.path().join("rustdoc");
    std::fs::write(&rustdoc, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n").unwrap();
    std::fs::set_permissions(&rustdoc, std::fs::Permissions::from_mode(0o755)).unwrap();
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let packages = CRATES.iter().flat_map(|(name, _)| ["-p", name]);
    let output = Command::new(env!("CARGO"))
        .args(["doc", "--no-deps", "--lib", "--all-features", "--locked", "--offline"])
        .args(packages)
        .current_dir(&top)
        .env("RUSTDOC", &rustdoc)
        .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let target = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"])
        .current_dir(&top)
        .output()
        .unwrap();
    let target: serde_json::Value = serde_json::from_slice(&target.stdout).unwrap();
    let doc = Path::new(target["target_directory"].as_str().unwrap()).join("doc");
    let read = |name: &str| std::fs::read(doc.join(format!("{}.json", name.replace('-', "_")))).unwrap();
    CRATES.iter().map(|(name, _)| lines(&serde_json::from_slice(&read(name)).unwrap()).join("\n")).collect()
}

#[test]
fn the_public_interfaces_are_the_ones_that_were_reviewed() {
    #[expect(clippy::disallowed_methods, reason = "`UPDATE=1` writes the files anew, as for every golden file")]
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    let mut told = Vec::new();
    for ((name, file), now) in CRATES.iter().zip(documented()) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        if update {
            let head = format!(
                "# The public interface of {name}, with all features. `UPDATE=1 cargo test -p countersign-tests --test it public_api` writes it."
            );
            std::fs::write(&path, format!("{head}\n{now}\n")).unwrap();
        }
        let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
        let gone: Vec<String> = reviewed
            .lines()
            .filter(|line| !line.starts_with('#') && !now.lines().any(|one| one == *line))
            .map(|line| format!("- {line}"))
            .collect();
        let new: Vec<String> =
            now.lines().filter(|line| !reviewed.lines().any(|one| one == *line)).map(|line| format!("+ {line}")).collect();
        let difference = [gone, new].concat().join("\n");
        match compare(&reviewed, &now) {
            Change::None => {}
            Change::Minor => told.push(format!("{name} has more in it (a minor version):\n{difference}")),
            Change::Major => told.push(format!("{name} breaks programs (a major version; before 1.0, the second number):\n{difference}")),
        }
    }
    assert!(told.is_empty(), "{}\n\nIf that is meant, run this test with UPDATE=1, and say it in the changelog.", told.join("\n\n"));
}
