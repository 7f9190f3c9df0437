//! Pointer traces in folders, `<person>/<session>.csv`, gzip or plain, cut into actions while they are read.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use countersign_risk::pointer::{CountedAction, Point, PointKind, Segmenter};
use countersign_sdk_types::Timestamp;
use flate2::read::MultiGzDecoder;

use crate::files;

/// The largest trace, as it is and unpacked.
const LARGEST: u64 = 64 * 1024 * 1024;
/// The most persons of a folder, and the most sessions of a person.
const MOST: usize = 10_000;
/// From here on a coordinate is an artefact of the recorder, such as 65535 for none.
const OUTSIDE: f64 = 8000.0;
/// Times beyond are no seconds of a session.
const LONGEST_SECONDS: f64 = 1e9;
const COLUMNS: [&str; 5] = ["client_s", "button", "state", "x", "y"];

/// Why pointer data were refused.
#[derive(Debug, thiserror::Error)]
pub enum PointerError {
    /// A file or folder cannot be read.
    #[error("{path}: {why}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        why: std::io::Error,
    },
    /// A line is no event of a pointer, or no label.
    #[error("{path}: line {line} is refused: {why}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A folder holds more than is read.
    #[error("{0}: more than {MOST} entries")]
    TooMany(String),
    /// There is too little to measure.
    #[error("{0}")]
    TooLittle(&'static str),
}

impl PointerError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        |why| Self::Io { path, why }
    }
}

/// Where a session is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionFile {
    pub(super) person: String,
    pub(super) session: String,
    path: PathBuf,
}

/// A session's actions.
#[derive(Debug, Clone)]
pub struct Session {
    /// Whose it is, or claims to be.
    pub person: String,
    /// Its name.
    pub session: String,
    /// What was done, in order.
    pub actions: Vec<CountedAction>,
}

/// The sessions of a folder, sorted by person and name.
pub(super) fn list(folder: &Path) -> Result<Vec<SessionFile>, PointerError> {
    let mut all = Vec::new();
    for (person, folder) in entries(folder)?.into_iter().filter(|(_, path)| path.is_dir()) {
        for (file, path) in entries(&folder)? {
            if let Some(session) = file.strip_suffix(".csv.gz").or_else(|| file.strip_suffix(".csv")) {
                all.push(SessionFile { person: person.clone(), session: session.to_owned(), path });
            }
        }
    }
    all.sort();
    Ok(all)
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, PointerError> {
    let read = std::fs::read_dir(folder).map_err(PointerError::io(folder))?;
    let mut all = Vec::new();
    for entry in read {
        let entry = entry.map_err(PointerError::io(folder))?;
        all.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        if all.len() > MOST {
            return Err(PointerError::TooMany(folder.display().to_string()));
        }
    }
    Ok(all)
}

/// Reads a session.
pub(super) fn read(file: SessionFile) -> Result<Session, PointerError> {
    let text = text(&file.path)?;
    let actions = actions(&text).map_err(|(line, why)| PointerError::Line { path: file.path.display().to_string(), line, why })?;
    Ok(Session { person: file.person, session: file.session, actions })
}

pub(super) fn text(path: &Path) -> Result<String, PointerError> {
    let failed = |why: std::io::Error| PointerError::Io { path: path.display().to_string(), why };
    let mut bytes = files::read(path, LARGEST).map_err(failed)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(bytes.as_slice()).take(LARGEST + 1).read_to_end(&mut unpacked).map_err(failed)?;
        bytes = unpacked;
    }
    let invalid = |why: &str| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned()));
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(invalid("larger than 64 MiB when unpacked"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("not UTF-8"))
}

/// Cuts a trace into actions; or says which line is refused, and why.
pub(super) fn actions(text: &str) -> Result<Vec<CountedAction>, (usize, String)> {
    let mut lines = text.lines().enumerate();
    let header: Vec<&str> = lines.next().map_or("", |(_, header)| header).split(',').map(str::trim).collect();
    let mut columns = [0; 5];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        *column = header.iter().position(|one| *one == name).ok_or_else(|| (1, format!("no column `{name}`")))?;
    }
    let mut segmenter = Segmenter::default();
    let mut actions = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        if let Some(point) = point(line, &columns).map_err(|why| (number + 1, why))? {
            actions.extend(segmenter.push(point).map(CountedAction::from));
        }
    }
    actions.extend(segmenter.finish().map(CountedAction::from));
    Ok(actions)
}

/// A line; none where it is outside of every screen.
fn point(line: &str, columns: &[usize; 5]) -> Result<Option<Point>, String> {
    let fields: Vec<&str> = line.split(',').take(64).map(str::trim).collect();
    let field = |at: usize| fields.get(at).copied().ok_or_else(|| "too few columns".to_owned());
    let [at, button, state, x, y] = columns.map(field);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| format!("`{text}` is no number"));
    let (seconds, x, y) = (number(at?)?, number(x?)?, number(y?)?);
    if seconds.abs() > LONGEST_SECONDS {
        return Err(format!("`{seconds}` is no time of a session"));
    }
    let kind = match (button?, state?) {
        ("Scroll", _) | (_, "Down" | "Up") => PointKind::Wheel,
        (_, "Move") => PointKind::Move,
        // A drag without a button occurs where the press was lost; it is a drag all the same.
        (_, "Drag") => PointKind::Drag,
        (_, "Pressed") => PointKind::Press,
        (_, "Released") => PointKind::Release,
        (_, other) => return Err(format!("`{other}` is no state of a pointer")),
    };
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let at = Timestamp((seconds * 1000.0).round() as i64);
    Ok((x < OUTSIDE && y < OUTSIDE).then_some(Point { at, x, y, kind }))
}
