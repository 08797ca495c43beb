//! Looks up in a trail what is recorded of intents, from its end.

use crate::entry::{Entry, Event, Parsed, parse};
use crate::segment::{self, Line, Lines};
use conductor_core::Seq;
use conductor_os::dir::Dir;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::io;

/// How far clocks may have gone back between an event and its entry.
const CLOCKS: SignedDuration = SignedDuration::from_hours(1);

/// The end of a trail: what stands behind it was never signed, and the next batch removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The number that names the last segment.
    pub segment: u64,
    /// The bytes of that segment up to its last checkpoint.
    pub length: u64,
}

/// The most segments that are read for one intent.
const SEGMENTS_MAX: usize = 8;

/// The signed entries of an intent that happened between these times, in their order. Segments that are of before or of later are not
/// read; some later ones are as long as the end of the intent was not met, for a start makes entries again that a crash took.
pub fn entries_of(dir: &Dir, intent: Seq, from: Timestamp, to: Timestamp) -> io::Result<Vec<Entry>> {
    let from = from.checked_sub(CLOCKS).unwrap_or(from);
    let to = to.checked_add(CLOCKS).unwrap_or(to);
    let segments = segment::list(dir)?;
    let mut begin = 0;
    for (at, first) in segments.iter().enumerate() {
        if begins(dir, *first)?.is_some_and(|begins| begins <= from) {
            begin = at;
        }
    }
    let mut found = Vec::new();
    for first in segments.into_iter().skip(begin).take(SEGMENTS_MAX) {
        if begins(dir, first)?.is_some_and(|begins| begins > to) && found.iter().any(is_end) {
            break;
        }
        let of_intent = |entry: &Entry| entry.intent == Some(intent);
        signed(Lines::open(dir, first)?, &mut |entry| {
            if of_intent(&entry) {
                found.push(entry);
            }
        })?;
    }
    Ok(found)
}

/// Passes the entries of a segment that a checkpoint of it covers.
pub fn signed(lines: impl Iterator<Item = io::Result<Line>>, each: &mut dyn FnMut(Entry)) -> io::Result<()> {
    let mut unsigned = Vec::new();
    for line in lines {
        let line = line?;
        match parse(&line.bytes) {
            _ if !line.whole => {}
            Some(Parsed::Entry(entry)) => unsigned.push(*entry),
            Some(Parsed::Checkpoint { .. }) => unsigned.drain(..).for_each(&mut *each),
            None => {}
        }
    }
    Ok(())
}

fn is_end(entry: &Entry) -> bool {
    entry.is(Event::Filed)
}

/// The time of a segment's first entry.
fn begins(dir: &Dir, first: u64) -> io::Result<Option<Timestamp>> {
    let line = Lines::open(dir, first)?.next().transpose()?;
    Ok(line.and_then(|line| match parse(&line.bytes) {
        Some(Parsed::Entry(entry)) => Some(entry.time),
        _ => None,
    }))
}

/// Which of these events of these intents have an entry before the end. Segments that end before `since` are not read, unless the
/// clock was set back in the one behind them.
pub fn recorded(
    dir: &Dir,
    end: Option<End>,
    wanted: &BTreeSet<(Seq, Event)>,
    since: Timestamp,
) -> io::Result<BTreeSet<(Seq, Event)>> {
    let since = since.checked_sub(CLOCKS).unwrap_or(since);
    let mut found = BTreeSet::new();
    let Some(end) = end else { return Ok(found) };
    for first in segment::list(dir)?.into_iter().rev().filter(|first| *first <= end.segment) {
        let (mut begins, mut went_back, mut at) = (None, false, 0);
        for line in Lines::open(dir, first)? {
            let line = line?;
            at += line.bytes.len() as u64 + u64::from(line.whole);
            if first == end.segment && at > end.length {
                break;
            }
            let Some(Parsed::Entry(entry)) = parse(&line.bytes) else { continue };
            begins.get_or_insert(entry.time);
            went_back |= entry.is(Event::ClockBack);
            let Some(number) = entry.intent else { continue };
            let of = wanted.range((number, Event::FIRST)..).take_while(|(of, _)| *of == number);
            found.extend(of.filter(|(_, event)| entry.is(*event)));
        }
        if found.len() == wanted.len() || (!went_back && begins.is_some_and(|begins| begins < since)) {
            break;
        }
    }
    Ok(found)
}
