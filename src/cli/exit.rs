//! Exit codes: what a script or a supervisor can do about an end.

use crate::error::Kind;
use std::process::ExitCode;

/// Why the process ends, as scripts and supervisors see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It failed; starting again may help.
    Failed = 1,
    /// The command line, the configuration or the request is wrong; starting again does not help.
    Usage = 2,
    /// A newer generation leads the job; do not start again beside it.
    Fenced = 3,
    /// An input record stopped the job, or a replayed tick does not get through; fix the input, or choose `on_error`.
    Input = 4,
    /// Stored bytes, a source or a result is not what it was; a person must look.
    Changed = 5,
    /// No job answers, or it is not ready yet.
    NoAnswer = 6,
}

impl Exit {
    /// The list for `--help`.
    pub(crate) const HELP: &'static str = "\
Exit codes:
  0  done
  1  failed; starting again may help
  2  command line, configuration or request is wrong
  3  fenced: a newer generation leads the job
  4  an input record stopped the job, or a replayed tick does not get through
  5  stored bytes, a source or a result is not what it was: a person must look
  6  no job answers, or it is not ready yet";
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Exit {
        match kind {
            Kind::Retry | Kind::Undecided | Kind::Internal => Exit::Failed,
            Kind::Config => Exit::Usage,
            Kind::Fenced => Exit::Fenced,
            Kind::Input => Exit::Input,
            Kind::Corrupt | Kind::SourceChanged | Kind::Nondeterministic => Exit::Changed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
