//! The processes of one job as children: started together, killed one by one, ended together.

use crate::broker::free_port;
use crate::engine::{Engine, Launch};
use crate::process::Signal;
use crate::{Failure, Result};
use std::process::ExitStatus;
use std::time::Duration;

/// The secret of every cluster under test.
pub const SECRET: &str = "a secret for tests, of no worth";

/// The variable by which a process is told the secret.
pub const SECRET_VARIABLE: &str = "TIDEMARK_CLUSTER__SECRET";

/// The processes of a job. Killed when dropped.
pub struct Fleet {
    processes: Vec<Engine>,
}

impl Fleet {
    /// Starts `processes` processes of `launch`, each with its number of workers, on free ports of the loopback interface. One is
    /// started as it is.
    ///
    /// # Errors
    /// If one can't be started.
    pub fn launch(launch: &Launch, processes: usize) -> Result<Fleet> {
        if processes == 1 {
            return Ok(Fleet { processes: vec![Engine::launch(launch)?] });
        }
        Fleet::launch_each(processes, |_| launch.clone())
    }

    /// Starts as many processes, each as it is told by its number.
    ///
    /// # Errors
    /// As [`Fleet::launch`].
    pub fn launch_each(processes: usize, launch: impl Fn(usize) -> Launch) -> Result<Fleet> {
        let hosts = (0..processes).map(|_| Ok(format!("127.0.0.1:{}", free_port()?)));
        let hosts = hosts.collect::<Result<Vec<_>>>()?;
        let start = |process: usize| Engine::launch(&member(&launch(process), &hosts, process));
        Ok(Fleet { processes: (0..processes).map(start).collect::<Result<_>>()? })
    }

    /// Process 0.
    pub fn leader(&self) -> &Engine {
        &self.processes[0]
    }

    /// All of them.
    pub fn processes(&mut self) -> &mut [Engine] {
        &mut self.processes
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Kills these (SIGKILL), and waits until the others have ended by themselves, as they must.
    ///
    /// # Errors
    /// If one has not within `limit`, or did not end as one that is to be started again.
    pub fn kill(&mut self, victims: &[usize], limit: Duration) -> Result<()> {
        for victim in victims {
            self.processes[*victim].signal(Signal::Kill)?;
        }
        for (number, process) in self.processes.iter_mut().enumerate() {
            let status = process.wait(limit)?;
            if !victims.contains(&number) && status.code() != Some(1) {
                return Err(Failure(format!(
                    "process {number} ended with {status} when {victims:?} were killed:\n{}",
                    process.stderr().tail(20)
                )));
            }
        }
        Ok(())
    }

    /// Asks process 0 to end the job (SIGTERM) and waits until all have ended.
    ///
    /// # Errors
    /// If one has not within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<Vec<ExitStatus>> {
        self.leader().signal(Signal::Term)?;
        self.processes.iter_mut().map(|process| process.wait(limit)).collect()
    }
}

/// How process number `process` of the job at `hosts` is started.
pub fn member(launch: &Launch, hosts: &[String], process: usize) -> Launch {
    let mut launch = launch.clone();
    launch.environment.push((SECRET_VARIABLE.to_owned(), SECRET.to_owned()));
    let place =
        ["--process".to_owned(), process.to_string(), "--hosts".to_owned(), hosts.join(",")];
    launch.arguments.extend(place);
    if process > 0 {
        // Only process 0 serves.
        launch.http = 0;
    }
    launch
}
