//! What searches saw of directories a moment ago. Where many orders wait, each would look at the same directories again; a
//! search may rest on a look that began after its order came in, because what was there by then is what it has to see.
//! A directory that this engine writes is looked at again in any case. Only the answer that nothing was found rests on such
//! looks: who finds something looks at all of it anew.

use crate::files::Content;
use rustix::fs::FileType;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest time for which a look is believed, however long an order has waited.
pub(super) const BELIEVED: Duration = Duration::from_millis(100);
/// What an entry that is kept costs besides its bytes.
pub(super) const ENTRY: usize = 160;
/// The largest number of bytes that is kept, names included.
const KEPT_MAX: usize = 4 << 20;

/// An entry of a directory as a search saw it.
#[derive(Debug, Clone)]
pub(super) enum Saw {
    Directory,
    /// A file that was read.
    File(Arc<Content>),
    /// A file that the search had no reason to read.
    Unread,
    /// What no search looks into.
    Nothing,
}

impl Saw {
    /// What the type alone says; `None` where it does not suffice.
    pub(super) fn of(kind: FileType) -> Option<Self> {
        match kind {
            FileType::Directory => Some(Self::Directory),
            FileType::RegularFile => Some(Self::Unread),
            FileType::Symlink | FileType::Unknown => None,
            _ => Some(Self::Nothing),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::File(content) => ENTRY + content.bytes.len(),
            _ => 0,
        }
    }
}

/// The entries of a directory, in the order of their names.
pub(super) type Entries = Arc<[(String, Saw)]>;

/// The device and inode of the root that paths begin at.
pub(super) type RootId = (u64, u64);

/// One look at a directory, or a write that makes earlier ones void.
#[derive(Debug)]
struct Look {
    began: Instant,
    entries: Option<Entries>,
    size: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_path: HashMap<String, Look>,
    bytes: usize,
    root: Option<RootId>,
    /// Looks that began earlier are void.
    floor: Option<Instant>,
}

impl Kept {
    /// Everything kept was of another root if it is not this one, and so may be a look that is not kept yet.
    fn turn_to(&mut self, root: RootId) {
        if self.root.is_some_and(|known| known != root) {
            *self = Self { floor: Some(Instant::now()), ..Self::default() };
        }
        self.root = Some(root);
    }

    fn put(&mut self, path: &str, look: Look) {
        self.bytes += look.size;
        let old = self.by_path.insert(path.to_owned(), look);
        self.bytes -= old.map_or(0, |old| old.size);
    }

    /// Makes room for a look by letting go of what nobody may believe at `now` any more.
    fn has_room(&mut self, size: usize, now: Instant) -> bool {
        if self.bytes + size > KEPT_MAX {
            self.by_path.retain(|_, look| now.saturating_duration_since(look.began) <= BELIEVED);
            self.bytes = self.by_path.values().map(|look| look.size).sum();
        }
        self.bytes + size <= KEPT_MAX
    }
}

/// The looks of one engine.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<Kept>);

impl Looks {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a directory had, if it was looked at since.
    pub(super) fn since(&self, since: Instant, root: RootId, path: &str) -> Option<Entries> {
        let kept = self.kept();
        let look = kept.by_path.get(path).filter(|look| kept.root == Some(root) && look.began >= since)?;
        look.entries.clone()
    }

    /// Keeps what a look that began then has seen.
    pub(super) fn keep(&self, began: Instant, root: RootId, path: &str, entries: Vec<(String, Saw)>) {
        let of_entries = entries.iter().map(|(name, saw)| ENTRY / 2 + name.len() + saw.size());
        let size = ENTRY + path.len() + of_entries.sum::<usize>();
        let mut kept = self.kept();
        kept.turn_to(root);
        let is_void = kept.floor.is_some_and(|floor| began < floor)
            || kept.by_path.get(path).is_some_and(|look| began < look.began);
        if !is_void && size <= KEPT_MAX / 4 && kept.has_room(size, began) {
            kept.put(path, Look { began, entries: Some(entries.into()), size });
        }
    }

    /// The engine has written into a directory by `now`.
    pub(super) fn written(&self, now: Instant, path: &str) {
        let size = ENTRY + path.len();
        let mut kept = self.kept();
        if kept.has_room(size, now) {
            kept.put(path, Look { began: now, entries: None, size });
        } else {
            let root = kept.root;
            *kept = Kept { root, floor: Some(now), ..Kept::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: RootId = (1, 2);

    fn entries(bytes: usize) -> Vec<(String, Saw)> {
        let content = Content { bytes: vec![b'x'; bytes], executable: false };
        vec![("a.yaml".to_owned(), Saw::File(Arc::new(content))), ("b".to_owned(), Saw::Directory)]
    }

    fn at(millis: u64, begin: Instant) -> Instant {
        begin + Duration::from_millis(millis)
    }

    #[test]
    fn a_look_is_believed_by_whoever_came_before_it_and_by_nobody_else() {
        let (looks, begin) = (Looks::default(), Instant::now());
        looks.keep(at(10, begin), ROOT, "shop", entries(3));
        for (since, root, path, is_believed) in [
            (9, ROOT, "shop", true),
            (10, ROOT, "shop", true),
            (11, ROOT, "shop", false),
            (9, (1, 3), "shop", false),
            (9, ROOT, "shop/web", false),
        ] {
            let found = looks.since(at(since, begin), root, path);
            assert_eq!(found.is_some(), is_believed, "{since} {root:?} {path}");
        }
        looks.keep(at(5, begin), ROOT, "shop", entries(4));
        assert!(looks.since(at(10, begin), ROOT, "shop").is_some(), "an earlier look replaces no later one");
        looks.keep(at(20, begin), (1, 3), "shop", entries(3));
        assert!(looks.since(begin, ROOT, "shop").is_none(), "another root is another directory");
    }

    #[test]
    fn what_the_engine_wrote_makes_looks_void_that_began_before() {
        let (looks, begin) = (Looks::default(), Instant::now());
        looks.keep(at(10, begin), ROOT, "shop/web", entries(3));
        looks.written(at(20, begin), "shop/web");
        assert!(looks.since(begin, ROOT, "shop/web").is_none());
        looks.keep(at(15, begin), ROOT, "shop/web", entries(3));
        assert!(looks.since(begin, ROOT, "shop/web").is_none(), "a look that the write overtook");
        looks.keep(at(21, begin), ROOT, "shop/web", entries(3));
        assert!(looks.since(begin, ROOT, "shop/web").is_some());
    }

    #[test]
    fn what_is_kept_has_a_bound_and_room_comes_from_what_is_old() {
        let (looks, begin) = (Looks::default(), Instant::now());
        let path = |number: usize| format!("shop/{number}");
        let believed = |since: Instant, count: usize| {
            (0..count).filter(|number| looks.since(since, ROOT, &path(*number)).is_some()).count()
        };
        let fill = |began: Instant| {
            (0..100).for_each(|number| looks.keep(began, ROOT, &path(number), entries(64 << 10)));
            assert!(looks.kept().bytes <= KEPT_MAX);
        };
        fill(begin);
        let fits = believed(begin, 100);
        assert!((50..100).contains(&fits), "{fits}");
        let later = at(2_000, begin);
        (50..150).for_each(|number| looks.keep(later, ROOT, &path(number), entries(64 << 10)));
        assert!(believed(later, 150) >= fits, "the old ones gave way");
        looks.keep(later, ROOT, "large", entries(KEPT_MAX));
        assert!(looks.since(begin, ROOT, "large").is_none());
    }

    #[test]
    fn a_write_that_finds_no_room_makes_every_earlier_look_void() {
        let (looks, begin) = (Looks::default(), Instant::now());
        let mut number = 0;
        while looks.kept().floor.is_none() {
            looks.written(at(1, begin), &format!("shop/{number}"));
            number += 1;
        }
        looks.keep(begin, ROOT, "shop/0", entries(3));
        assert!(looks.since(begin, ROOT, "shop/0").is_none());
        looks.keep(at(1, begin), ROOT, "shop/0", entries(3));
        assert!(looks.since(begin, ROOT, "shop/0").is_some());
    }
}
