//! From files to an engine that can be asked: rewritten, scanned, parsed, checked, with the built-ins that they name.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use regorus::{Engine, PolicyLengthConfig, Value};

use super::builtins::{BuiltinErrors, Extensions, Semantics};
use super::rewrite::{Rewriter, hoist};
use super::scan::{self, MAX_FILE};
use super::{PolicyError, PolicyFile, PolicySource, Problem, check, shortened, timer};

/// How long lines and files may be for the parser. Lines are as long as certificates and key sets in them; [`MAX_FILE`] bounds the whole.
pub(crate) const LENGTHS: PolicyLengthConfig = PolicyLengthConfig {
    max_col: match NonZeroU32::new(MAX_FILE as u32) {
        Some(columns) => columns,
        None => NonZeroU32::MIN,
    },
    max_file_bytes: match NonZeroUsize::new(2 * MAX_FILE) {
        Some(bytes) => bytes,
        None => NonZeroUsize::MIN,
    },
    max_lines: match NonZeroUsize::new(20_000) {
        Some(lines) => lines,
        None => NonZeroUsize::MIN,
    },
};
/// The path of the module that nobody wrote.
pub(super) const STAND_INS: &str = "built-ins";

/// A policy's engine, what it defines, and the extensions that it names.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) outline: check::Outline,
    pub(super) extensions: Extensions,
}

/// Scans, parses and checks files, and prepares an engine with them.
///
/// # Errors
/// [`PolicyError::Refused`] with every problem that was found.
pub(super) fn load<'a>(
    source: &PolicySource,
    files: impl Iterator<Item = &'a PolicyFile>,
    budget: Duration,
) -> Result<Loaded, PolicyError> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    engine.set_gather_prints(true);
    engine.set_policy_length_config(LENGTHS);
    engine.set_execution_timer_config(timer(budget));
    let files: Vec<&PolicyFile> = files.collect();
    let rewriter = Rewriter::new(files.iter().map(|file| file.text.as_str()), Semantics::Contract);
    let mut problems = Vec::new();
    for file in files {
        if let Err(problem) = parse(&mut engine, &rewriter, file, source.dialects.of(&file.path)) {
            problems.push(problem);
        }
    }
    if !problems.is_empty() {
        return Err(PolicyError::Refused(problems));
    }
    let refused = |text: String| PolicyError::Refused(vec![Problem::new(text)]);
    add_stand_ins(&mut engine, &rewriter).map_err(|error| refused(shortened(&format!("{error:#}"))))?;
    let (outline, findings) = check::check(engine.get_modules(), Semantics::Contract);
    if !findings.is_empty() {
        return Err(PolicyError::Refused(findings.into_iter().map(Problem::from).collect()));
    }
    let extensions = Extensions::of(outline.names.iter().map(String::as_str));
    extensions.install_fixed(&mut engine, BuiltinErrors::Fatal).map_err(refused)?;
    engine.add_data(Value::from(source.data.clone())).map_err(|error| refused(shortened(&format!("{error:#}"))))?;
    // Asking anything prepares the engine, once for all its clones.
    engine.eval_query("true".to_owned(), false).map_err(|error| refused(shortened(&format!("{error:#}"))))?;
    Ok(Loaded { engine, outline, extensions })
}

/// A file that no manifest speaks of is read as today's Rego, and then as the dialect before 1.0.
fn parse(engine: &mut Engine, rewriter: &Rewriter, file: &PolicyFile, dialect: Option<u8>) -> Result<(), Problem> {
    let of = |line: Option<usize>, text: String| Problem { file: Some(file.path.clone()), line, text };
    let text = scan::rewritten(rewriter, &file.text).map_err(|error| of(error.line(), error.to_string()))?;
    match add(engine, &file.path, &text, dialect) {
        None => Err(of(None, format!("dialect {} of Rego is not known", dialect.unwrap_or_default()))),
        Some(added) => added.map_err(|error| of(line_of(&error.to_string(), &file.path), shortened(&format!("{error:#}")))),
    }
}

/// The functions that the rewritten modules call.
pub(crate) fn add_stand_ins(engine: &mut Engine, rewriter: &Rewriter) -> anyhow::Result<()> {
    engine.set_rego_v0(false);
    rewriter.module().map_or(Ok(()), |module| engine.add_policy(STAND_INS.to_owned(), module).map(drop))
}

/// Hands a file to the parser; `None` for an unknown dialect.
pub(crate) fn add(engine: &mut Engine, path: &str, text: &str, dialect: Option<u8>) -> Option<anyhow::Result<()>> {
    let mut add = |v0: bool| {
        engine.set_rego_v0(v0);
        let text = hoist::module(path, text, v0, &LENGTHS)?;
        engine.add_policy(path.to_owned(), text.into_owned()).map(drop)
    };
    Some(match dialect {
        Some(0) => add(true),
        Some(1) => add(false),
        None => add(false).or_else(|error| add(true).map_err(|_| error)),
        Some(_) => return None,
    })
}

/// The library's messages name the place as `--> path:line:column`.
fn line_of(message: &str, path: &str) -> Option<usize> {
    let (_, rest) = message.split_once(&format!("{path}:"))?;
    rest.split(':').next()?.trim().parse().ok()
}
