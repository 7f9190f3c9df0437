//! A real nginx with a configuration of the test's own, without root and without a system configuration.

use std::path::Path;
use std::process::Command;

use crate::process::Process;

/// Starts nginx with the given `http { … }` content and waits until it listens on `port`.
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
    std::fs::write(&configuration, text).unwrap_or_else(|error| panic!("cannot write the nginx configuration: {error}"));
    let mut command = Command::new("nginx");
    command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(&configuration);
    let mut nginx = Process::start(&mut command, &folder.join("nginx.log"));
    nginx.wait_for_port(port);
    nginx
}
