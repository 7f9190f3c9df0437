//! The command line. Exit codes: 0 done, 1 found something, 2 could not, 64 usage, 78 configuration.

mod conformance;
mod control;
mod demo;
mod doctor;
mod policy;
mod risk;
mod snapshot;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::Config;
use crate::jail::Kind;
use crate::opa::Opa;
use crate::openapi::Listener;
use crate::policies::STACK;
use crate::{jail, serve};

/// A zero-trust policy decision point: allow, deny, or prove it again.
#[derive(Debug, Parser)]
#[command(name = "countersign", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show all of it on this machine: a stolen token meets a passkey. With `--script`, in the terminal.
    Demo(demo::DemoCommand),
    /// Run the decision point.
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Say everything that is wrong with a configuration and with what it names.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    #[command(flatten)]
    Control(control::ControlCommand),
    /// Work on policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Say what in the configuration of a proxy would let somebody past the decision point.
    Doctor(doctor::DoctorCommand),
    /// Measure the risk engine.
    #[command(subcommand)]
    Risk(risk::RiskCommand),
    /// Sign a snapshot for who decides in-process, or look at one.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Run a file of other people's cases, and say which passed.
    #[command(subcommand)]
    Conformance(conformance::ConformanceCommand),
    /// Print the version of this build.
    Version {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check the policy on standard input, confined. The server starts this itself.
    #[command(hide = true)]
    Jail {
        /// The size of the candidate, in bytes.
        size: u64,
        /// It is a library with OPA's semantics, and no policy.
        #[arg(long, conflicts_with = "tests")]
        library: bool,
        /// Its tests are run and told one by one.
        #[arg(long)]
        tests: bool,
    },
    /// Print the OpenAPI document of a listener.
    Openapi {
        /// Whose.
        #[arg(long, default_value = "decision")]
        listener: Listener,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const COULD_NOT: u8 = 2;
const USAGE: u8 = 64;
const CONFIGURATION: u8 = 78;

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => run_command(arguments.command),
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

fn run_command(command: Command) -> ExitCode {
    match command {
        Command::Demo(command) => demo::run(command),
        Command::Serve { config } => with_config(&config, |config| finish(start(config))),
        Command::CheckConfig { config } => with_config(&config, |config| match check(config) {
            Ok(()) => say("the configuration can be used"),
            Err(error) => fail(CONFIGURATION, &error),
        }),
        Command::Control(command) => control::run(&command),
        Command::Policy(command) => policy::run(&command),
        Command::Doctor(command) => doctor::run(&command),
        Command::Risk(command) => risk::run(&command),
        Command::Snapshot(command) => snapshot::run(command),
        Command::Conformance(command) => conformance::run(&command),
        Command::Version { json } => policy::version(json),
        Command::Jail { size, library: true, .. } => jail::run(Kind::Library, size),
        Command::Jail { size, tests: true, .. } => jail::run(Kind::Tests, size),
        Command::Jail { size, .. } => jail::run(Kind::Policy, size),
        Command::Openapi { listener } => listener.json().map_or_else(|error| fail(COULD_NOT, &error), |text| say(text.trim_end())),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "countersign", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
    }
}

fn with_config(file: &std::path::Path, then: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match Config::load(file) {
        Ok(config) => then(config),
        Err(error) => fail(CONFIGURATION, &error.to_string()),
    }
}

fn check(mut config: Config) -> Result<(), String> {
    let opa = config.opa.take();
    serve::Parts::load_aside(config)?.policy.offered()?;
    opa.map_or(Ok(()), |options| runtime()?.block_on(Opa::check(&options)))
}

fn start(config: Config) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::new("info");
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    runtime()?.block_on(serve::run(config))
}

/// Policies are evaluated on its threads, so their stacks are as large as the checks assume.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    runtime.map_err(|error| error.to_string())
}

fn finish(result: Result<(), String>) -> ExitCode {
    result.map_or_else(|error| fail(COULD_NOT, &error), |()| ExitCode::SUCCESS)
}

fn say(text: &str) -> ExitCode {
    // Whoever reads no further has what they wanted.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the one place that tells a person what went wrong")]
fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("countersign: {text}");
    ExitCode::from(code)
}
