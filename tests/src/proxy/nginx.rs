//! nginx, without root and without a system configuration.

use std::path::Path;
use std::process::Command;

use super::Places;
use crate::process::Process;
use crate::stage::FROM;

const EXAMPLE: &str = include_str!("../../../sdk/examples/nginx/countersign.conf");

#[track_caller]
pub(super) fn start(folder: &Path, places: &Places<'_>) -> Process {
    let patience = places.patience_ms;
    let http = places.put_into(
        EXAMPLE,
        &[
            ("proxy_connect_timeout 200ms", &format!("proxy_connect_timeout {patience}ms")),
            ("proxy_read_timeout 500ms", &format!("proxy_read_timeout {patience}ms")),
        ],
    );
    let text = format!(
        "daemon off; master_process off; error_log stderr warn; pid {dir}/nginx.pid;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;\n \
         uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n set_real_ip_from 127.0.0.1; real_ip_header {FROM};\n{http}\n}}\n",
        dir = folder.display()
    );
    let configuration = folder.join("nginx.conf");
    std::fs::write(&configuration, text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(&configuration);
    let mut nginx = Process::start(&mut command, &folder.join("nginx.log"));
    nginx.wait_for_port(places.port);
    nginx
}
