//! SIGHUP, or another `ConfigMap` in the volume: the configuration is read again, validated as a whole, and its live settings are applied.

use super::input::Reload;
use super::service_manager;
use super::session::Session;
use super::set_up::judging;
use crate::config::{Changes, Config};
use conductor_core::fact::OperatorFact;
use conductor_os::monotonic;

impl Session<'_> {
    /// Reads the configuration again. Everything is validated before any setting is applied.
    pub(super) fn reload(&mut self, config: &mut Config, reload: Reload<'_>) {
        service_manager::reloading();
        let read = reload();
        service_manager::ready();
        let new = match read {
            Ok(new) => new,
            Err(error) => {
                let (code, reason) = (error.code(), &error.to_string());
                return self.observe(OperatorFact::ReloadRefused { code, reason });
            }
        };
        let Changes { live, restart } = new.changes(config);
        if !restart.is_empty() {
            self.observe(OperatorFact::RestartNeeded { settings: &restart });
        }
        for key in live {
            let value =
                |config: &Config| config.raw.get(key).map(|(value, _)| value.clone()).unwrap_or_default();
            let (from, to) = (&value(config), &value(&new));
            self.observe(OperatorFact::SettingChanged { key, from, to });
        }
        if new.live.retention < config.live.retention {
            // Files that are too old now do not wait for the hourly removal.
            self.next_retention = monotonic();
        }
        config.reload(new);
        self.apply(config);
    }

    /// Gives every part its live settings. Those read from `config` in each turn (period, retention) need no call.
    fn apply(&mut self, config: &Config) {
        self.questions.set_settings(config.lines());
        crate::telemetry::set_level(config.live.log_level);
        self.scheduler.apply(monotonic(), &config.live.scheduler);
        self.executor.runner.apply(config.live.run);
        self.executor.intake.apply(judging(config));
    }
}
