//! `porch -intent FILE -out DIR [-structured]`: the package engine as the program the specification calls.

mod cli;
mod intents;
mod result_file;

use cli::Arguments;
use conductor_core::Code;
use conductor_os::is_passing;
use conductor_porch::{Engine, Order, Patience, PorchError, Settings, exit};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A write made a file larger than it may be.
const SIGXFSZ: i32 = rustix::process::Signal::XFSZ.as_raw();
/// The exit statuses of failed intents, the worst first: what has to be looked at counts more than what passes.
const WORST: [u8; 6] =
    [exit::INTERNAL, exit::IO, exit::CANNOT_CREATE, exit::POLICY, exit::INTENT, exit::BUSY];

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
            return answered(error.print().and_then(|()| std::io::stdout().flush()));
        }
    };
    match run(arguments) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

/// The exit status of an answer that was printed. A reader that went away does not make the work undone; whoever gets nothing
/// because it cannot be written has to know.
fn answered(printed: std::io::Result<()>) -> ExitCode {
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let message = format!("standard output cannot be written: {error}");
            Failure { status: exit::IO, message }.tell()
        }
        _ => ExitCode::SUCCESS,
    }
}

impl Failure {
    fn tell(&self) -> ExitCode {
        let _ = writeln!(std::io::stderr(), "porch: {}", self.message);
        ExitCode::from(self.status)
    }

    /// The failure of one of several intents, with the file of that one and what became of the others.
    fn among(self, count: usize, shown: &str, others: &str) -> Self {
        let message = match count {
            1 => self.message,
            _ if others.is_empty() => format!("{shown}: {}", self.message),
            _ => format!("{shown}: {} ({others})", self.message),
        };
        Self { message, ..self }
    }
}

/// Carries out all intents, one after the other. One that fails does not stop the others: each is a change of its own,
/// and is done or not.
fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let intents = intents::read_all(&arguments.intents)?;
    if !arguments.dry_run {
        make_out(&arguments.settings)?;
    }
    let engine = Engine::new(arguments.settings);
    let limits = Limits { lock_wait: arguments.lock_wait, timeout: arguments.timeout };
    let (mut failed, mut lines) = (Vec::new(), String::new());
    for number in 0..intents.count() {
        let done = intents
            .order(number)
            .and_then(|order| carry_out(&engine, &order, &limits, arguments.dry_run))
            .and_then(|Done { line, answer }| {
                lines.push_str(&line);
                print(&answer)
            });
        if let Err(failure) = done {
            let failure = failure.among(intents.count(), &intents.shown(number), "");
            failure.tell();
            failed.push(failure.status);
        }
    }
    if let Some(path) = arguments.result.filter(|_| !lines.is_empty())
        && let Err(failure) = write_result(&path, &lines)
    {
        failure.tell();
        failed.push(failure.status);
    }
    Ok(worst(&failed).map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// The status that says most.
fn worst(failed: &[u8]) -> Option<u8> {
    WORST.into_iter().find(|status| failed.contains(status)).or_else(|| failed.first().copied())
}

/// The times that one intent may take.
struct Limits {
    lock_wait: Duration,
    timeout: Duration,
}

/// A finished intent: the result line, and what belongs on standard output, which with `--dry-run` is the diff.
struct Done {
    line: String,
    answer: String,
}

fn carry_out(engine: &Engine, order: &Order, limits: &Limits, dry_run: bool) -> Result<Done, Failure> {
    let shown = Progress::default();
    let tell = |text: &str| shown.show(text);
    let patience = Patience { tell: &tell, ..Patience::new(limits.lock_wait, limits.timeout) };
    let act = if dry_run { Engine::preview } else { Engine::apply };
    let applied = act(engine, order, &patience);
    shown.clear();
    let applied = applied.map_err(|error| failure(&error))?;
    let line = format!("{}\n", applied.outcome.line());
    let answer = if dry_run { applied.diff() } else { line.clone() };
    Ok(Done { line, answer })
}

/// Prints what one intent has brought.
fn print(answer: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    match stdout.write_all(answer.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let message = format!("the package is done, but standard output cannot be written: {error}");
            Err(Failure { status: exit::IO, message })
        }
        _ => Ok(()),
    }
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

/// The advice is written for the daemon, whose command hands an intent in again, and which has a user of its own; here the
/// program is just run again.
fn advice(remedy: &str) -> String {
    remedy.replace("`conductor-loop retry` it", "run porch again").replace(", as the daemon's user", "")
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
        Failure { status: if is_passing(&error) { exit::BUSY } else { exit::CANNOT_CREATE }, message }
    })
}

fn write_result(path: &Path, lines: &str) -> Result<(), Failure> {
    result_file::write(path, lines).map_err(|error| Failure {
        // The next run finds the package done.
        status: if is_passing(&error) { exit::BUSY } else { exit::CANNOT_CREATE },
        message: format!("the package is done, but the result {} cannot be written: {error}", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_status_is_what_has_to_be_looked_at() {
        for (failed, is) in [
            (&[][..], None),
            (&[75], Some(75)),
            (&[75, 73], Some(73)),
            (&[77, 75, 65], Some(77)),
            (&[73, 70, 74], Some(70)),
        ] {
            assert_eq!(worst(failed), is, "{failed:?}");
        }
    }

    #[test]
    fn advice_names_no_command_of_the_daemon() {
        for code in [
            Code::PackageUnfit,
            Code::PackageBusy,
            Code::PackageWrite,
            Code::PackageCheckFailed,
            Code::GitFailed,
        ] {
            let said = advice(code.remedy());
            assert!(!said.contains("conductor-loop") && !said.contains("daemon"), "{said}");
        }
        assert!(advice(Code::PackageUnfit.remedy()).ends_with("then run porch again."));
    }
}
