//! As much of an HTTP client as the tests need, sharing nothing with the server.
#![expect(clippy::unwrap_used, reason = "tests")]

use crate::ids::Tick;
use crate::views::fixture::Table;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A deadline, not a measure: far beyond what any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) fn get(at: SocketAddr, path: &str) -> Answer {
    send(at, "GET", path, &[], "")
}

pub(crate) fn post(at: SocketAddr, path: &str, body: &str) -> Answer {
    send(at, "POST", path, &[("content-length", &body.len().to_string())], body)
}

pub(crate) fn send(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let (mut answer, mut rest) = request(at, method, path, headers, body);
    if answer.header("transfer-encoding") == Some("chunked") {
        while let Some(chunk) = read_chunk(&mut rest) {
            answer.body.push_str(&chunk);
        }
    } else {
        rest.read_to_string(&mut answer.body).unwrap();
    }
    answer
}

fn request(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (Answer, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let status = line().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    (Answer { status, headers, body: String::new() }, reader)
}

fn read_chunk(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    // A server that is gone ends the stream as well.
    from.read_line(&mut line).ok()?;
    let length = usize::from_str_radix(line.trim(), 16).ok().filter(|length| *length > 0)?;
    let mut chunk = vec![0; length + 2];
    from.read_exact(&mut chunk).ok()?;
    chunk.truncate(length);
    Some(String::from_utf8(chunk).unwrap())
}

/// A stream of events.
pub(crate) struct Events {
    rest: BufReader<TcpStream>,
    text: String,
}

impl Events {
    pub(crate) fn open(at: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Events {
        let (answer, rest) = request(at, "GET", path, headers, "");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        Events { rest, text: String::new() }
    }

    /// The next event: its name, id and data. `None` at the end.
    pub(crate) fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name| {
                    event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").to_owned()
                };
                let (name, id, data) = (field("event: "), field("id: "), field("data: "));
                self.text = rest.to_owned();
                if !name.is_empty() {
                    return Some((name, id, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            self.text.push_str(&read_chunk(&mut self.rest)?);
        }
    }

    /// Applies changes until the `tick` event of `last` or later; gives its id.
    pub(crate) fn apply_through(&mut self, last: Tick, table: &mut Table) -> String {
        loop {
            let (event, id, data) = self.next().unwrap();
            let number = |name: &str| data[name].as_u64().unwrap();
            match (event.as_str(), data["diff"].as_i64()) {
                ("change", Some(-1)) => {
                    assert_eq!(table.remove(&number("key")), Some(number("value")));
                }
                ("change", Some(1)) => {
                    assert_eq!(table.insert(number("key"), number("value")), None);
                }
                ("tick", None) if number("tick") >= last => return id,
                ("tick", None) => {}
                other => panic!("{other:?} {data}"),
            }
        }
    }
}
