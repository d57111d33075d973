//! Kafka's jars, fetched once from Maven Central into a cache outside the tree, and a formatted empty data directory beside them.

use crate::cache::{self, run};
use crate::failure::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        let folder = cache::folder(&format!("kafka-{KAFKA_VERSION}"), fetch)?;
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

#[expect(clippy::print_stderr, reason = "says why the first start takes longer")]
fn fetch(folder: &Path) -> Result<()> {
    eprintln!("fetching Kafka {KAFKA_VERSION} (44 MB) from Maven Central to {}", folder.display());
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
    run(format.arg(&properties), "Kafka's data directory could not be formatted")
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
