//! A server that answers as a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// `PUT /bucket/key`, for instance.
    pub(super) line: String,
    /// In small letters, one a line.
    pub(super) headers: String,
    pub(super) body: Vec<u8>,
}

/// What is done with a request.
pub(super) enum Reply {
    /// Status, more headers (each with its line end), body.
    Answer(u16, &'static str, String),
    /// The connection is closed without a word.
    Nothing,
}

/// A server on loopback. Its thread ends with the process.
pub(super) struct Stub {
    pub(super) endpoint: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Stub {
    pub(super) fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if let Some(request) = read(&stream) {
                    noted.lock().unwrap().push(request.clone());
                    answer(&stream, &reply(&request));
                }
            }
        });
        Stub { endpoint, seen }
    }

    /// The requests whose line begins with `method`.
    pub(super) fn seen(&self, method: &str) -> Vec<Request> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|request| request.line.starts_with(method)).cloned().collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let mut headers = String::new();
    while !headers.ends_with("\r\n\r\n") && reader.read_line(&mut headers).unwrap() > 2 {}
    let headers = headers.to_lowercase();
    let length = headers
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let line = line.rsplit_once(' ').unwrap().0.to_owned();
    Some(Request { line, headers, body })
}

fn answer(mut stream: &TcpStream, reply: &Reply) {
    let Reply::Answer(status, headers, body) = reply else { return };
    let head = format!(
        "HTTP/1.1 {status} said\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // A client that has gone away wants no answer.
    drop(stream.write_all(head.as_bytes()));
}
