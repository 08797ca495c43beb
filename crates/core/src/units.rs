//! Durations as Go writes them (`500ms`, `1m30s`, `0`), with days and weeks (`7d`, `2w`), and sizes as the specification writes them
//! (`10MB` is 10,485,760). Hand-written because every library's grammar differs from Go's.

use std::time::Duration;

/// Why a text is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a Go duration.
    #[error("'{0}' is not a duration; write for example 500ms, 2s, 1m30s, 7d or 0")]
    Duration(String),
    /// Not a size.
    #[error("'{0}' is not a size; write for example 10485760, 512KB or 10MB (1MB = 1048576 bytes)")]
    Size(String),
}

/// Parses a Go duration: a sequence of decimal numbers with unit `ns`, `us`/`µs`, `ms`, `s`, `m`, `h`, `d` (24 hours), `w` (7 days), or `0`. Negative
/// durations are refused: no setting has a use for them.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let bad = || UnitError::Duration(text.to_owned());
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return Err(bad()),
        };
        total = total.checked_add(scaled(number, scale).ok_or_else(bad)?).ok_or_else(bad)?;
        rest = tail;
    }
    let seconds = u64::try_from(total / 1_000_000_000).map_err(|_| bad())?;
    // Go's own bound: a duration is a signed 64-bit count of nanoseconds.
    if total > i64::MAX as u128 {
        return Err(bad());
    }
    let nanos = u32::try_from(total % 1_000_000_000).map_err(|_| bad())?;
    Ok(Duration::new(seconds, nanos))
}

/// `number` (digits with at most one dot) times `scale`, truncated to nanoseconds.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(scale)?;
    let mut step = scale;
    for digit in fraction.bytes() {
        step /= 10;
        total = total.checked_add(step * u128::from(digit - b'0'))?;
    }
    Some(total)
}

/// Formats a duration as Go does: `1m30s`, `500ms`, `2.5s`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let (unit, scale) = match nanos {
        0..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    if unit != "s" {
        return format!("{}{unit}", decimal(nanos, scale));
    }
    let (hours, rest) = (nanos / 3_600_000_000_000, nanos % 3_600_000_000_000);
    let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
    let seconds = decimal(rest, scale);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, m) => format!("{m}m{seconds}s"),
        (h, m) => format!("{h}h{m}m{seconds}s"),
    }
}

fn decimal(value: u128, scale: u128) -> String {
    let width = scale.ilog10() as usize;
    let (whole, fraction) = (value / scale, value % scale);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = format!("{fraction:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// Parses a size in bytes: digits, optionally followed by `B`, `KB`/`KiB`, `MB`/`MiB`, `GB`/`GiB`. All are powers of
/// 1024, because the specification calls 10485760 bytes "10MB".
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let bad = || UnitError::Size(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "K" | "KB" | "KiB" => 1 << 10,
        "M" | "MB" | "MiB" => 1 << 20,
        "G" | "GB" | "GiB" => 1 << 30,
        _ => return Err(bad()),
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_as_go_reads_them() {
        let cases: [(&str, Option<u128>); 26] = [
            ("0", Some(0)),
            ("500ms", Some(500_000_000)),
            ("1m30s", Some(90_000_000_000)),
            (".5s", Some(500_000_000)),
            ("1.5h30m", Some(7_200_000_000_000)),
            ("1h1h", Some(7_200_000_000_000)),
            ("7d", Some(604_800_000_000_000)),
            ("1w1.5d", Some(734_400_000_000_000)),
            ("1month", None),
            ("100us", Some(100_000)),
            ("7ns", Some(7)),
            ("9223372036854775807ns", Some(9_223_372_036_854_775_807)),
            ("9223372036854775808ns", None),
            ("000000000000000000000000000001s", Some(1_000_000_000)),
            ("0000000000000000000000000000001s", None),
            ("2µs", Some(2_000)),
            ("+5s", Some(5_000_000_000)),
            ("1.", None),
            ("", None),
            ("5", None),
            ("-5s", None),
            ("5 s", None),
            (".s", None),
            ("1.2.3s", None),
            ("99999999999h", None),
            ("s", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse_duration(text).ok().map(|d| d.as_nanos()), want, "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("10485760"), Ok(10_485_760));
        assert_eq!(parse_size("10MB"), Ok(10_485_760));
        assert_eq!(parse_size("512KiB"), Ok(524_288));
        assert_eq!(parse_size("3 GB"), Ok(3 << 30));
        assert_eq!((parse_size("7B"), parse_size("7K")), (Ok(7), Ok(7 << 10)));
        for bad in ["", "MB", "1.5MB", "10XB", "-1", "99999999999G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_as_go_writes_them() {
        let cases = [
            (0, "0s"),
            (999, "999ns"),
            (1_000, "1µs"),
            (1_500, "1.5µs"),
            (999_999, "999.999µs"),
            (1_000_000, "1ms"),
            (999_000_000, "999ms"),
            (1_000_000_000, "1s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
        ];
        for (nanos, want) in cases {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), want);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos in 0u64..i64::MAX as u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,40}") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
