//! `kill_writer <folder>`: appends without end from four threads and prints what was acknowledged. The crash test kills it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use countersign_pdp_store::{Expect, Options, RoleRecord, StateEvent, Store};
use countersign_sdk_types::{Tenant, Timestamp};

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else { return ExitCode::from(64) };
    let options = Options { segment_bytes: 16 * 1024, ..Options::default() };
    let (Ok(store), Ok(tenant)) = (Store::open(Path::new(&folder), options, Timestamp(1)), Tenant::new("acme")) else {
        return ExitCode::from(2);
    };
    let Ok(opened) = store.view().incarnation() else { return ExitCode::from(2) };
    thread::scope(|scope| {
        for writer in 0..4 {
            let (store, tenant) = (store.clone(), tenant.clone());
            scope.spawn(move || write(&store, &tenant, &format!("{opened}-{writer}")));
        }
    });
    ExitCode::from(2)
}

fn write(store: &Store, tenant: &Tenant, prefix: &str) {
    for n in 0_u64.. {
        let name = format!("{prefix}-{n}");
        let (by, at) = ("example".to_owned(), Timestamp(1));
        let event = StateEvent::UserUpserted { tenant: tenant.clone(), name: name.clone(), record: RoleRecord::default(), by, at };
        if store.append(event, Expect::Any).wait().is_err() || writeln!(std::io::stdout().lock(), "{name}").is_err() {
            return;
        }
    }
}
