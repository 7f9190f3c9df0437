//! Envoy. It takes a client's address from the connection only, so a [`Network`] says by the PROXY protocol where each comes from.

use std::path::Path;
use std::process::Command;

use super::{Places, Running};
use crate::network::Network;
use crate::process::{Process, free_ports, part};

pub(super) const HTTP: &str = include_str!("../../../sdk/examples/envoy/envoy-http.yaml");
pub(super) const GRPC: &str = include_str!("../../../sdk/examples/envoy/envoy-grpc.yaml");

const OPTIONS: &str = "          common_http_protocol_options:\n";

#[track_caller]
pub(super) fn start(folder: &Path, places: &Places<'_>, example: &str) -> Running {
    let [behind] = free_ports();
    let address = |port: u16| format!("    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}\n");
    let listener = format!(
        "{}    listener_filters:\n    \
         - name: envoy.filters.listener.proxy_protocol\n      typed_config:\n        \
         \"@type\": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol\n",
        address(behind)
    );
    let text = places.put_into(
        example,
        &[
            (&address(places.port), &listener),
            // The next request may come from another place, so it comes over another connection.
            (OPTIONS, &format!("{OPTIONS}            max_requests_per_connection: 1\n")),
            ("timeout: 0.5s", &format!("timeout: {:.3}s", f64::from(places.patience_ms) / 1000.0)),
        ],
    );
    std::fs::write(folder.join("envoy.yaml"), text).unwrap();
    let mut command = Command::new(part("envoy-binary"));
    command.args(["-c", "envoy.yaml", "--log-level", "warn", "--use-dynamic-base-id", "--concurrency", "1"]).current_dir(folder);
    let mut envoy = Process::start(&mut command, &folder.join("envoy.log"));
    envoy.wait_for_port(behind);
    Running { _process: envoy, _network: Some(Network::between(places.port, behind)) }
}
