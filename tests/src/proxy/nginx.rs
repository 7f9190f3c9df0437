//! nginx, without root and without a system configuration.

use std::path::Path;
use std::process::Command;

use super::Places;
use crate::process::Process;
use crate::stage::FROM;

const EXAMPLE: &str = include_str!("../../../sdk/examples/nginx/countersign.conf");

/// What goes into the block `http { … }`: the example, and that the address is taken from [`FROM`].
#[track_caller]
pub(super) fn configuration(places: &Places<'_>) -> String {
    let patience = places.patience_ms;
    let example = places.put_into(
        EXAMPLE,
        &[
            ("proxy_connect_timeout 200ms", &format!("proxy_connect_timeout {patience}ms")),
            ("proxy_read_timeout 500ms", &format!("proxy_read_timeout {patience}ms")),
        ],
    );
    format!("set_real_ip_from 127.0.0.1; real_ip_header {FROM};\n{example}")
}

/// Starts nginx with this in its block `http { … }` and waits until it listens on `port`.
///
/// # Panics
/// When nginx is missing or refuses the configuration.
#[track_caller]
#[must_use]
pub fn start(folder: &Path, http: &str, port: u16) -> Process {
    let configuration = folder.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; error_log stderr warn; pid {dir}/nginx.pid;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;\n \
         uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n{http}\n}}\n",
        dir = folder.display()
    );
    std::fs::write(&configuration, text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(&configuration);
    let mut nginx = Process::start(&mut command, &folder.join("nginx.log"));
    nginx.wait_for_port(port);
    nginx
}
