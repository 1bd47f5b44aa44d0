//! Whether a Cassandra node takes queries: the few frames of its protocol, version 4, that need no driver.
//!
//! Frames as in <https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v4.spec>.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 16 << 20;
const ERROR: u8 = 0x00;
const STARTUP: u8 = 0x01;
const READY: u8 = 0x02;
const AUTHENTICATE: u8 = 0x03;
const QUERY: u8 = 0x07;
const RESULT: u8 = 0x08;
const AUTH_RESPONSE: u8 = 0x0F;
const AUTH_SUCCESS: u8 = 0x10;
const CONSISTENCY_ONE: u16 = 1;

/// Connects, logs in where `credentials` are given, and reads how many other nodes that node knows, with their
/// tokens. A node that wants a password when none is given, or the reverse, is an error too.
pub(crate) fn peers(contact_point: &str, credentials: Option<(&str, &str)>) -> io::Result<i64> {
    let address = contact_point.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no such host"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;

    let mut startup = vec![0, 1];
    short_string(&mut startup, "CQL_VERSION");
    short_string(&mut startup, "3.0.0");
    match (exchange(&mut stream, STARTUP, &startup)?.0, credentials) {
        (READY, None) => {}
        (AUTHENTICATE, Some((username, password))) => {
            let mut answer = Vec::new();
            long_string(&mut answer, &format!("\0{username}\0{password}"));
            expect(AUTH_SUCCESS, exchange(&mut stream, AUTH_RESPONSE, &answer)?.0)?;
        }
        (READY, Some(_)) => return Err(io::Error::other("the node asks for no password")),
        (AUTHENTICATE, None) => return Err(io::Error::other("the node asks for a password")),
        (other, _) => expect(READY, other)?,
    }
    let mut query = Vec::new();
    long_string(&mut query, "SELECT count(tokens) FROM system.peers");
    query.extend_from_slice(&CONSISTENCY_ONE.to_be_bytes());
    query.push(0);
    let (opcode, answer) = exchange(&mut stream, QUERY, &query)?;
    expect(RESULT, opcode)?;
    // The one cell of the one row, a bigint, ends the answer.
    answer
        .last_chunk()
        .map(|count| i64::from_be_bytes(*count))
        .ok_or_else(|| io::Error::other("an empty answer"))
}

fn expect(wanted: u8, got: u8) -> io::Result<()> {
    if got == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!("the node answered with opcode {got:#04x} in place of {wanted:#04x}")))
}

/// Sends one request and returns the answer's opcode and body; Cassandra's own errors become errors with its words.
fn exchange(stream: &mut TcpStream, opcode: u8, body: &[u8]) -> io::Result<(u8, Vec<u8>)> {
    let mut frame = vec![0x04, 0, 0, 0, opcode];
    frame.extend_from_slice(&u32::try_from(body.len()).map_err(io::Error::other)?.to_be_bytes());
    frame.extend_from_slice(body);
    stream.write_all(&frame)?;
    let mut header = [0; 9];
    stream.read_exact(&mut header)?;
    let [_, _, _, _, answer, length @ ..] = header;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::other(format!("an answer of {length} bytes")));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    if answer == ERROR {
        // Four bytes of code, two of length, the message.
        let message = String::from_utf8_lossy(body.get(6..).unwrap_or_default()).into_owned();
        return Err(io::Error::other(message));
    }
    Ok((answer, body))
}

fn short_string(body: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("a string of ours is short");
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}

fn long_string(body: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).expect("a string of ours is short");
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}
