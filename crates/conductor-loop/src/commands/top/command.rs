//! The command: live on a terminal, which it leaves as it was; elsewhere everything is printed once.

use super::super::ask::{list, report};
use super::super::error::CommandError;
use super::super::look::status_text;
use super::super::output::Output;
use super::super::stdout::print;
use super::super::table::table;
use super::live::live;
use super::look::{self, Shown};
use super::screen::{ENTER, LEAVE, write};
use crate::config::Config;
use conductor_core::Exit;
use conductor_core::query::Selection;
use conductor_os::panics::guarded;
use conductor_os::terminal::KeyMode;
use crossbeam_channel::unbounded;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io::{self, IsTerminal};

/// Rows that are printed where there is no terminal.
const PRINTED_MOST: usize = 100;

/// `top`. With --json it prints the status and the newest intents, once.
pub fn top(config: &Config, output: Output) -> Result<Exit, CommandError> {
    if output.is_data() {
        let report = report(config)?;
        let listing = list(config, Selection { most: PRINTED_MOST, ..Selection::default() })?;
        let body = serde_json::json!({"status": report, "intents": listing.intents});
        return output.answer(&body, |_| String::new());
    }
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return print(printed(config)?.as_bytes());
    }
    // A first look says what is wrong while errors can still be seen.
    report(config)?;
    let (signals_in, signals) = unbounded();
    let mut caught = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH])
        .map_err(CommandError::system("catching signals"))?;
    std::thread::spawn(move || caught.forever().all(|signal| signals_in.send(signal).is_ok()));
    let mode = KeyMode::begin(io::stdin()).map_err(CommandError::system("reading keys"))?;
    write(ENTER).map_err(CommandError::Output)?;
    // A panic is told after the screen is put back: before, nobody would read it.
    let ended = guarded(|| live(config, &signals));
    // A terminal that is gone needs nothing put back.
    let _ = write(LEAVE);
    drop(mode);
    match ended {
        Ok(Ok(Some(signal))) => {
            emulate_default_handler(signal).map_err(CommandError::system("ending by the signal"))?;
            Ok(Exit::Good)
        }
        Ok(ended) => ended.map(|_| Exit::Good),
        Err(panic) => Err(CommandError::hindered(format!("top failed: {panic}"), "Report this.")),
    }
}

/// Everything once, at any width.
fn printed(config: &Config) -> Result<String, CommandError> {
    let mut sight = look::sight(config, Shown::All)?;
    sight.rows.truncate(PRINTED_MOST);
    Ok(format!("{}\n{}", status_text(&sight.report), table(&sight.rows, usize::MAX)))
}
