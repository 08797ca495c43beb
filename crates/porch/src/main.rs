//! `porch -intent FILE -out DIR [-structured]`: the package engine as the program the specification calls.

mod cli;

use cli::Arguments;
use conductor_core::Code;
use conductor_core::intent::{Policy, judge};
use conductor_os::plain::read_start;
use conductor_porch::{Engine, Order, Patience, PorchError, Provenance, Settings, exit};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A write made a file larger than it may be.
const SIGXFSZ: i32 = rustix::process::Signal::XFSZ.as_raw();
/// Largest intent read: the daemon's default.
const SIZE_MAX: u64 = 10_485_760;

/// The failure of a run, with its exit status.
struct Failure {
    status: u8,
    message: String,
}

fn main() -> ExitCode {
    // Whoever opens a file while we ask who writes it makes the kernel send the first; the second comes with a write that is
    // larger than a file may be, and that fails with an error of its own. Each would end us.
    for signal in [signal_hook::consts::SIGIO, SIGXFSZ] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))) {
            let _ = writeln!(std::io::stderr(), "porch: signal {signal} cannot be ignored: {error}");
            return ExitCode::from(exit::INTERNAL);
        }
    }
    let arguments = match cli::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            if error.use_stderr() {
                // That it cannot be shown does not make it right.
                let _ = error.print();
                return ExitCode::from(exit::USAGE);
            }
            // Help and version are what was asked for.
            return answered(error.print().and_then(|()| std::io::stdout().flush()), "");
        }
    };
    match run(arguments) {
        Ok(text) => {
            let mut stdout = std::io::stdout();
            answered(
                stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()),
                "the package is done, but ",
            )
        }
        Err(Failure { status, message }) => {
            let _ = writeln!(std::io::stderr(), "porch: {message}");
            ExitCode::from(status)
        }
    }
}

/// The exit status of an answer that was printed. A reader that went away does not make the work undone; whoever gets nothing
/// because it cannot be written has to know.
fn answered(printed: std::io::Result<()>, but: &str) -> ExitCode {
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let _ = writeln!(std::io::stderr(), "porch: {but}standard output cannot be written: {error}");
            ExitCode::from(exit::IO)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// What belongs on standard output: the result line, or with `--dry-run` the diff.
fn run(arguments: Arguments) -> Result<String, Failure> {
    let order = order(&arguments.intent)?;
    let shown = Progress::default();
    let tell = |text: &str| shown.show(text);
    let patience = Patience { tell: &tell, ..Patience::new(arguments.lock_wait, arguments.timeout) };
    if !arguments.dry_run {
        make_out(&arguments.settings)?;
    }
    let engine = Engine::new(arguments.settings);
    let act = if arguments.dry_run { Engine::preview } else { Engine::apply };
    let applied = act(&engine, &order, &patience);
    shown.clear();
    let applied = applied.map_err(|error| failure(&error))?;
    let line = format!("{}\n", applied.outcome.line());
    if let Some(path) = &arguments.result {
        write_result(path, &line)?;
    }
    Ok(if arguments.dry_run { applied.diff() } else { line })
}

/// Slow steps, in one line that is overwritten, if standard error is a terminal.
#[derive(Default)]
struct Progress {
    shown: std::cell::Cell<bool>,
}

impl Progress {
    fn show(&self, text: &str) {
        let mut stderr = std::io::stderr();
        if stderr.is_terminal() {
            // The progress line is not required.
            let _ = write!(stderr, "\r\x1b[Kporch: {text}");
            self.shown.set(true);
        }
    }

    fn clear(&self) {
        if self.shown.take() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// What to do, for whoever runs this program and not the daemon.
fn remedy(error: &PorchError) -> String {
    let text = advice(error.code().remedy());
    if error.is_passing() { format!("Run it again later; if it stays so: {text}") } else { text }
}

fn failure(error: &PorchError) -> Failure {
    let code = error.code();
    let message = format!("{code} {error}\n  what to do: {}", remedy(error));
    Failure { status: error.exit_status(), message }
}

/// The advice is written for the daemon, whose command hands an intent in again; here the program is just run again.
fn advice(remedy: &str) -> String {
    remedy.replace("`conductor-loop retry` it", "run porch again")
}

/// The bytes of the intent; `-` is standard input.
fn read_intent(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        return read_start(std::io::stdin(), SIZE_MAX + 1);
    }
    // A shell may hand in a pipe.
    read_start(std::fs::File::open(path)?, SIZE_MAX + 1)
}

/// The output directory is made where it is missing, as the daemon does it.
fn make_out(settings: &Settings) -> Result<(), Failure> {
    let out = &settings.out;
    if out.as_os_str().is_empty() || out.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(out).map_err(|error| {
        let (code, out) = (Code::PackageWrite, out.display());
        let remedy = advice(code.remedy());
        let message =
            format!("{code} the output directory {out} cannot be made: {error}\n  what to do: {remedy}");
        Failure { status: exit::CANNOT_CREATE, message }
    })
}

fn order(path: &Path) -> Result<Order, Failure> {
    let refused = |message: String| Failure { status: exit::INTENT, message };
    let bytes = read_intent(path).map_err(|error| Failure {
        status: exit::NO_INPUT,
        message: format!("the intent {} cannot be read: {error}", path.display()),
    })?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(refused(format!("the intent {} is larger than {SIZE_MAX} bytes", path.display())));
    }
    // The caller has already decided on scaling to zero; the daemon's policy is not repeated here.
    let intent = judge(&bytes, Policy { allow_scale_to_zero: true })
        .map_err(|refusal| refused(format!("{} {refusal}", refusal.code)))?;
    let provenance = provenance(&bytes, intent.correlation_id.clone());
    Ok(Order { intent, provenance })
}

/// Sequence number and correlation id from the daemon's environment, if it describes this very intent.
fn provenance(bytes: &[u8], own_correlation_id: Option<String>) -> Provenance {
    let sha256 = conductor_crypto::sha256(bytes).to_string();
    let variable = |name: &str| std::env::var(name).ok();
    if variable("CONDUCTOR_INTENT_SHA256").as_deref() != Some(&sha256) {
        return Provenance { sha256, correlation_id: own_correlation_id, seq: None };
    }
    Provenance {
        sha256,
        correlation_id: variable("CONDUCTOR_CORRELATION_ID").or(own_correlation_id),
        seq: variable("CONDUCTOR_INTENT_SEQ").and_then(|seq| seq.parse().ok()),
    }
}

/// Writes the result whole or not at all: under another name, then renamed.
fn write_result(path: &Path, line: &str) -> Result<(), Failure> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".porch-tmp");
    let written = std::fs::write(&unfinished, line).and_then(|()| std::fs::rename(&unfinished, path));
    written.map_err(|error| Failure {
        status: exit::CANNOT_CREATE,
        message: format!("the package is done, but the result {} cannot be written: {error}", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_no_command_of_the_daemon() {
        for code in [Code::PackageUnfit, Code::PackageBusy, Code::PackageWrite, Code::PackageCheckFailed] {
            let said = advice(code.remedy());
            assert!(!said.contains("conductor-loop"), "{said}");
        }
        assert!(advice(Code::PackageUnfit.remedy()).ends_with("then run porch again."));
    }
}
