//! What can be typed.

use super::exit::Exit;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Runs dataflows, and talks to a running job over HTTP.
#[derive(Debug, Parser)]
#[command(name = "tidemark", version, after_help = Exit::HELP, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to log to standard error while running: a level or a filter (else RUST_LOG, else info)
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// Print JSON, for scripts
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a dataflow; it goes on where it was
    Run {
        /// Its name, as `list` shows it
        dataflow: String,
        /// Give up this kept state, once: it begins empty. May be repeated
        #[arg(long, value_name = "UID")]
        drop_state: Vec<String>,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Run a dataflow as several processes of this machine; those that end are started again
    Cluster(Cluster),
    /// List the dataflows of this program
    List,
    /// Show the state of a running job
    Status {
        #[command(flatten)]
        at: Address,
    },
    /// Ask a view of a running job
    Query(Query),
    /// Make a savepoint: a snapshot that stays until you delete it
    Savepoint {
        /// Its name
        name: String,
        #[command(flatten)]
        at: Address,
    },
    /// Stop a running job cleanly: every sink has its last tick, and a snapshot of it another program may start from
    #[command(visible_alias = "drain")]
    Stop {
        /// Make a savepoint of this name first
        #[arg(long, value_name = "NAME")]
        savepoint: Option<String>,
        #[command(flatten)]
        at: Address,
    },
    /// Let a job that has failed at the same place three times try again
    Retry {
        #[command(flatten)]
        at: Address,
    },
    /// Let a job that has failed go on without a record of its input that its code can't get through
    Skip {
        /// The source's name
        source: String,
        /// The partition: its number in Kafka, its path for files
        partition: String,
        /// The record's offset
        offset: u64,
        #[command(flatten)]
        at: Address,
    },
    /// Run a job of `tidemark cluster` as another number of processes or workers; nothing is lost or repeated
    Rescale {
        /// Processes from now on; as many as before if absent
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), required_unless_present = "workers")]
        processes: Option<u16>,
        /// Worker threads of each process from now on; as many as before if absent
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
        workers: Option<u16>,
        /// Make a savepoint of this name first
        #[arg(long, value_name = "NAME")]
        savepoint: Option<String>,
        #[command(flatten)]
        at: Address,
    },
    /// Let another program go on with a job of `tidemark cluster`; if it can't, the former one does
    Upgrade {
        /// The program's file
        #[arg(long, value_name = "PROGRAM")]
        to: PathBuf,
        /// Make a savepoint of this name first
        #[arg(long, value_name = "NAME")]
        savepoint: Option<String>,
        #[command(flatten)]
        at: Address,
    },
    /// Run a tick of a job again beside it, writing nothing; if it panics, find the record that makes it
    Replay {
        /// Its name, as `list` shows it
        dataflow: String,
        /// The tick; the one at which the job panicked last if absent
        #[arg(long, value_name = "TICK")]
        tick: Option<u64>,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Show a dataflow's graph, what it keeps and where rows are exchanged
    Explain {
        /// Its name, as `list` shows it
        dataflow: String,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Check the configuration, or show its reference
    #[command(subcommand)]
    Config(Config),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print the merged configuration of a dataflow with the origin of each value
    Check {
        /// Its name, as `list` shows it
        dataflow: String,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Print every key with type, unit, default and range (Markdown)
    Reference,
}

/// Which process of a cluster it is.
#[derive(Debug, Default, Args)]
pub(crate) struct Place {
    /// Which process of the cluster this is, from 0
    #[arg(long, value_name = "I", requires = "hosts")]
    pub(crate) process: Option<String>,
    /// Where each process of the cluster is reached: host:port,host:port,...
    #[arg(long, value_name = "HOSTS")]
    pub(crate) hosts: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// Its name, as `list` shows it
    pub(crate) dataflow: String,
    /// How many processes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) processes: u16,
    /// Give up this kept state, once: it begins empty. May be repeated
    #[arg(long, value_name = "UID")]
    pub(crate) drop_state: Vec<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    /// Worker threads
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
    /// Directory or URL of the store
    #[arg(long, value_name = "URL")]
    pub(crate) state: Option<String>,
    /// Address of the HTTP server
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set any key: -D section.key=value
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub(crate) define: Vec<String>,
}

/// Where the running job is. The token is taken from TIDEMARK_HTTP__TOKEN.
#[derive(Debug, Args)]
pub(crate) struct Address {
    /// Address of the job's HTTP server (else TIDEMARK_HTTP__ADDR, else 127.0.0.1:8090)
    #[arg(long, value_name = "ADDR", conflicts_with = "url")]
    pub(crate) http: Option<String>,
    /// The same as a URL: http://host:port
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// Name of the view
    pub(crate) view: String,
    /// Only the row of this key
    #[arg(long, value_name = "JSON", conflicts_with_all = ["from", "to"], allow_hyphen_values = true)]
    pub(crate) key: Option<String>,
    /// From this key on
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// Below this key
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// As the view was at this tick
    #[arg(long, value_name = "TICK")]
    pub(crate) as_of: Option<u64>,
    /// Not before this tick; waits for it
    #[arg(long, value_name = "TICK", conflicts_with = "as_of")]
    pub(crate) after: Option<u64>,
    /// At most this many rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Go on where an answer ended: the `next` that it gave
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["key", "from", "to", "as_of", "after"])]
    pub(crate) next: Option<String>,
    #[command(flatten)]
    pub(crate) at: Address,
}

impl Query {
    /// The parameters of the request.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        let all = [
            ("key", self.key.clone()),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("as_of", number(self.as_of)),
            ("after", number(self.after)),
            ("limit", number(self.limit)),
            ("next", self.next.clone()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
