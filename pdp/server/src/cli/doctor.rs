//! `doctor`: proxy configurations are examined. Exit code 1 where something is found, 2 where a file cannot be read.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{COULD_NOT, fail, say};
use crate::doctor::{self, Finding, Kind, LARGEST};
use crate::files;

/// What `doctor` is told.
#[derive(Debug, Args)]
pub(super) struct DoctorCommand {
    /// The configurations: nginx, HAProxy, a Caddyfile, Envoy (YAML or JSON), Traefik (YAML or TOML).
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Whose they are, where that cannot be told from name and content.
    #[arg(long)]
    kind: Option<Kind>,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Examines every file before it says anything.
pub(super) fn run(command: &DoctorCommand) -> ExitCode {
    let examined = command.files.iter().map(|file| Ok((file.as_path(), examine(file, command.kind)?))).collect::<Result<Vec<_>, String>>();
    match examined {
        Err(error) => fail(COULD_NOT, &error),
        Ok(examined) => {
            let _ = say(&if command.json { as_json(&examined) } else { in_words(&examined) });
            if examined.iter().any(|(_, found)| !found.is_empty()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

fn examine(file: &Path, kind: Option<Kind>) -> Result<Vec<Finding>, String> {
    let named = |error: String| format!("{}: {error}", file.display());
    let bytes = files::read(file, LARGEST).map_err(|error| named(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| named("it is no UTF-8 text".to_owned()))?;
    let kind = kind.or_else(|| doctor::recognize(file, &text));
    let kind = kind.ok_or_else(|| named("it cannot be told whose configuration this is; say it by --kind".to_owned()))?;
    doctor::examine(kind, file, &text).map_err(named)
}

fn as_json(examined: &[(&Path, Vec<Finding>)]) -> String {
    let finding = |file: &Path, found: &Finding| {
        json!({
            "id": found.rule.id, "severity": found.rule.severity, "file": file, "line": found.line, "what": found.what,
            "why": found.rule.why, "instead": found.rule.instead,
        })
    };
    let all: Vec<Value> = examined.iter().flat_map(|(file, found)| found.iter().map(|found| finding(file, found))).collect();
    serde_json::to_string_pretty(&json!({"files": examined.len(), "findings": all})).unwrap_or_default()
}

fn in_words(examined: &[(&Path, Vec<Finding>)]) -> String {
    let of_file = |(file, found): &(&Path, Vec<Finding>)| match found.as_slice() {
        [] => format!("{}: nothing found", file.display()),
        found => found.iter().map(|one| format!("{}:{}: {one}", file.display(), one.line)).collect::<Vec<_>>().join("\n"),
    };
    examined.iter().map(of_file).collect::<Vec<_>>().join("\n")
}
