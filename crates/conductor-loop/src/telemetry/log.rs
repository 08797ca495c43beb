//! The log: one line per event on standard error and in memory, as text or JSON, with the name of the instance.

use super::progress::Progress;
use super::{output, recent};
use std::borrow::Cow;
use std::io::Write;
use std::sync::OnceLock;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// The end of each line that names this instance, where it has a name.
static INSTANCE: OnceLock<Ending> = OnceLock::new();

/// The way to change the level while running.
static LEVEL: OnceLock<Handle<LevelFilter, Registry>> = OnceLock::new();

/// Standard error and the lines kept in memory; one line per write.
struct Lines;

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Line;
    fn make_writer(&'w self) -> Line {
        Line
    }
}

/// One line on its way.
struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = INSTANCE.get().map_or(Cow::Borrowed(bytes), |ending| ending.on(bytes));
        recent::keep(&line);
        output::write(&line);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The name of this instance as the last field of a line. The formatter has no fields of the whole process.
struct Ending {
    field: String,
    /// What closes the line, behind the field.
    close: &'static [u8],
}

impl Ending {
    fn new(instance: &str, json: bool) -> Self {
        let (field, close): (_, &[u8]) = if json {
            (format!(",\"instance\":\"{instance}\""), b"}\n")
        } else {
            (format!(" instance=\"{instance}\""), b"\n")
        };
        Self { field, close }
    }

    /// The line with the field in it.
    fn on<'l>(&self, line: &'l [u8]) -> Cow<'l, [u8]> {
        match line.strip_suffix(self.close) {
            Some(open) => [open, self.field.as_bytes(), self.close].concat().into(),
            None => line.into(),
        }
    }
}

/// Sets logging up for the life of the process: JSON lines or text for people, each with the name of the instance if it
/// has one.
pub fn init(
    level: LevelFilter,
    json: bool,
    instance: Option<&str>,
    progress: &Progress,
) -> std::io::Result<()> {
    if let Some(instance) = instance {
        INSTANCE.get_or_init(|| Ending::new(instance, json));
    }
    let (filter, handle) = reload::Layer::new(level);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        let layer = fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .with_span_list(false);
        registry.with(layer.with_timer(Clock).with_writer(Lines)).try_init()
    } else {
        registry
            .with(fmt::layer().with_target(false).with_ansi(false).with_timer(Clock).with_writer(Lines))
            .try_init()
    };
    if started.is_ok() {
        // Set once: a second call has failed above.
        let _ = LEVEL.set(handle);
    }
    output::start(progress.clone())
}

/// Changes the level while running (SIGHUP).
pub fn set_level(level: LevelFilter) {
    if let Some(handle) = LEVEL.get() {
        // Fails only when logging has ended.
        let _ = handle.reload(level);
    }
}

/// RFC 3339 in UTC with milliseconds.
struct Clock;

impl fmt::time::FormatTime for Clock {
    fn format_time(&self, to: &mut fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(to, "{}", conductor_core::record::rfc3339(jiff::Timestamp::now()))
    }
}
