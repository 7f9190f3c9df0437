//! HAProxy with our script.

use std::path::Path;
use std::process::Command;

use super::Places;
use crate::process::Process;
use crate::stage::FROM;

const EXAMPLE: &str = include_str!("../../../sdk/examples/haproxy/haproxy.cfg");
const SCRIPT: &str = include_str!("../../../sdk/examples/haproxy/countersign.lua");

#[track_caller]
pub(super) fn start(folder: &Path, places: &Places<'_>) -> Process {
    let bind = format!("    bind 127.0.0.1:{}\n", places.port);
    let text = places.put_into(
        EXAMPLE,
        &[
            ("COUNTERSIGN_TIMEOUT 500", &format!("COUNTERSIGN_TIMEOUT {}", places.patience_ms)),
            (&bind, &format!("{bind}    http-request set-src hdr({FROM}) if {{ hdr({FROM}) -m found }}\n")),
        ],
    );
    std::fs::write(folder.join("haproxy.cfg"), text).unwrap();
    std::fs::write(folder.join("countersign.lua"), SCRIPT).unwrap();
    let mut command = Command::new("haproxy");
    // In the foreground, and as one process: what is ended is all of it.
    command.current_dir(folder).args(["-db", "-f", "haproxy.cfg"]);
    let mut haproxy = Process::start(&mut command, &folder.join("haproxy.log"));
    haproxy.wait_for_port(places.port);
    haproxy
}
