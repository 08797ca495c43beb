//! What `top` knows and what a key changes: selection, order, filter, and the question that is open.

use super::keys::Key;
use super::look::{News, Request, Shown, Sight, is_news};
use conductor_core::Seq;
use conductor_core::query::{Explained, Row, State};
use std::cmp::Reverse;

/// Rows of what failed within the last hour where everything is shown: more would hide what waits.
pub(super) const LATELY_ROWS: usize = 5;
/// What `?` says: the keys that the last line has no room for.
const MORE_KEYS: &str = "arrows j k PgUp PgDn g G: move  Enter: why  u: what waits or runs  Esc: all";

/// The order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// What runs, what failed in the last hour, what waits, the rest.
    State,
    /// The newest first.
    Age,
    Target,
}

impl Sort {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Age => "age",
            Self::Target => "target",
        }
    }
}

/// What lies over the rows, or takes the keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Over {
    Nothing,
    /// The filter is being typed.
    Filter,
    /// Why an intent waits or failed; any key closes it.
    Explained(Box<Explained>),
    /// Whether to hand in this failed intent again.
    Retry(Box<Row>),
}

/// What a key asks for, beside another picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    Work(Request),
    End,
}

/// Everything that a picture is made from.
pub(super) struct Top {
    pub(super) shown: Shown,
    pub(super) sort: Sort,
    pub(super) filter: String,
    pub(super) over: Over,
    pub(super) sight: Option<Sight>,
    /// Why there is nothing newer to see.
    pub(super) trouble: Option<String>,
    /// Finished intents a second.
    pub(super) rate: Option<f64>,
    /// What came of the last command.
    pub(super) said: Option<String>,
    pub(super) selected: usize,
    /// The first row that is drawn.
    pub(super) first: usize,
    /// The number of rows that the last picture had room for.
    pub(super) page: usize,
}

/// What stays the same of a row from one moment to the next.
fn identity(row: &Row) -> (Option<&str>, Option<Seq>, &str) {
    match row.others {
        Some(_) => (row.target.as_deref(), None, ""),
        None => (None, row.seq, &row.file),
    }
}

impl Top {
    pub(super) fn new() -> Self {
        Self {
            shown: Shown::All,
            sort: Sort::State,
            filter: String::new(),
            over: Over::Nothing,
            sight: None,
            trouble: None,
            rate: None,
            said: None,
            selected: 0,
            first: 0,
            page: 1,
        }
    }

    /// The rows in their order, without those that the filter leaves out.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let wanted = self.filter.to_lowercase();
        let contains = |text: &str| text.to_lowercase().contains(&wanted);
        let all = self.sight.iter().flat_map(|sight| &sight.rows);
        let mut rows: Vec<&Row> =
            all.filter(|row| row.target.as_deref().is_some_and(contains) || contains(&row.file)).collect();
        match self.sort {
            Sort::State if self.shown == Shown::All && wanted.is_empty() => {
                let mut lately = 0;
                rows.retain(|row| {
                    lately += usize::from(is_news(row));
                    !is_news(row) || lately <= LATELY_ROWS
                });
            }
            Sort::State => {}
            Sort::Age => rows.sort_by_key(|row| Reverse(row.at)),
            Sort::Target => rows.sort_by_key(|row| (row.target.is_none(), row.target.as_ref())),
        }
        rows
    }

    /// Takes in what came of a request.
    pub(super) fn learn(&mut self, news: News) {
        match news {
            News::Sight(sight) => self.see(*sight),
            News::Explained(explained) => self.over = Over::Explained(explained),
            News::Said(text) => self.said = Some(text),
            News::NoSight(text) => self.trouble = Some(text),
        }
    }

    fn see(&mut self, sight: Sight) {
        let finished = |sight: &Sight| sight.report.processed + sight.report.failed;
        self.rate = self.sight.as_ref().map(|before| {
            let count = finished(&sight).saturating_sub(finished(before));
            let seconds = sight.at.duration_since(before.at).as_secs_f64().max(0.1);
            f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds
        });
        let selected = self.rows().get(self.selected).map(|row| (*row).clone());
        (self.sight, self.trouble) = (Some(sight), None);
        self.select_again(selected.as_ref());
    }

    /// The selection stays with its row.
    fn select_again(&mut self, before: Option<&Row>) {
        let rows = self.rows();
        // At the top it stays there: what is new comes in sight.
        let place = before
            .filter(|_| self.selected > 0)
            .and_then(|before| rows.iter().position(|row| identity(row) == identity(before)));
        self.selected = place.unwrap_or(self.selected).min(rows.len().saturating_sub(1));
    }

    fn go(&mut self, to: usize) {
        self.selected = to.min(self.rows().len().saturating_sub(1));
    }

    /// What a key does.
    pub(super) fn press(&mut self, key: Key) -> Asked {
        if key == Key::Interrupt {
            return Asked::End;
        }
        self.said = None;
        match std::mem::replace(&mut self.over, Over::Nothing) {
            Over::Nothing => self.press_on_rows(key),
            Over::Filter => {
                self.type_filter(key);
                Asked::Nothing
            }
            Over::Explained(_) => Asked::Nothing,
            Over::Retry(row) if key == Key::Char('y') => Asked::Work(Request::Retry(name(&row))),
            Over::Retry(_) => {
                self.said = Some("not retried".to_owned());
                Asked::Nothing
            }
        }
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Enter => return,
            Key::Escape => {
                self.filter.clear();
                return;
            }
            Key::Backspace => drop(self.filter.pop()),
            Key::Char(character) => self.filter.push(character),
            _ => {}
        }
        self.over = Over::Filter;
        self.go(0);
    }

    fn press_on_rows(&mut self, key: Key) -> Asked {
        match key {
            Key::Char('q') => return Asked::End,
            Key::Up | Key::Char('k') => self.go(self.selected.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.go(self.selected.saturating_add(1)),
            Key::PageUp => self.go(self.selected.saturating_sub(self.page)),
            Key::PageDown => self.go(self.selected.saturating_add(self.page)),
            Key::Home | Key::Char('g') => self.go(0),
            Key::End | Key::Char('G') => self.go(usize::MAX),
            Key::Char('?' | 'h') => self.said = Some(MORE_KEYS.to_owned()),
            Key::Char('/') => self.over = Over::Filter,
            Key::Escape => self.filter.clear(),
            Key::Char('s') => {
                let selected = self.rows().get(self.selected).map(|row| (*row).clone());
                self.sort = match self.sort {
                    Sort::State => Sort::Age,
                    Sort::Age => Sort::Target,
                    Sort::Target => Sort::State,
                };
                self.select_again(selected.as_ref());
            }
            Key::Char('a') => return self.show(Shown::All),
            Key::Char('u') => return self.show(Shown::Unfinished),
            Key::Char('f') => return self.show(Shown::Failed),
            Key::Char('e') | Key::Enter => {
                return self.on_selected(|row| Asked::Work(Request::Explain(name(row))));
            }
            Key::Char('r') => {
                let selected = self.rows().get(self.selected).map(|row| (*row).clone());
                match selected {
                    Some(row) if row.state == State::Failed => self.over = Over::Retry(Box::new(row)),
                    _ => self.said = Some("only a failed intent can be retried".to_owned()),
                }
            }
            _ => {}
        }
        Asked::Nothing
    }

    fn show(&mut self, shown: Shown) -> Asked {
        (self.shown, self.selected) = (shown, 0);
        Asked::Work(Request::Look(shown))
    }

    fn on_selected(&self, ask: impl FnOnce(&Row) -> Asked) -> Asked {
        self.rows().get(self.selected).map_or(Asked::Nothing, |row| ask(row))
    }
}

/// What a command names the intent by.
fn name(row: &Row) -> String {
    row.seq.map_or_else(|| row.file.clone(), |seq| seq.to_string())
}
