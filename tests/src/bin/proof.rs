//! The proof of exactly once, in full: 1 M events, 30 kills, everything compared with the oracle.
//!
//! `./test proof [--seed N] [--events N] [--kills N] [--rate N] [--broker-kills N] [--log file|kafka]
//! [--processes N,N,..] [-D key=value]...` builds what it needs and runs it.

use tidemark_tests::broker::Broker;
use tidemark_tests::proof::run::{Plan, run};
use tidemark_tests::{Failure, Result};

fn main() -> Result<()> {
    let mut plan = Plan::whole(1);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| Failure(format!("{name} needs a value")))?;
        let number = || value.parse().map_err(|_| Failure(format!("{name}: {value} is no number")));
        match name.as_str() {
            "--seed" => plan.seed = number()?,
            "--events" => plan.events = number()?,
            "--rate" => plan.per_second = number()?,
            "--broker-kills" => plan.broker_kills = usize::try_from(number()?).expect("64 bits"),
            "--kills" => {
                plan.kills = usize::try_from(number()?).expect("64 bits");
                // As many of each as in the whole proof, in proportion.
                let share = |of: usize| of * plan.kills / 30;
                plan.quota.transaction = share(10);
                plan.quota.snapshot = share(5);
                plan.quota.recovery = share(3);
                plan.from_snapshots = plan.kills / 2;
                if let Some((_, seen)) = &mut plan.queries {
                    (seen.asked, seen.right) = (share(10_000), share(9_000));
                    (seen.ticks, seen.after_a_kill) = (share(1_000), share(100));
                }
            }
            "--log" => match value.as_str() {
                "file" => plan.log_on_kafka = false,
                "kafka" => plan.log_on_kafka = true,
                _ => return Err(Failure(format!("--log {value}: it is `file` or `kafka`"))),
            },
            "--processes" => {
                let processes = value.split(',').map(str::parse).collect::<Result<Vec<_>, _>>();
                plan.processes = processes
                    .ok()
                    .filter(|all: &Vec<usize>| !all.contains(&0))
                    .ok_or_else(|| Failure(format!("--processes {value} is no list of numbers")))?;
            }
            "-D" => {
                let (key, value) = value
                    .split_once('=')
                    .ok_or_else(|| Failure(format!("-D {value} is not key=value")))?;
                plan.settings.push((key.to_owned(), value.to_owned()));
            }
            _ => return Err(Failure(format!("unknown argument {name}"))),
        }
    }
    if !plan.events.is_multiple_of(4) {
        return Err(Failure::new("--events must be a multiple of the 4 partitions"));
    }
    if plan.processes.iter().any(|count| *count > 1) && !plan.log_on_kafka {
        return Err(Failure::new("several processes need --log kafka"));
    }
    let broker = Broker::start()?;
    let folder = tempfile::tempdir()?;
    run(&plan, &broker, folder.path()).map(drop)
}
