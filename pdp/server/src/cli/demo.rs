//! `countersign demo`: for a person with a browser, or as a script that holds only if every step came out as told.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_pdp_demo::story::Played;
use serde_json::json;

use super::{COULD_NOT, fail, runtime, say};
use crate::demo::{self, Demo};

/// What to show.
#[derive(Debug, Args)]
pub(super) struct DemoCommand {
    /// Play the story in the terminal, with a software authenticator as the passkey. Exit code 1 when a step did not come out as told.
    #[arg(long)]
    script: bool,
    /// The loopback port of all its hosts; the script takes any.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Keep the data in this folder. Without it they go with the process.
    #[arg(long)]
    data: Option<PathBuf>,
    /// With `--script`: the steps as JSON.
    #[arg(long, requires = "script")]
    json: bool,
}

pub(super) fn run(command: DemoCommand) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(COULD_NOT, &error),
    };
    let DemoCommand { script, port, data, json } = command;
    if script {
        return match runtime.block_on(demo::script(Demo { port: 0, data })) {
            Ok(played) => tell(&played, json),
            Err(error) => fail(COULD_NOT, &error),
        };
    }
    let announce = |url: &str| {
        let _ = say(&format!("the demonstration is at {url}\nend it with Ctrl-C"));
    };
    match runtime.block_on(demo::run(Demo { port, data }, announce)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(COULD_NOT, &format!("{error}; `--port` takes another one")),
    }
}

fn tell(played: &Played, as_json: bool) -> ExitCode {
    if as_json {
        let steps: Vec<_> = played.steps.iter().map(|step| json!({"told": step.told, "held": step.held, "seen": step.seen})).collect();
        let _ = say(&json!({"holds": played.holds(), "steps": steps, "why": played.why}).to_string());
    } else {
        for step in &played.steps {
            let _ = say(&format!("{} {}\n      {}", if step.held { "✔" } else { "✘" }, step.told, step.seen));
        }
        let _ = say(&format!("\nwhy the attacker was stopped:\n{}", played.why));
    }
    if played.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
