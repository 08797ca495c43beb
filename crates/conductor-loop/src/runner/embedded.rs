//! The package engine as a library call: no process, the same outcome type.

use super::{Job, Settings};
use conductor_core::outcome::{Capture, Ending, Run};
use conductor_porch::{Form, PorchError, Request, apply};
use std::time::Instant;

pub(super) fn run(settings: &Settings, job: &Job, worker: usize) -> Run {
    let begin = Instant::now();
    let form = if settings.structured { Form::Structured } else { Form::Direct };
    let claim = &job.claim;
    let request = Request { kind: claim.kind, key: &claim.key, replicas: claim.replicas, form };
    let mut stdout = Capture::default();
    let ending = match apply(&request, &settings.out) {
        Ok(package) => {
            let state = if package.changed { "written" } else { "unchanged" };
            stdout.head = format!("{state} {}\n", package.dir.display()).into_bytes();
            stdout.total = stdout.head.len() as u64;
            Ending::Exited(0)
        }
        Err(PorchError::Write { source, .. }) if crate::sys::is_no_space(&source) => Ending::NoSpace,
        Err(error) => Ending::EngineFailed { code: error.code(), message: error.to_string() },
    };
    Run {
        ending,
        duration: begin.elapsed(),
        stdout,
        stderr: Capture::default(),
        leftovers: Vec::new(),
        command: vec!["builtin".to_owned()],
        worker,
    }
}
