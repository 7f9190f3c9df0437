//! How the command is read, and what it does with a corpus.

use clap::Parser as _;

use super::*;
use crate::cli::risk::RiskCommand;
use crate::cli::{Arguments, COULD_NOT, Command};

fn read(line: &str) -> Result<Explain, clap::Error> {
    match Arguments::try_parse_from(["countersign", "risk", "explain"].into_iter().chain(line.split_whitespace()))?.command {
        Command::Risk(RiskCommand::Explain(asked)) => Ok(asked),
        other => panic!("another command: {other:?}"),
    }
}

#[test]
fn one_source_is_named_and_only_one() {
    for line in [
        "--decision main.1.1",
        "--decision main.1.1 --socket /run/c --svg o.svg --json",
        "--decision main.1.1 --config c.toml",
        "--corpus c.jsonl --event 0",
        "--corpus c.jsonl --event 7 --weights w.toml --threshold 40 --svg o.svg --json",
    ] {
        assert!(read(line).is_ok(), "{line}: {:?}", read(line).err());
    }
    for line in [
        "",
        "--svg o.svg",
        "--event 1",
        "--corpus c.jsonl",
        "--corpus c.jsonl --event -1",
        "--corpus c.jsonl --event 1 --threshold 101",
        "--corpus c.jsonl --event 1 --socket /run/c",
        "--corpus c.jsonl --event 1 --config c.toml",
        "--decision main.1.1 --corpus c.jsonl --event 1",
        "--decision main.1.1 --event 1",
        "--decision main.1.1 --weights w.toml",
        "--decision main.1.1 --threshold 40",
        "--decision main.1.1 --socket a --config b",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

#[test]
fn an_event_of_a_corpus_is_explained_and_drawn_once() {
    let folder = tempfile::tempdir().unwrap();
    let (corpus, picture) = (folder.path().join("c.jsonl"), folder.path().join("o.svg"));
    let event = r#"{"t":"2026-03-03T09:00:00Z","subject":"ada\u001b[2J","session":"s","ip":"81.2.69.142","user_agent":"Firefox","cnf":null,"place":{},"auth":"phr","label":"genuine","kind":"home"}"#;
    std::fs::write(&corpus, format!("{event}\n{event}\n")).unwrap();
    let line = |event: usize| format!("--corpus {} --event {event} --svg {}", corpus.display(), picture.display());
    let breakdown = explain(&read(&line(0)).unwrap()).unwrap();
    assert_eq!((breakdown.event.as_str(), breakdown.score.value()), ("event 0 of c.jsonl: genuine", 30));
    assert!(std::fs::read_to_string(&picture).unwrap().starts_with("<svg "));
    assert!(!clean(&breakdown.to_string()).contains('\u{1b}'));
    let again = explain(&read(&line(1)).unwrap()).unwrap_err();
    assert!(again.code == COULD_NOT && again.text.contains("o.svg: "), "{again:?}");
    std::fs::remove_file(&picture).unwrap();
    assert_eq!(explain(&read(&line(1)).unwrap()).unwrap().score.value(), 0, "the step-up of the first taught it");
    std::fs::remove_file(&picture).unwrap();
    let short = explain(&read(&line(2)).unwrap()).unwrap_err();
    assert!(short.text.ends_with("there is no event 2: the corpus holds 2, which are numbered from 0"), "{short:?}");
    assert!(!picture.exists(), "a picture of nothing is left behind");
}
