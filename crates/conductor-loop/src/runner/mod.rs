//! Worker threads: one run of porch from [`Job`] to `Run`. A worker writes the private copy, runs the external program or
//! the embedded engine, checks the copy, and reports. It knows nothing of other intents.

mod capture;
mod cells;
mod embedded;
mod engine;
mod executable;
mod external;
mod job;
mod leftovers;
mod orphans;
mod pool;
mod prepared;
mod program;
mod read_back;
mod report;
mod run;
mod run_table;
mod settings;
mod staging;
mod stop;
#[cfg(test)]
mod tests;
mod withheld;
mod worker;

pub use engine::Engine;
pub use executable::{Executable, ExecutableError, ensure_out, resolve};
pub use job::{Bytes, Job};
pub use leftovers::{Leftovers, kill_leftovers};
pub use pool::Runner;
pub use program::{Program, Stamp};
pub use read_back::{NotRead, ReadBack};
pub use report::{Ended, Report};
pub use run_table::{LastRuns, RunLine, RunTable};
pub use settings::Settings;
pub use stop::Stop;
pub use withheld::cause_of;
