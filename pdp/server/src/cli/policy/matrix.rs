//! `policy matrix`: writes what a policy answers to whom as a file that people read in review, or says what of that file is no longer so.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_pdp_engine::matrix::{Plan, matrix};
use countersign_pdp_engine::policy::DEFAULT_PACKAGE;
use serde_json::json;

use super::super::control::clean;
use super::super::{COULD_NOT, fail, say};
use super::under_way;
use crate::{files, policies};

/// The largest matrix that is read.
const LARGEST: u64 = 1024 * 1024;

/// What `policy matrix` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct Matrix {
    /// The folder of the policy.
    folder: PathBuf,
    /// The package that is asked.
    #[arg(long, default_value = DEFAULT_PACKAGE)]
    package: String,
    /// Where the matrix is; `matrix.golden` in the folder unless told.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The roles of its rows, with commas between them; those of the file unless told, and `employee` where there is no file.
    #[arg(long, value_delimiter = ',')]
    roles: Option<Vec<String>>,
    /// The actions of its columns; those of the file unless told, and `GET,POST,DELETE` where there is no file.
    #[arg(long, value_delimiter = ',')]
    actions: Option<Vec<String>>,
    /// Write nothing: compare, and show what differs. Exit code 1 when something does.
    #[arg(long)]
    check: bool,
    /// Print what differs as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command: 0 when the file is what the policy answers now, 1 when `--check` finds that it is not, 2 when there is no matrix.
pub(in crate::cli) fn run(asked: &Matrix) -> ExitCode {
    match asked.compare() {
        Err(error) => fail(COULD_NOT, &clean(&error)),
        Ok(difference) => {
            let told = if asked.json { difference.json(asked) } else { clean(&difference.words(asked)) };
            let _ = say(&told);
            if asked.check && !difference.is_none() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

impl Matrix {
    fn file(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| self.folder.join("matrix.golden"))
    }

    fn compare(&self) -> Result<Difference, String> {
        let file = self.file();
        let before = self.before(&file)?;
        let mut plan = before.as_deref().and_then(Plan::of).unwrap_or_default();
        plan.roles = self.roles.clone().unwrap_or(plan.roles);
        plan.actions = self.actions.clone().unwrap_or(plan.actions);
        if let Some(fault) = plan.fault() {
            return Err(fault);
        }
        let bar = under_way("asking");
        let snapshot = policies::load(&self.folder, &self.package)?;
        let made = policies::deep(|| matrix(&snapshot, &plan))?.ok_or("the matrix could not be made")?;
        bar.finish_and_clear();
        if !self.check {
            put(&file, &made).map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
        }
        Ok(Difference::between(before.as_deref().unwrap_or_default(), &made))
    }

    /// The file as it is; there need be none to write one.
    fn before(&self, file: &Path) -> Result<Option<String>, String> {
        // Whoever proposes a change would have another file read out.
        if is_link(file) {
            return Err(format!("cannot read `{}`: it is a link", file.display()));
        }
        match files::read(file, LARGEST) {
            Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| format!("`{}` is not UTF-8", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.check => Ok(None),
            Err(error) => Err(format!("cannot read `{}`: {error}", file.display())),
        }
    }
}

/// Writes the file, and through no link: a repository may hold one where the matrix is to be.
fn put(file: &Path, made: &str) -> std::io::Result<()> {
    if is_link(file) {
        return Err(std::io::Error::other("it is a link"));
    }
    std::fs::write(file, made)
}

fn is_link(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|known| known.is_symlink())
}

/// Rows that are in one matrix and not in the other. Rows are unlike each other, so their order says nothing more.
struct Difference {
    gone: Vec<String>,
    come: Vec<String>,
}

impl Difference {
    fn between(before: &str, after: &str) -> Self {
        let only = |these: &str, those: &str| {
            let those: HashSet<&str> = those.lines().collect();
            these.lines().filter(|line| !those.contains(line)).map(str::to_owned).collect()
        };
        Self { gone: only(before, after), come: only(after, before) }
    }

    const fn is_none(&self) -> bool {
        self.gone.is_empty() && self.come.is_empty()
    }

    fn json(&self, asked: &Matrix) -> String {
        let told = json!({"file": asked.file(), "written": !asked.check, "gone": self.gone, "come": self.come});
        serde_json::to_string_pretty(&told).unwrap_or_default()
    }

    /// Each row that went with the one that came in its place, and then what is new.
    fn words(&self, asked: &Matrix) -> String {
        let mut lines = Vec::new();
        let mut come: Vec<&String> = self.come.iter().collect();
        for gone in &self.gone {
            lines.push(format!("- {gone}"));
            if let Some(place) = come.iter().position(|come| head(come) == head(gone)) {
                lines.push(format!("+ {}", come.remove(place)));
            }
        }
        // A file that was not there is read as a file.
        if asked.check || !self.gone.is_empty() {
            lines.extend(come.into_iter().map(|come| format!("+ {come}")));
        }
        let file = asked.file();
        let verdict = match (asked.check, self.is_none()) {
            (_, true) => format!("`{}` is what the policy answers", file.display()),
            (true, false) => {
                format!(
                    "`{}` is not what the policy answers; read the rows, then write them with `countersign policy matrix`",
                    file.display()
                )
            }
            (false, false) => format!("wrote `{}`: {} rows changed; read them", file.display(), self.come.len().max(self.gone.len())),
        };
        lines.push(verdict);
        lines.join("\n")
    }
}

/// A row without its cells.
fn head(row: &str) -> &str {
    row.trim_end_matches(['✔', '▲', '✘', ' '])
}
