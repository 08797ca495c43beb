//! From the text of each setting to a checked value. The first problem is the error, with the origin of the value.

use super::settings::NOT_BUILT;
use super::{ConfigError, Endpoint, Origin, Period, Raw, Tls};
use conductor_core::units::{format_duration, parse_duration, parse_size};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The addresses of health and metrics in a pod when none is given: those that the specification's manifests probe and scrape.
const POD_HEALTH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
const POD_METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9090);

/// Reads settings by their keys.
pub(super) struct Reader<'r>(pub(super) &'r Raw);

impl Reader<'_> {
    pub(super) fn text(&self, key: &'static str) -> &str {
        self.0.get(key).map_or("", |(value, _)| value)
    }

    /// The origin of a setting's value.
    pub(super) fn origin(&self, key: &'static str) -> Origin {
        self.0.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    fn bad<T>(&self, key: &'static str, reason: String) -> Result<T, ConfigError> {
        Err(ConfigError::BadValue { key, origin: self.origin(key), reason })
    }

    pub(super) fn size(&self, key: &'static str, max: u64) -> Result<u64, ConfigError> {
        match parse_size(self.text(key)) {
            Ok(size) if (1..=max).contains(&size) => Ok(size),
            Ok(size) => self.bad(key, format!("{size} is outside 1 to {max} bytes")),
            Err(error) => self.bad(key, error.to_string()),
        }
    }

    pub(super) fn duration(
        &self,
        key: &'static str,
        min: Duration,
        max: Duration,
    ) -> Result<Duration, ConfigError> {
        match parse_duration(self.text(key)) {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            Ok(value) => {
                let (value, min, max) = (format_duration(value), format_duration(min), format_duration(max));
                self.bad(key, format!("{value} is outside {min} to {max}"))
            }
            Err(error) => self.bad(key, error.to_string()),
        }
    }

    pub(super) fn number(&self, key: &'static str, min: u64, max: u64) -> Result<u64, ConfigError> {
        match self.text(key).parse::<u64>() {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            _ => self.bad(key, format!("'{}' is not a whole number from {min} to {max}", self.text(key))),
        }
    }

    pub(super) fn switch(&self, key: &'static str) -> Result<bool, ConfigError> {
        match self.text(key) {
            "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
            "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
            other => self.bad(key, format!("'{other}' is neither true nor false")),
        }
    }

    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == self.text(key)) {
            Ok(*value)
        } else {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.bad(key, format!("'{}' is not one of {}", self.text(key), words.join(", ")))
        }
    }

    pub(super) fn path(&self, key: &'static str) -> Result<PathBuf, ConfigError> {
        let text = self.text(key);
        if text.is_empty() || text.contains('\0') {
            return self.bad(key, "a path is needed".to_owned());
        }
        Ok(PathBuf::from(text))
    }

    pub(super) fn optional(&self, key: &'static str) -> Option<String> {
        Some(self.text(key).to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn period(&self) -> Result<Period, ConfigError> {
        match self.text("period") {
            "auto" => Ok(Period::Auto),
            "0" | "0s" => Ok(Period::Never),
            _ => self
                .duration("period", Duration::from_millis(100), Duration::from_hours(1))
                .map(Period::Every),
        }
    }

    /// Every address with its services. Other addresses than loopback need TLS or an explicit permission: their answers
    /// are not public.
    pub(super) fn endpoints(&self, in_pod: bool) -> Result<Vec<Endpoint>, ConfigError> {
        let open = self.switch("insecure-listen")? || self.tls()?.is_some();
        let mut endpoints = Vec::new();
        for (key, health, metrics, page) in [
            ("listen", true, true, true),
            ("health-addr", true, false, false),
            ("metrics-addr", false, true, false),
        ] {
            for text in self.text(key).split(',').map(str::trim).filter(|text| !text.is_empty()) {
                let Ok(address) = text.parse::<SocketAddr>() else {
                    return self
                        .bad(key, format!("'{text}' is not an address and port such as 127.0.0.1:9090"));
                };
                if !address.ip().is_loopback() && !open {
                    return self.bad(key, format!("{address} is reachable from outside and not encrypted; give --tls-cert and --tls-key, or accept it with --insecure-listen"));
                }
                endpoints.push(Endpoint { address, health, metrics, page });
            }
        }
        let pod = if self.text("kubernetes") == "auto" { in_pod } else { self.switch("kubernetes")? };
        if pod && !endpoints.iter().any(|endpoint| endpoint.health) {
            endpoints.push(Endpoint { address: POD_HEALTH, health: true, metrics: false, page: false });
        }
        if pod && !endpoints.iter().any(|endpoint| endpoint.metrics) {
            endpoints.push(Endpoint { address: POD_METRICS, health: false, metrics: true, page: false });
        }
        Ok(endpoints)
    }

    pub(super) fn tls(&self) -> Result<Option<Tls>, ConfigError> {
        let file = |key| self.optional(key).map(PathBuf::from);
        let client_authority = file("tls-client-ca");
        match (file("tls-cert"), file("tls-key")) {
            (Some(certificate), Some(key)) => Ok(Some(Tls { certificate, key, client_authority })),
            (None, None) if client_authority.is_none() => Ok(None),
            (None, None) => {
                self.bad("tls-client-ca", "--tls-cert and --tls-key are needed with it".to_owned())
            }
            (Some(_), None) => self.bad("tls-cert", "--tls-key is needed with it".to_owned()),
            (None, Some(_)) => self.bad("tls-key", "--tls-cert is needed with it".to_owned()),
        }
    }

    /// Warnings for settings of missing features that have no effect; invalid values are refused.
    pub(super) fn without_effect(&self) -> Result<Vec<String>, ConfigError> {
        for (key, _) in NOT_BUILT.iter().filter(|(key, _)| !self.text(key).is_empty()) {
            self.switch(key)?;
        }
        let is_off = !self.text("security-enabled").is_empty() && !self.switch("security-enabled")?;
        Ok(is_off
            .then(|| {
                let origin = self.origin("security-enabled");
                format!("--security-enabled=false (from {origin}) switches nothing off: the protections are always on")
            })
            .into_iter()
            .collect())
    }

    pub(super) fn rate(&self) -> Result<Option<f64>, ConfigError> {
        match self.text("rate") {
            "off" | "0" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(rate) if rate.is_finite() && (0.001..=1e6).contains(&rate) => Ok(Some(rate)),
                _ => {
                    self.bad("rate", format!("'{text}' is neither 'off' nor a number of intents per second"))
                }
            },
        }
    }
}
