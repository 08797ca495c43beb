//! `top`: a live view on a terminal, redrawn each second and at each key; elsewhere printed once.

mod keys;
mod look;
mod picture;
mod state;

use super::ask::{list, report};
use super::look::status_text;
use super::output::Output;
use super::table::table;
use super::{CommandError, print};
use crate::config::Config;
use conductor_core::Exit;
use conductor_core::query::Selection;
use conductor_os::panics::guarded;
use conductor_os::terminal::{self, KeyMode, Size};
use crossbeam_channel::{Receiver, Sender, select, unbounded};
use keys::{Key, Keys};
use look::Shown;
use picture::{Line, picture};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use state::{Asked, Top};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read, Write};

/// A terminal that does not say how large it is.
const SIZE_UNKNOWN: Size = Size { rows: 24, columns: 80 };
/// The other screen, without a cursor and without wrapping, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
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

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Keys as they are pressed, until there is no terminal any more.
fn read_keys(keys: &Sender<Key>) {
    let (mut bytes, mut read) = ([0; 64], Keys::default());
    loop {
        let length = match io::stdin().lock().read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        for key in read.of(bytes.get(..length).unwrap_or_default()) {
            if keys.send(key).is_err() {
                return;
            }
        }
    }
}

/// Draws and obeys until the end; returns the signal that ended it.
fn live(config: &Config, signals: &Receiver<i32>) -> Result<Option<i32>, CommandError> {
    let (keys_in, keys) = unbounded();
    let (requests, requests_out) = unbounded();
    let (news_in, news) = unbounded();
    let config = config.clone();
    std::thread::spawn(move || read_keys(&keys_in));
    std::thread::spawn(move || look::work(&config, &requests_out, &news_in));
    let (mut top, mut last) = (Top::new(), None);
    loop {
        let size = terminal::size(io::stdout()).unwrap_or(SIZE_UNKNOWN);
        let lines = picture(&mut top, size);
        write(&drawn(&lines, last != Some(size))).map_err(CommandError::Output)?;
        last = Some(size);
        select! {
            recv(keys) -> key => match key.map(|key| top.press(key)) {
                Ok(Asked::Nothing) => {}
                Ok(Asked::Work(request)) => drop::<Result<(), _>>(requests.send(request)),
                Ok(Asked::End) | Err(_) => return Ok(None),
            },
            recv(news) -> told => match told {
                Ok(told) => top.learn(told),
                Err(_) => return Err(CommandError::hindered("the view ended", "Report this.")),
            },
            recv(signals) -> signal => match signal {
                Ok(SIGWINCH) => {}
                Ok(signal) => return Ok(Some(signal)),
                Err(_) => return Ok(None),
            },
        }
    }
}

/// The sequences that draw these lines. Each covers its whole row, so nothing flickers; only a row with characters of
/// unknown width is cleared first.
fn drawn(lines: &[Line], anew: bool) -> String {
    let plain = !console::colors_enabled();
    let mut text = if anew { "\x1b[2J".to_owned() } else { String::new() };
    for (row, line) in (1..).zip(lines) {
        let clear = if line.text.is_ascii() { "" } else { "\x1b[2K" };
        let look = if plain && line.look.starts_with('3') { "" } else { line.look };
        // Writing to a String cannot fail.
        let _ = write!(text, "\x1b[{row};1H{clear}\x1b[0;{look}m{}\x1b[0m", line.text);
    }
    text
}
