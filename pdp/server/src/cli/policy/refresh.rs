//! `countersign policy refresh`: a running server looks at the source of its policies now.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::control::{self, Door};
use crate::cli::{fail, say};

/// What `refresh` is told.
#[derive(Debug, Args)]
pub(in crate::cli) struct Refresh {
    #[command(flatten)]
    door: Door,
}

/// Wakes a look, and does not wait for what comes of it.
pub(in crate::cli) fn run(asked: &Refresh) -> ExitCode {
    match control::post::<Value>(&asked.door, "/policies/refresh", &Value::Null) {
        Err(failure) => fail(failure.code, &failure.text),
        Ok(_) if asked.door.json => say(&json!({ "looked_at": true }).to_string()),
        Ok(_) => say("the source of policies is looked at now"),
    }
}
