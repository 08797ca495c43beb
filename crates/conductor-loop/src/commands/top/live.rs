//! The live view: it draws, and obeys keys, news and signals until its end.

use super::super::error::CommandError;
use super::keys::{Key, Keys};
use super::look;
use super::picture::picture;
use super::screen::{SIZE_UNKNOWN, drawn, write};
use super::state::{Asked, Top};
use crate::config::Config;
use conductor_os::terminal;
use crossbeam_channel::{Receiver, Sender, select, unbounded};
use signal_hook::consts::SIGWINCH;
use std::io::{self, Read};

/// Draws and obeys until the end; returns the signal that ended it.
pub(super) fn live(config: &Config, signals: &Receiver<i32>) -> Result<Option<i32>, CommandError> {
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
