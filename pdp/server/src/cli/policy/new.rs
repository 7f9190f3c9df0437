//! `policy new`: a repository to start from: the starter policy, its tests, cases and matrix, the schemas of contract 1, and what continuous integration runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::super::{COULD_NOT, fail, say};

/// What `policy new` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// The folder that is made. It must not exist, or be empty.
    folder: PathBuf,
}

/// Path and content of each file.
const FILES: [(&str, &str); 11] = [
    ("policy/access.rego", include_str!("../../../../../policies/starter/access.rego")),
    ("policy/access_test.rego", include_str!("../../../../../policies/starter/access_test.rego")),
    ("policy/access_cases.yaml", include_str!("../../../../../policies/starter/access_cases.yaml")),
    ("policy/matrix.golden", include_str!("../../../../../policies/matrix.golden")),
    ("policy/data.json", include_str!("../../../../../policies/starter/data.json")),
    ("schema/input.schema.json", include_str!("../../../../../policies/schema/input.schema.json")),
    ("schema/verdict.schema.json", include_str!("../../../../../policies/schema/verdict.schema.json")),
    ("schema/cases.schema.json", include_str!("../../../../../policies/schema/cases.schema.json")),
    ("examples/input.json", include_str!("../../../../../policies/schema/input.golden.json")),
    ("README.md", include_str!("../../../templates/new/README.md")),
    ("ci.sh", include_str!("../../../templates/new/ci.sh")),
];

/// Runs the command.
pub(in crate::cli) fn run(asked: &New) -> ExitCode {
    match make(&asked.folder) {
        Err(error) => fail(COULD_NOT, &error),
        Ok(()) => say(&format!(
            "made `{0}`; next:\n  countersign policy test {0}/policy\n  git -C {0} init && git -C {0} add . && git -C {0} commit -m 'the starter policy'",
            asked.folder.display()
        )),
    }
}

fn make(folder: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: &std::io::Error| format!("cannot make `{}`: {error}", path.display());
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(format!("`{}` is not empty", folder.display())),
        Ok(false) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(folder, &error)),
    }
    for (name, content) in FILES {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        std::fs::write(&path, content).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}
