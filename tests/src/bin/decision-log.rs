//! Writes a made-up log of decisions under the starter policy, one record a line, gzip where the name ends in `.gz`: `decision-log COUNT FILE`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a tool of the tests fails by panicking, with what it saw")]

use std::fs::File;
use std::io::{BufWriter, Write};

use countersign_tests::decisions::records;
use flate2::Compression;
use flate2::write::GzEncoder;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: decision-log COUNT FILE";
    let (count, path) = (arguments.next().expect(usage).parse().expect(usage), arguments.next().expect(usage));
    let mut snapshot = countersign_pdp_server::policies::starter().unwrap();
    // A busy machine must not turn an allow into a deny here.
    snapshot.budget = std::time::Duration::from_secs(10);
    let is_gzip = path.ends_with(".gz");
    let file = BufWriter::new(File::create(path).unwrap());
    let mut file: Box<dyn Write + Send> = if is_gzip { Box::new(GzEncoder::new(file, Compression::fast())) } else { Box::new(file) };
    countersign_pdp_server::policies::deep(|| {
        for record in records(&snapshot, count, 1) {
            serde_json::to_writer(&mut file, &record).unwrap();
            file.write_all(b"\n").unwrap();
        }
    })
    .unwrap();
    // A gzip stream ends when it is dropped.
    file.flush().unwrap();
}
