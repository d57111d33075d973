//! A proxy between the engine and a store that does harm: seeded, counted, switched at any time. It knows HTTP/1.1 as far as S3 uses it
//! and nothing of signatures.
//!
//! Each connection carries one request, so that what is cut is known. Creates are handed on one at a time.

use crate::{Failure, Result};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is done to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// The answer comes late.
    Slow,
    /// 503 without the store's having heard of it.
    Busy,
    /// The connection is cut before the store has heard of it.
    CutBefore,
    /// The store does it and the answer is lost with the connection.
    CutAfter,
    /// The store does it and the answer is 500.
    Failed,
    /// The connection is cut, and the store gets the request some time later.
    Late,
}

impl Harm {
    /// All kinds.
    pub const ALL: [Harm; 6] =
        [Harm::Slow, Harm::Busy, Harm::CutBefore, Harm::CutAfter, Harm::Failed, Harm::Late];
}

/// What the proxy does with requests.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// So many of a hundred requests are harmed.
    pub percent: u64,
    /// In these ways by turns: creates by their own turns, other requests by theirs.
    pub harms: Vec<Harm>,
    /// Whether creates only (`If-None-Match: *`) are harmed.
    pub creates_only: bool,
    /// Whether all connections are cut at once.
    pub away: bool,
    /// Whether conditions are taken out, as if the store did not know them.
    pub without_conditions: bool,
    /// An answer to everything instead of the store's: status and body.
    pub refuses: Option<(u16, String)>,
}

/// The longest that an answer or a late request is held up.
const HOLD_MS_MAX: u64 = 400;

/// A running proxy. Its threads end with the process.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    state: Mutex<State>,
    /// Held over a create.
    creating: Mutex<()>,
}

struct State {
    plan: Plan,
    random: u64,
    /// How often which harm was done to creates, and to other requests.
    creates: BTreeMap<Harm, u64>,
    others: BTreeMap<Harm, u64>,
}

struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn is_create(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\nif-none-match: *")
    }
}

impl Proxy {
    /// A proxy before the store at `upstream` (`host:port`) that does no harm yet.
    ///
    /// # Errors
    /// If it gets no port.
    pub fn start(upstream: &str, seed: u64) -> Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = State {
            plan: Plan::default(),
            random: seed,
            creates: BTreeMap::new(),
            others: BTreeMap::new(),
        };
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            state: Mutex::new(state),
            creating: Mutex::new(()),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                // A client or a store that goes away in the middle is what this is for.
                std::thread::spawn(move || drop(shared.serve(&client)));
            }
        });
        Ok(Proxy { address, shared })
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on does as `plan` says.
    pub fn follow(&self, plan: Plan) {
        self.shared.state().plan = plan;
    }

    /// How often which harm was done to creates.
    pub fn creates(&self) -> BTreeMap<Harm, u64> {
        self.shared.state().creates.clone()
    }

    /// How often which harm was done to other requests.
    pub fn others(&self) -> BTreeMap<Harm, u64> {
        self.shared.state().others.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, client: &TcpStream) -> Result<()> {
        let request = read(client)?;
        let (plan, harm, hold) = self.state().decide(&request);
        if plan.away {
            return Ok(client.shutdown(Shutdown::Both)?);
        }
        if let Some((status, body)) = &plan.refuses {
            return answer(client, *status, body);
        }
        let store = |request: &Request| self.ask(request, plan.without_conditions);
        match harm {
            None => relay(client, &store(&request)?),
            Some(Harm::Slow) => {
                let found = store(&request)?;
                std::thread::sleep(hold);
                relay(client, &found)
            }
            Some(Harm::Busy) => answer(client, 503, &error("SlowDown")),
            Some(Harm::CutBefore) => Ok(client.shutdown(Shutdown::Both)?),
            Some(Harm::CutAfter) => {
                store(&request)?;
                Ok(client.shutdown(Shutdown::Both)?)
            }
            Some(Harm::Failed) => {
                store(&request)?;
                answer(client, 500, &error("InternalError"))
            }
            Some(Harm::Late) => {
                client.shutdown(Shutdown::Both)?;
                std::thread::sleep(hold);
                store(&request).map(drop)
            }
        }
    }

    /// The store's answer, whole.
    fn ask(&self, request: &Request, without_conditions: bool) -> Result<Vec<u8>> {
        let lines = request.head.trim_end().split("\r\n");
        let kept = lines.filter(|line| {
            let line = line.to_ascii_lowercase();
            let condition = without_conditions && line.starts_with("if-none-match:");
            !condition && !line.starts_with("connection:")
        });
        let head = kept.collect::<Vec<_>>().join("\r\n") + "\r\nConnection: close\r\n\r\n";
        let _one = request
            .is_create()
            .then(|| self.creating.lock().unwrap_or_else(PoisonError::into_inner));
        let mut store = TcpStream::connect(&self.upstream)?;
        store.write_all(head.as_bytes())?;
        store.write_all(&request.body)?;
        let mut found = Vec::new();
        store.read_to_end(&mut found)?;
        Ok(found)
    }
}

impl State {
    fn decide(&mut self, request: &Request) -> (Plan, Option<Harm>, Duration) {
        let plan = self.plan.clone();
        let create = request.is_create();
        let (chance, hold) = (self.draw() % 100, self.draw() % HOLD_MS_MAX);
        let counts = if create { &mut self.creates } else { &mut self.others };
        let turn = counts.values().sum::<u64>() as usize;
        let harmed = chance < plan.percent && (create || !plan.creates_only);
        let harm = plan.harms.iter().cycle().nth(turn).copied().filter(|_| harmed);
        if let Some(harm) = harm {
            *counts.entry(harm).or_default() += 1;
        }
        (plan, harm, Duration::from_millis(hold))
    }

    /// SplitMix64: every seed gives a good sequence.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

/// An error as S3 writes it.
pub fn error(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>said by the proxy</Message></Error>"
    )
}

fn read(client: &TcpStream) -> Result<Request> {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(Failure::new("the client closed the connection before a whole request"));
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let length = length.transpose().map_err(|e| Failure(format!("content-length: {e}")))?;
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Request { head, body })
}

fn relay(mut client: &TcpStream, found: &[u8]) -> Result<()> {
    Ok(client.write_all(found)?)
}

fn answer(mut client: &TcpStream, status: u16, body: &str) -> Result<()> {
    let head = format!(
        "HTTP/1.1 {status} said by the proxy\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    Ok(client.write_all((head + body).as_bytes())?)
}
