//! `porch -intent FILE -out DIR [-structured]`: the package engine as the program the specification calls.

use conductor_core::intent::{Policy, judge};
use conductor_porch::{Form, PorchError, Request, apply};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// sysexits.h: command line used wrongly.
const EX_USAGE: u8 = 64;
/// The intent is refused.
const EX_DATAERR: u8 = 65;
/// The intent cannot be read.
const EX_NOINPUT: u8 = 66;
/// The package cannot be written.
const EX_CANTCREAT: u8 = 73;
/// Largest intent read: the daemon's default.
const SIZE_MAX: u64 = 10_485_760;
const USAGE: &str = "usage: porch -intent FILE -out DIR [-structured]

Turns one intent into a Kubernetes package below DIR. Flags take one dash or two.
  -intent FILE   the intent (JSON)
  -out DIR       where packages go; must exist
  -structured    write a strategic-merge patch instead of a partial object
  -version, -help

Exit status: 0 done or nothing to do, 64 usage, 65 intent refused, 66 intent unreadable, 73 cannot write.
Example: porch -intent intent-scale.json -out ./packages -structured";

#[derive(Default)]
struct Arguments {
    intent: Option<PathBuf>,
    out: Option<PathBuf>,
    structured: bool,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::default();
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let (flag, attached) = match text.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(PathBuf::from(value))),
            None => (text.clone(), None),
        };
        match flag.trim_start_matches('-') {
            "intent" if flag.starts_with('-') => {
                arguments.intent = attached.or_else(|| words.next().map(PathBuf::from));
            }
            "out" if flag.starts_with('-') => {
                arguments.out = attached.or_else(|| words.next().map(PathBuf::from));
            }
            "structured" if flag.starts_with('-') => {
                arguments.structured = attached.is_none_or(|v| v == Path::new("true"));
            }
            "version" => return say(concat!("porch ", env!("CARGO_PKG_VERSION"))),
            "help" | "h" => return say(USAGE),
            _ => return fail(EX_USAGE, &format!("porch: unknown argument '{text}'\n{USAGE}")),
        }
    }
    let (Some(intent), Some(out)) = (arguments.intent, arguments.out) else {
        return fail(EX_USAGE, USAGE);
    };
    run(&intent, &out, arguments.structured)
}

fn run(intent_path: &Path, out: &Path, structured: bool) -> ExitCode {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(intent_path).and_then(|file| file.take(SIZE_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return fail(EX_NOINPUT, &format!("porch: cannot read {}: {error}", intent_path.display()));
    }
    if bytes.len() as u64 > SIZE_MAX {
        return fail(
            EX_DATAERR,
            &format!("porch: {} is larger than {SIZE_MAX} bytes", intent_path.display()),
        );
    }
    // Whoever calls has already decided on scaling to zero; the daemon's policy is not repeated here.
    let intent = match judge(&bytes, Policy { allow_scale_to_zero: true }) {
        Ok(intent) => intent,
        Err(refusal) => return fail(EX_DATAERR, &format!("porch: {} {refusal}", refusal.code)),
    };
    let form = if structured { Form::Structured } else { Form::Direct };
    let request = Request { kind: intent.kind, key: &intent.key, replicas: intent.replicas, form };
    match apply(&request, out) {
        Ok(package) => {
            let state = if package.changed { "written" } else { "unchanged" };
            say(&format!("{state} {}", package.dir.display()))
        }
        Err(error @ PorchError::Unsupported { .. }) => {
            fail(EX_DATAERR, &format!("porch: {} {error}", error.code()))
        }
        Err(error) => fail(EX_CANTCREAT, &format!("porch: {} {error}", error.code())),
    }
}

#[expect(clippy::print_stdout, reason = "a command line program answers on standard output")]
fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "a command line program complains on standard error")]
fn fail(status: u8, text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(status)
}
