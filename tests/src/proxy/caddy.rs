//! Caddy.

use std::path::Path;
use std::process::Command;

use super::Places;
use crate::process::{Process, part};
use crate::stage::FROM;

const EXAMPLE: &str = include_str!("../../../sdk/examples/caddy/Caddyfile");

#[track_caller]
pub(super) fn start(folder: &Path, places: &Places<'_>) -> Process {
    let patience = places.patience_ms;
    let network = format!("\tadmin off\n\tservers {{\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\tclient_ip_headers {FROM}\n\t}}\n");
    let text = places.put_into(
        EXAMPLE,
        &[
            ("dial_timeout 200ms", &format!("dial_timeout {patience}ms")),
            ("response_header_timeout 500ms", &format!("response_header_timeout {patience}ms")),
            ("\tadmin off\n", &network),
        ],
    );
    std::fs::write(folder.join("Caddyfile"), text).unwrap();
    let mut command = Command::new(part("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).current_dir(folder);
    command.env("XDG_CONFIG_HOME", folder).env("XDG_DATA_HOME", folder);
    let mut caddy = Process::start(&mut command, &folder.join("caddy.log"));
    caddy.wait_for_port(places.port);
    caddy
}
