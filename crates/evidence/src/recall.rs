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

/// The most segments that are read for the beginning of an intent, and for its end.
const SEGMENTS_MAX: usize = 4;

/// The signed entries of an intent that happened between these times, in their order. Segments that are of before or of later are not
/// read; some later ones are as long as the end of the intent was not met, for a start makes entries again that a crash took.
pub fn entries_of(dir: &Dir, intent: Seq, from: Timestamp, to: Timestamp) -> io::Result<Vec<Entry>> {
    Search { dir, intent, effort: Effort::default() }.entries(from, to)
}

/// What a search has cost.
#[derive(Debug, Default, PartialEq, Eq)]
struct Effort {
    /// Lines read.
    read: usize,
    /// Lines of them that were parsed, which costs most.
    parsed: usize,
}

/// A search for the entries of an intent.
struct Search<'d> {
    dir: &'d Dir,
    intent: Seq,
    effort: Effort,
}

/// The part of a trail in which an intent is looked for.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// The place of the segment of its beginning.
    first: usize,
    /// The place of the segment of its end.
    last: usize,
    /// When it ended.
    to: Timestamp,
}

impl Search<'_> {
    fn entries(&mut self, from: Timestamp, to: Timestamp) -> io::Result<Vec<Entry>> {
        let segments = segment::list(self.dir)?;
        // Where clocks went on, its life begins and ends in these.
        let (first, last) = (self.segment_at(&segments, from)?, self.segment_at(&segments, to)?);
        let near = self.among(&segments, Part { first, last, to })?;
        if is_whole(&near) {
            return Ok(near);
        }
        let from = from.checked_sub(CLOCKS).unwrap_or(from);
        let to = to.checked_add(CLOCKS).unwrap_or(to);
        let mut first = 0;
        for (at, segment) in segments.iter().enumerate() {
            if self.begins(*segment)?.is_some_and(|begins| begins <= from) {
                first = at;
            }
        }
        let last = self.segment_at(&segments, to)?;
        let far = self.among(&segments, Part { first, last, to })?;
        Ok(if far.len() > near.len() { far } else { near })
    }

    /// The place of a segment that begins at this time or earlier, and the one behind it, if any, later.
    fn segment_at(&mut self, segments: &[u64], at: Timestamp) -> io::Result<usize> {
        let (mut found, mut later) = (0, segments.len());
        while later - found > 1 {
            let middle = usize::midpoint(found, later);
            let begins = segments.get(middle).map(|first| self.begins(*first)).transpose()?.flatten();
            if begins.is_some_and(|begins| begins <= at) { found = middle } else { later = middle }
        }
        Ok(found)
    }

    /// The entries in the segments from one place on, and where that is farther, in those around another place.
    fn among(&mut self, segments: &[u64], part: Part) -> io::Result<Vec<Entry>> {
        let Part { first, last, to } = part;
        let mut found = Vec::new();
        let behind = (first + SEGMENTS_MAX).max(last.saturating_sub(1));
        let of = |place: usize| segments.iter().skip(place).take(SEGMENTS_MAX);
        for segment in of(first).chain(of(behind)) {
            if found.iter().any(is_end) && self.begins(*segment)?.is_some_and(|begins| begins > to) {
                break;
            }
            if self.in_segment(*segment, &mut found)? {
                break;
            }
        }
        Ok(found)
    }

    /// Adds the entries of a segment that a checkpoint of it covers. Returns whether none of it can come any more.
    fn in_segment(&mut self, first: u64, found: &mut Vec<Entry>) -> io::Result<bool> {
        // As the lines are written; in a text quotes stand behind a backslash.
        let words = format!("\"intent\": {},", self.intent);
        let mut unsigned = Vec::new();
        for line in Lines::open(self.dir, first)? {
            let line = line?;
            self.effort.read += 1;
            let tells = || std::str::from_utf8(&line.bytes).is_ok_and(|text| text.contains(&words));
            if !line.whole || (unsigned.is_empty() && !tells()) {
                continue;
            }
            self.effort.parsed += 1;
            match parse(&line.bytes) {
                Some(Parsed::Entry(entry)) if entry.intent == Some(self.intent) => unsigned.push(*entry),
                Some(Parsed::Checkpoint { .. }) => {
                    found.append(&mut unsigned);
                    if is_whole(found) {
                        return Ok(true);
                    }
                }
                Some(Parsed::Entry(_)) | None => {}
            }
        }
        Ok(false)
    }

    /// The time of a segment's first entry.
    fn begins(&mut self, first: u64) -> io::Result<Option<Timestamp>> {
        self.effort.read += 1;
        self.effort.parsed += 1;
        let line = Lines::open(self.dir, first)?.next().transpose()?;
        Ok(line.and_then(|line| match parse(&line.bytes) {
            Some(Parsed::Entry(entry)) => Some(entry.time),
            _ => None,
        }))
    }
}

/// Whether an intent's life is in these entries from its first to its last.
fn is_whole(entries: &[Entry]) -> bool {
    let is_first = |entry: &Entry| entry.is(Event::Taken) || entry.is(Event::Refused);
    entries.iter().any(is_first) && entries.iter().any(is_end)
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

#[cfg(test)]
mod tests;
