//! From the text of each setting to a checked value. The first problem is the error, with the origin of the value.

use super::choices::{Backups, Confine, Egress, Endpoint, Period, Tls};
use super::error::ConfigError;
use super::origin::{Origin, Raw};
use conductor_core::name::{Names, Pattern};
use conductor_core::units::{format_duration, parse_duration, parse_size};
use conductor_crypto::age::Recipient;
use conductor_os::confine::limits::ResourceLimits;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The addresses of health and metrics in a pod when none is given: those that the specification's manifests probe and scrape.
const POD_HEALTH: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8080);
const POD_METRICS: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 9090);
/// The largest size that a limit can have.
const PETABYTE: u64 = 1 << 50;
/// The longest name of an instance: that of a pod.
const INSTANCE_MAX: usize = 253;

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
        let tls = self.tls()?.is_some();
        let open = self.switch("insecure-listen")? || tls;
        let mut endpoints = Vec::new();
        for (key, health, metrics, page) in [
            ("listen", true, true, true),
            ("health-addr", true, false, false),
            ("metrics-addr", false, true, false),
        ] {
            for text in self.text(key).split(',').map(str::trim).filter(|text| !text.is_empty()) {
                let Some(address) = address(text) else {
                    return self
                        .bad(key, format!("'{text}' is not an address and port such as 127.0.0.1:9090, localhost:9090 or :9090"));
                };
                match (text.split_once("://").map(|(scheme, _)| scheme), tls) {
                    (Some("https"), false) => {
                        return self
                            .bad(key, format!("{text} asks for TLS; give --tls-cert and --tls-key with it"));
                    }
                    (Some("http"), true) => {
                        return self.bad(key, format!("{text} would be served with TLS; write https"));
                    }
                    _ => {}
                }
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

    /// The name of this daemon; letters, digits and `-_.` alone, so that it needs no escape anywhere.
    pub(super) fn instance(&self) -> Result<Option<String>, ConfigError> {
        let Some(name) = self.optional("instance") else { return Ok(None) };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.len() > INSTANCE_MAX || !name.bytes().all(plain) {
            let reason = format!("'{name}' is no name of up to {INSTANCE_MAX} letters, digits, -, _ and .");
            return self.bad("instance", reason);
        }
        Ok(Some(name))
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

    /// `--confine`, or what the specification's switch says: false is `off`, true leaves `auto` or `require`.
    pub(super) fn confine(&self) -> Result<Confine, ConfigError> {
        let words = [("auto", Confine::Auto), ("require", Confine::Require), ("off", Confine::Off)];
        let wanted = self.choice("confine", &words)?;
        if self.text("security-enabled").is_empty() {
            return Ok(wanted);
        }
        let is_given = self.origin("confine") != Origin::Default;
        match (self.switch("security-enabled")?, wanted) {
            (false, Confine::Auto) if !is_given => Ok(Confine::Off),
            (true, Confine::Off) | (false, Confine::Auto | Confine::Require) => {
                let text = self.text("confine");
                let origin = self.origin("confine");
                self.bad("security-enabled", format!("it contradicts --confine {text} (from {origin})"))
            }
            (_, wanted) => Ok(wanted),
        }
    }

    /// The names of intents.
    pub(super) fn names(&self) -> Result<Names, ConfigError> {
        let words = self.text("pattern").split(',').map(str::trim).filter(|word| !word.is_empty());
        let mut patterns = Vec::new();
        for word in words {
            let Some(pattern) = Pattern::new(word) else {
                let reason = format!(
                    "'{word}' is no pattern of letters, digits, '.', '_', '-', '*' and '?' that ends with .json; names that begin with '.' or '-' or hold '..', and those of temporary files, are never taken"
                );
                return self.bad("pattern", reason);
            };
            patterns.push(pattern);
        }
        Ok(Names::with(patterns))
    }

    /// Where and how backups are made.
    pub(super) fn backups(&self) -> Result<Option<Backups>, ConfigError> {
        let (minute, year) = (Duration::from_mins(1), Duration::from_hours(24 * 365));
        let interval = match self.text("backup-interval") {
            "off" => None,
            _ => Some(self.duration("backup-interval", minute, year)?),
        };
        let keep = usize::try_from(self.number("backup-keep", 1, 10_000)?).unwrap_or(1);
        let words = self.text("backup-recipient").split(',').map(str::trim).filter(|word| !word.is_empty());
        let mut recipients = Vec::new();
        for word in words {
            match Recipient::parse(word) {
                Some(recipient) => recipients.push(recipient),
                None => {
                    return self.bad("backup-recipient", format!("'{word}' is no recipient of age, age1..."));
                }
            }
        }
        let dir = self.optional("backup-dir").map(PathBuf::from);
        Ok(dir.map(|dir| Backups { dir, interval, keep, recipients }))
    }

    /// A list of paths.
    pub(super) fn paths(&self, key: &'static str) -> Vec<PathBuf> {
        let items = self.text(key).split(',').map(str::trim).filter(|text| !text.is_empty());
        items.map(PathBuf::from).collect()
    }

    /// Limits on the resources of porch's processes.
    pub(super) fn resources(&self) -> Result<ResourceLimits, ConfigError> {
        let (second, year) = (Duration::from_secs(1), Duration::from_hours(24 * 365));
        let unless_off = |key| (self.text(key) != "off").then_some(key);
        let size = |key| unless_off(key).map(|key| self.size(key, PETABYTE)).transpose();
        let number = |key, least| unless_off(key).map(|key| self.number(key, least, 1 << 32)).transpose();
        let cpu = unless_off("limit-cpu").map(|key| self.duration(key, second, year)).transpose()?;
        Ok(ResourceLimits {
            memory: size("limit-memory")?,
            // The kernel counts whole seconds.
            cpu: cpu.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0)),
            processes: number("limit-processes", 1)?,
            files: number("limit-files", 16)?,
            file_size: size("limit-file-size")?,
        })
    }

    /// The free space below which nothing starts; `None`: auto.
    pub(super) fn min_free(&self) -> Result<Option<u64>, ConfigError> {
        let is_auto = self.text("min-free") == "auto";
        (!is_auto).then(|| self.size("min-free", PETABYTE)).transpose()
    }

    pub(super) fn egress(&self) -> Result<Egress, ConfigError> {
        let ports = match self.text("egress") {
            "any" => return Ok(Egress::Any),
            "none" => return Ok(Egress::None),
            ports => ports.split(',').map(|port| port.trim().parse::<u16>().ok().filter(|port| *port != 0)),
        };
        let wrong = |text: &str| format!("'{text}' is neither any, none nor ports such as 443,6443");
        match ports.collect() {
            Some(ports) => Ok(Egress::Ports(ports)),
            None => self.bad("egress", wrong(self.text("egress"))),
        }
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

/// An address as people write it: with its port, as a URL, with `localhost`, or `:PORT` for every address. No other name is
/// looked up: what it leads to could change between two starts.
fn address(text: &str) -> Option<SocketAddr> {
    let text = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = text.rsplit_once(':')?;
    let host: IpAddr = match host {
        "" => Ipv6Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        _ => return text.parse().ok(),
    };
    Some(SocketAddr::new(host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let cases = [
            ("127.0.0.1:9090", Some("127.0.0.1:9090")),
            ("[::1]:9090", Some("[::1]:9090")),
            (":9090", Some("[::]:9090")),
            ("localhost:9090", Some("127.0.0.1:9090")),
            ("http://127.0.0.1:9090", Some("127.0.0.1:9090")),
            ("https://[::1]:9090/", Some("[::1]:9090")),
            ("http://localhost:9090/", Some("127.0.0.1:9090")),
            ("9090", None),
            (":port", None),
            (":65536", None),
            ("example.com:9090", None),
            ("http://127.0.0.1:9090/api", None),
            ("::1:9090", None),
        ];
        for (text, want) in cases {
            assert_eq!(address(text), want.map(|want| want.parse().unwrap()), "{text}");
        }
    }
}
