//! A store that speaks S3: Adobe's S3Mock, one JVM. It checks no signature. It checks conditions, but of creates at the same moment it does
//! several, which S3 never does; so a proxy before it hands creates on one at a time.

pub mod proxy;

use crate::broker::free_port;
use crate::s3::proxy::Proxy;
use crate::{Failure, Result, cache, process};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The S3Mock release that the tests run against.
pub const S3MOCK_VERSION: &str = "4.6.0";
/// How long a start may take before it is given up.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Fills the cache if it is not filled.
///
/// # Errors
/// If S3Mock can't be fetched; the message has the output of the program that failed.
pub fn fetch() -> Result<()> {
    jar().map(drop)
}

/// A store. It lives until it is dropped, its data too; if this process dies it dies with it.
pub struct Server {
    folder: PathBuf,
    child: Child,
    front: Proxy,
    https: u16,
    buckets: AtomicU64,
}

impl Server {
    /// A new store without buckets, ready to serve. Takes about 4 seconds.
    ///
    /// # Errors
    /// If it can't be fetched or does not start; the message has the end of its log.
    pub fn start() -> Result<Server> {
        let mut last = None;
        // Between the choice of a port and the bind another process may take it: then others are chosen.
        for _ in 0..5 {
            match Server::start_at(free_port()?, free_port()?) {
                Err(failure) if failure.0.contains("already in use") => last = Some(failure),
                outcome => return outcome,
            }
        }
        Err(last.expect("the loop ran"))
    }

    fn start_at(http: u16, https: u16) -> Result<Server> {
        let folder = cache::scratch("tidemark-s3-")?;
        let mut command = Command::new("java");
        command
            .args(["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Djava.awt.headless=true", "-jar"])
            .arg(jar()?)
            .args(["--server.address=127.0.0.1", &format!("--server.port={https}")])
            .arg(format!("--com.adobe.testing.s3mock.http-port={http}"))
            .arg(format!("--com.adobe.testing.s3mock.store.root={}", folder.join("data").display()))
            .current_dir(&folder);
        let served = process::serve("S3Mock", command, "Started S3MockApplication", START_LIMIT);
        let child = match served {
            Ok((child, _)) => child,
            Err(failure) => {
                drop(fs::remove_dir_all(&folder));
                return Err(failure);
            }
        };
        let front = Proxy::start(&format!("127.0.0.1:{http}"), 0)?;
        Ok(Server { folder, child, front, https, buckets: AtomicU64::new(0) })
    }

    /// The store that all tests of this binary share, started at first use. Tests keep apart by buckets.
    ///
    /// # Panics
    /// If it does not start: without a store there is no test.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Server::start().expect("the tests need S3Mock"))
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        self.front.endpoint()
    }

    /// `127.0.0.1:port`, without encryption.
    pub fn address(&self) -> String {
        self.front.address()
    }

    /// `https://localhost:port`, with a certificate that nobody has signed but itself. There is no proxy before it: it keeps no
    /// condition at the same moment.
    pub fn encrypted(&self) -> String {
        format!("https://localhost:{}", self.https)
    }

    /// The certificate of [`Server::encrypted`], as PEM.
    ///
    /// # Errors
    /// If `keytool`, which comes with Java, does not tell it.
    pub fn certificate(&self) -> Result<String> {
        let server = format!("localhost:{}", self.https);
        let output =
            Command::new("keytool").args(["-printcert", "-rfc", "-sslserver", &server]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match text.find("-----BEGIN CERTIFICATE") {
            Some(at) => Ok(text[at..].to_owned()),
            None => Err(Failure(format!("keytool tells no certificate of {server}: {text}"))),
        }
    }

    /// Makes a new, empty bucket.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn bucket(&self) -> Result<String> {
        let name = format!("bucket-{}", self.buckets.fetch_add(1, Ordering::Relaxed));
        ureq::put(format!("{}/{name}", self.endpoint())).send_empty()?;
        Ok(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done here about a process or a file that will not go.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

#[expect(clippy::print_stderr, reason = "says why the first start takes longer")]
fn jar() -> Result<PathBuf> {
    let name = format!("s3mock-{S3MOCK_VERSION}");
    let folder = cache::folder(&name, |folder| {
        eprintln!(
            "fetching S3Mock {S3MOCK_VERSION} (57 MB) from Maven Central to {}",
            folder.display()
        );
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "dependency:copy"]);
        maven.arg(format!("-Dartifact=com.adobe.testing:s3mock:{S3MOCK_VERSION}:jar:exec"));
        maven.arg(format!("-DoutputDirectory={}", folder.display())).current_dir(folder);
        cache::run(&mut maven, "S3Mock could not be fetched")
    })?;
    Ok(folder.join(format!("{name}-exec.jar")))
}
