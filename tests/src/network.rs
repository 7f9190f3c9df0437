//! The networks of many places before one server: each connection is handed on with the PROXY protocol's line, which says where it comes from.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use crate::stage::FROM;

const LONGEST_HEAD: usize = 64 * 1024;

/// A relay. Its threads end with the test process.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Listens on one loopback port and hands on to another. The first request of a connection says by its header [`FROM`] where it comes from.
    ///
    /// # Panics
    /// When the port is taken.
    #[track_caller]
    #[must_use]
    pub fn between(outside: u16, inside: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, outside)).unwrap_or_else(|error| panic!("no port {outside}: {error}"));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                std::thread::spawn(move || hand_on(client, inside));
            }
        });
        Self
    }
}

fn hand_on(mut client: TcpStream, inside: u16) -> std::io::Result<()> {
    let head = head_of(&mut client)?;
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, inside))?;
    let from = origin(&head).unwrap_or_else(|| Ipv4Addr::LOCALHOST.to_string());
    write!(server, "PROXY TCP4 {from} 127.0.0.1 40000 {inside}\r\n")?;
    server.write_all(&head)?;
    let (mut to_server, mut from_client) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || pass(&mut from_client, &mut to_server));
    pass(&mut server, &mut client);
    Ok(())
}

/// The bytes up to the end of the first request's headers, or all that came.
fn head_of(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut some = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        match client.read(&mut some)? {
            0 => break,
            length => head.extend_from_slice(&some[..length]),
        }
    }
    Ok(head)
}

fn origin(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let mut named = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case(FROM));
    named.next().map(|(_, value)| value.trim().to_owned())
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    let _ = std::io::copy(from, to);
    let _ = to.shutdown(Shutdown::Write);
}
