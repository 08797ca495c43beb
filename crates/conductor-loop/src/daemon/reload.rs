//! SIGHUP: the configuration is read again, validated whole, and what may change while running is applied.

use super::life::Life;
use super::set_up::judging;
use super::{Reload, supervisor};
use crate::config::Config;
use crate::intake::Command as ToIntake;
use conductor_os::monotonic;

impl Life<'_> {
    /// Everything is validated before anything is applied.
    pub(super) fn reload(&mut self, config: &mut Config, reload: Reload<'_>) {
        supervisor::reloading();
        let read = reload().and_then(|new| config.with_live_of(&new).map(|kept| (new, kept)));
        supervisor::ready();
        let (new, kept) = match read {
            Ok(both) => both,
            Err(error) => {
                return tracing::error!(code = error.code().id(), "configuration not changed: {error}");
            }
        };
        let (live, restart) = new.changes(config);
        if !restart.is_empty() {
            tracing::warn!(settings = restart.join(" "), "changed, but takes effect at the next start only");
        }
        for key in live {
            let value =
                |config: &Config| config.raw.get(key).map(|(value, _)| value.clone()).unwrap_or_default();
            tracing::info!(setting = key, from = value(config), to = value(&kept), "setting changed");
        }
        if kept.retention < config.retention {
            // Files that are too old now do not wait for the hour.
            self.next_retention = monotonic();
        }
        // Only what is applied is remembered, so that the next reload sees the rest as a change again.
        *config = kept;
        self.apply(config);
    }

    /// Gives every part what it needs of the configuration. Settings that are read from `config` in each turn need nothing.
    fn apply(&mut self, config: &Config) {
        crate::telemetry::set_level(config.log_level);
        self.desk.reconfigure(monotonic(), &config.limits);
        self.bench.reconfigure(config.timeout, config.grace);
        self.intake.send(ToIntake::Reconfigure(judging(config)));
    }
}
