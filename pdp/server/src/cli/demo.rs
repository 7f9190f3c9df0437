//! `countersign demo`: for a person with a browser, or as a script that holds only if every step came out as told.

mod told;

use std::io::IsTerminal as _;
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
    /// The loopback port of all its hosts; 0 takes any that is free. Without it, 8080; the script takes any.
    #[arg(long)]
    port: Option<u16>,
    /// Keep the data in this folder, and go on from there the next time. Without it they go with the process.
    #[arg(long)]
    data: Option<PathBuf>,
    /// With `--script`: the steps as JSON.
    #[arg(long, requires = "script")]
    json: bool,
    /// Log what happens to standard error; without it, warnings only.
    #[arg(long)]
    verbose: bool,
}

const PORT: u16 = 8080;

pub(super) fn run(command: DemoCommand) -> ExitCode {
    log(command.verbose);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(COULD_NOT, &error),
    };
    let DemoCommand { script, port, data, json, .. } = command;
    if script {
        return match runtime.block_on(demo::script(Demo { port: port.unwrap_or(0), data })) {
            Ok(played) => tell(&played, json),
            Err(error) => fail(COULD_NOT, &error),
        };
    }
    let demo = Demo { port: port.unwrap_or(PORT), data };
    let announce = |url: &str| {
        let _ = say(&told::welcome(url));
    };
    match runtime.block_on(demo::run(demo, announce)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(COULD_NOT, &error),
    }
}

fn log(verbose: bool) {
    let filter = tracing_subscriber::EnvFilter::new(if verbose { "info" } else { "warn" });
    let colors = std::io::stderr().is_terminal() && told::colors_wanted();
    tracing_subscriber::fmt().compact().with_ansi(colors).with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn tell(played: &Played, as_json: bool) -> ExitCode {
    if as_json {
        let _ = say(&json!({"holds": played.holds(), "steps": played.steps, "why": played.why}).to_string());
    } else {
        let colors = std::io::stdout().is_terminal() && told::colors_wanted();
        let _ = say(&told::story(played, if colors { told::Ink::Colored } else { told::Ink::Plain }));
    }
    if played.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
