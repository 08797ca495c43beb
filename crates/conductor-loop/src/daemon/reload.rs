//! SIGHUP: the configuration is read again, validated whole, and what may change while running is applied.

use super::life::Life;
use super::run::Reload;
use super::set_up::judging;
use super::supervisor;
use crate::config::{Changes, Config};
use crate::intake::Command as ToIntake;
use conductor_os::monotonic;

impl Life<'_> {
    /// Everything is validated before anything is applied.
    pub(super) fn reload(&mut self, config: &mut Config, reload: Reload<'_>) {
        supervisor::reloading();
        let read = reload();
        supervisor::ready();
        let new = match read {
            Ok(new) => new,
            Err(error) => {
                return tracing::error!(code = error.code().id(), "configuration not changed: {error}");
            }
        };
        let Changes { live, restart } = new.changes(config);
        if !restart.is_empty() {
            tracing::warn!(settings = restart.join(" "), "changed, but takes effect at the next start only");
        }
        for key in live {
            let value =
                |config: &Config| config.raw.get(key).map(|(value, _)| value.clone()).unwrap_or_default();
            tracing::info!(setting = key, from = value(config), to = value(&new), "setting changed");
        }
        if new.live.retention < config.live.retention {
            // Files that are too old now do not wait for the hour.
            self.next_retention = monotonic();
        }
        config.reload(new);
        self.apply(config);
    }

    /// Gives every part its live settings. Those that are read from `config` in each turn (period, retention) need nothing.
    fn apply(&mut self, config: &Config) {
        crate::telemetry::set_level(config.live.log_level);
        self.desk.apply(monotonic(), &config.live.desk);
        self.executor.runner.apply(config.live.run);
        self.executor.intake.send(ToIntake::Apply(judging(config)));
    }
}
