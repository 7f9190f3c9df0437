//! The binary `countersign`: reads the command line and hands over to the library.

fn main() -> std::process::ExitCode {
    countersign_pdp_server::cli::run()
}
