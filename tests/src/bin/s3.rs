//! A store that speaks S3, for trying things out: the same that the tests use.
//!
//! `s3 fetch` only fills the cache; `s3 run` starts a store with an empty bucket, prints its endpoint and the bucket and holds it until
//! the input ends or Ctrl-C.
#![expect(clippy::print_stdout, reason = "a command for people")]

use std::io::Read as _;
use tidemark_tests::s3::{self, Server};
use tidemark_tests::{Failure, Result};

fn main() -> Result<()> {
    match std::env::args().skip(1).collect::<Vec<_>>().join(" ").as_str() {
        "fetch" => s3::fetch(),
        "run" => {
            let server = Server::start()?;
            println!("{} {}", server.endpoint(), server.bucket()?);
            std::io::stdin().lock().read_to_end(&mut Vec::new())?;
            Ok(())
        }
        _ => Err(Failure::new("usage: s3 fetch | s3 run")),
    }
}
