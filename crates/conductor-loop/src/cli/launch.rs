//! The daemon's launch from the command line: confined, logging, run, and summed up at its end.

use super::complaint::complain;
use super::written::{Written, config};
use crate::config::LogFormat;
use crate::confinement;
use crate::daemon::{self, Summary};
use crate::telemetry::{self, Progress};
use conductor_core::{Code, Exit};
use std::io::{self, IsTerminal};
use std::time::Duration;

/// How long the daemon's end waits for a stalled reader of standard error.
const READER_PATIENCE: Duration = Duration::from_secs(1);

/// Runs the daemon to its end.
pub(super) fn run_daemon(written: &Written) -> Exit {
    let read = || config(written);
    let config = match read() {
        Ok(config) => config,
        Err(error) => {
            return complain(&format_args!("{} {error}", error.code()), error.code().remedy(), Exit::Usage);
        }
    };
    // Before anything is opened, and before there is another thread.
    if let Err(refused) = confinement::begin(&config, || daemon::find_porch(&config).ok().flatten()) {
        return complain(&refused, refused.code.remedy(), Exit::SetUp);
    }
    let progress = Progress::for_run(config.fixed.once);
    let json = match config.fixed.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let instance = config.fixed.instance.as_deref();
    if let Err(error) = telemetry::init(config.live.log_level, json, instance, &progress) {
        let message = format!("{} cannot start the log thread: {error}", Code::DirectorySetup);
        return complain(&message, Code::DirectorySetup.remedy(), Exit::SetUp);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    confinement::say_begun(&config);
    let once = config.fixed.once;
    let ended = daemon::run(config, &read, &progress);
    // A reader that has stalled must not keep the process from ending.
    let shown = telemetry::flush(READER_PATIENCE) && progress.finish();
    let status = match ended {
        Ok(summary) => {
            if shown {
                telemetry::say(&summary.to_string());
            } else {
                log_summary(&summary, if once { "done" } else { "stopped" });
            }
            if once && summary.failed > 0 { Exit::Failed } else { Exit::Good }
        }
        Err(failure) => complain(&failure, failure.remedy(), failure.exit()),
    };
    telemetry::flush(READER_PATIENCE);
    status
}

fn log_summary(summary: &Summary, ended: &str) {
    let Summary { processed, duplicates, failed, interrupted, .. } = summary;
    tracing::info!(processed, duplicates, failed, interrupted, "{ended}");
}
