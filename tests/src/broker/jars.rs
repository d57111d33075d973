//! Kafka's jars, fetched once from Maven Central into a cache outside the tree, and a formatted empty data directory beside them.

use crate::failure::{Failure, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The Kafka release that the tests run against.
pub const KAFKA_VERSION: &str = "4.3.1";
const SCALA_VERSION: &str = "2.13";
const SLF4J_VERSION: &str = "1.7.36";

/// Where the jars are. Every file in it is complete once this value exists.
#[derive(Clone, Debug)]
pub(super) struct Jars {
    folder: PathBuf,
}

impl Jars {
    /// The jars, fetched first if they are not in the cache. Several processes may call this at once.
    ///
    /// # Errors
    /// If `mvn` or `java` is missing or fails; the message has their output.
    pub(super) fn obtain() -> Result<Jars> {
        let cache = cache_folder()?;
        let folder = cache.join(format!("kafka-{KAFKA_VERSION}"));
        if !folder.join("complete").exists() {
            fs::create_dir_all(&cache)?;
            let lock = File::create(cache.join(format!("kafka-{KAFKA_VERSION}.lock")))?;
            lock.lock()?;
            if !folder.join("complete").exists() {
                fetch(&folder)?;
            }
        }
        Ok(Jars { folder })
    }

    /// The class path for `java -cp`.
    pub(super) fn class_path(&self) -> String {
        self.folder.join("lib").join("*").to_string_lossy().into_owned()
    }

    /// Makes `data` a formatted, empty data directory of node 1.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) fn format(&self, data: &Path) -> Result<()> {
        fs::create_dir_all(data)?;
        for entry in fs::read_dir(self.folder.join("formatted"))? {
            let entry = entry?;
            fs::copy(entry.path(), data.join(entry.file_name()))?;
        }
        Ok(())
    }
}

fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TIDEMARK_TEST_CACHE") {
        return Ok(folder.into());
    }
    let home = std::env::var_os("HOME").ok_or_else(|| {
        Failure::new("neither TIDEMARK_TEST_CACHE nor HOME is set: no place for Kafka's jars")
    })?;
    Ok(Path::new(&home).join(".cache").join("tidemark"))
}

#[expect(clippy::print_stderr, reason = "says why the first start takes longer")]
fn fetch(folder: &Path) -> Result<()> {
    eprintln!("fetching Kafka {KAFKA_VERSION} (44 MB) from Maven Central to {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder.join("lib"))?;
    let pom = folder.join("pom.xml");
    fs::write(&pom, project())?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", folder.join("lib").display()));
    run(maven.arg("-DincludeScope=runtime"), "Kafka could not be fetched")?;

    // A data directory must be formatted before its first use. That takes a JVM of its own, so it is done once and copied.
    let formatted = folder.join("formatted");
    let properties = folder.join("format.properties");
    fs::write(
        &properties,
        format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\n\
             listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             log.dirs={}\n",
            formatted.display()
        ),
    )?;
    let mut format = Command::new("java");
    format.args(["-XX:TieredStopAtLevel=1", "-cp"]).arg(folder.join("lib").join("*"));
    format.args(["kafka.tools.StorageTool", "format", "-t", "dGlkZW1hcmstdGVzdHMtMQ", "-c"]);
    run(format.arg(&properties), "Kafka's data directory could not be formatted")?;
    File::create(folder.join("complete"))?.sync_all()?;
    Ok(())
}

fn run(command: &mut Command, otherwise: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        Failure::from(error)
            .at(format!("{otherwise}: cannot run {program} (apt-get install it, or use ./test)"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure(format!(
        "{otherwise}: {program} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

fn project() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>\n"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\n\
         <groupId>tidemark</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>\
         <packaging>pom</packaging>\n<dependencies>\n{}{}</dependencies></project>\n",
        dependency("org.apache.kafka", &format!("kafka_{SCALA_VERSION}"), KAFKA_VERSION),
        dependency("org.slf4j", "slf4j-simple", SLF4J_VERSION),
    )
}
