//! One connection of HTTP/1.1 that is kept: as much of it as questions and their answers need.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest answer.
const LONGEST: usize = 64 * 1024;

/// A connection.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    port: u16,
    pep: String,
    buffer: Vec<u8>,
}

impl Line {
    /// Connects to a port of this machine, for an enforcement point `id:secret`.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(port: u16, pep: &str) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, port, pep: pep.to_owned(), buffer: Vec::new() })
    }

    /// Asks a question of AuthZEN, and gives status and body of the answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer has another form than this server's.
    pub async fn ask(&mut self, question: &str) -> io::Result<(u16, String)> {
        let head = format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nx-countersign-pep: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.port,
            self.pep,
            question.len()
        );
        self.stream.write_all(&[head.as_bytes(), question.as_bytes()].concat()).await?;
        self.buffer.clear();
        loop {
            if let Some(answer) = read(&self.buffer) {
                return Ok(answer);
            }
            if self.buffer.len() > LONGEST || self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// A whole answer, once it is there.
fn read(buffer: &[u8]) -> Option<(u16, String)> {
    let text = std::str::from_utf8(buffer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let header =
        |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:").and_then(|length| length.trim().parse::<usize>().ok());
    let length = head.lines().find_map(header)?;
    (body.len() >= length).then(|| (status, body.to_owned()))
}
