//! What a batch saves: a hundred evaluations by a hundred calls over one connection, against one batch of a hundred, in the same run.
//! `cargo bench -p countersign-pdp-server --bench boxcar`

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign_pdp_engine::policy::{Policy, PolicySource};
use countersign_pdp_engine::request::Pep;
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_pdp_server::config::{Authzen, Enforcer, Patience};
use countersign_pdp_server::front_door::{self, Limits};
use countersign_pdp_server::policies;
use countersign_pdp_server::serve::{self, Parts};
use countersign_sdk_types::{PepId, Revision, Tenant};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const SECRET: &str = "the secret of this benchmark";
const ITEMS: usize = 100;
const ROUNDS: usize = 15;

type Failed = Box<dyn std::error::Error>;

#[expect(clippy::print_stdout, reason = "this is what the benchmark is for")]
fn main() -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(16 << 20).build()?;
    let (calls, batches) = runtime.block_on(measure())?;
    let (call, batch) = (median(calls), median(batches));
    println!(
        "{ITEMS} calls: {call:?}; one batch of {ITEMS}: {batch:?}; ratio {:.1} (medians of {ROUNDS})",
        call.as_secs_f64() / batch.as_secs_f64()
    );
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

async fn measure() -> Result<(Vec<Duration>, Vec<Duration>), Failed> {
    let data = tempfile::tempdir()?;
    let decider = Arc::new(serve::assemble(parts(data.path())?)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let stream = TcpStream::connect(listener.local_addr()?).await?;
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(front_door::serve(listener, serve::router(decider), Limits::default(), stopped));
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (mut calls, mut batches) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = now();
        for at in 0..ITEMS {
            let answer = post(&mut sender, "/access/v1/evaluation", &question(at)).await?;
            is_permit(&answer)?;
        }
        calls.push(start.elapsed());
        let items: Vec<Value> = (0..ITEMS).map(|at| json!({"resource": resource(at)})).collect();
        let batch = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "write"}, "evaluations": items});
        let start = now();
        let answer = post(&mut sender, "/access/v1/evaluations", &batch).await?;
        batches.push(start.elapsed());
        let answers = answer.get("evaluations").and_then(Value::as_array).ok_or("no evaluations")?;
        answers.iter().try_for_each(is_permit)?;
        assert_eq!(answers.len(), ITEMS, "all are answered");
    }
    Ok((calls, batches))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
fn now() -> Instant {
    Instant::now()
}

fn is_permit(answer: &Value) -> Result<(), Failed> {
    if answer.get("decision") == Some(&Value::Bool(true)) { Ok(()) } else { Err(format!("no permit: {answer}").into()) }
}

fn resource(at: usize) -> Value {
    json!({"type": "record", "id": "record-1", "properties": {"number": at}})
}

fn question(at: usize) -> Value {
    json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "write"}, "resource": resource(at)})
}

async fn post(sender: &mut SendRequest<Full<Bytes>>, path: &str, body: &Value) -> Result<Value, Failed> {
    let request = Request::post(path).header("host", "pdp").header("content-type", "application/json");
    let request = request.header("x-countersign-pep", format!("app:{SECRET}")).body(Full::from(body.to_string()))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("status {}", response.status()).into());
    }
    Ok(serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?)
}

fn parts(data: &Path) -> Result<Parts, Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/examples/authzen");
    let source = PolicySource::from_files("authz", policies::read(&folder)?)?;
    let policy = policies::deep(|| Policy::compile(&source))??;
    let pep = Pep { id: PepId::new("app")?, asserts_subject: true, asserts_client: false, asserts: BTreeSet::new() };
    let enforcer = Enforcer { secret: Some(Enforcer::digest(SECRET)), ..Enforcer::new(pep, vec!["127.0.0.1/32".parse()?]) };
    Ok(Parts {
        enforcers: vec![enforcer],
        patience: Patience { deadline: Duration::from_secs(8), ..Patience::default() },
        authzen: Authzen { deadline: Duration::from_secs(8), ..Authzen::default() },
        ..Parts::new(Snapshot::new(Revision::new("benchmark")?, policy), Tenant::new("main")?, data.to_owned())
    })
}
