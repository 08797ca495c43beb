//! A disk that forgets: unsynced changes may be lost in a power cut in any combination.
//!
//! The weak crash model: directory operations since the last sync survive as any subset (each one whole: a rename is one
//! transaction of the file system's journal), and the data of a file written since then is lost, torn or whole.

use std::collections::{BTreeMap, BTreeSet};

/// Every place that can hold a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// A name in the handoff directory.
    Handoff(Name),
    /// `taken/SEQ.NAME`
    Taken(u8, Name),
    /// The private copy in the staging slot.
    Staged,
    /// `drafts/`
    Draft,
    /// `processed/NAME`, or with a number `processed/NAME.SEQ`
    Processed(Name, Option<u8>),
    /// `failed/NAME`, or with a number `failed/NAME.SEQ`
    Failed(Name, Option<u8>),
    /// `failed/NAME.error.log` of that archived file
    ErrorLog(Name, Option<u8>),
    /// `status/NAME.status`
    Status(Name),
    /// The package written by porch.
    Package,
    /// The draft of the package.
    PackageDraft,
}

/// A file name, by number.
pub(super) type Name = u8;

/// The content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Data {
    Empty,
    Torn,
    /// The bytes of this intent (or the package made from it).
    Intent(u8),
    /// A status that names this outcome.
    Status(u8),
    /// The error log of this outcome.
    Log(u8),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Inode {
    now: Data,
    synced: Data,
}

/// One directory operation: names that appear, change or disappear.
type Operation = Vec<(Place, Option<u8>)>;

/// Files and names: their current state, and the state that is sure to survive a power cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<Place, u8>,
    synced: BTreeMap<Place, u8>,
    pending: Vec<Operation>,
}

impl Disk {
    /// The inode behind a name.
    pub(super) fn inode(&self, place: Place) -> Option<u8> {
        self.names.get(&place).copied()
    }

    pub(super) fn has(&self, place: Place) -> bool {
        self.names.contains_key(&place)
    }

    pub(super) fn read(&self, place: Place) -> Option<Data> {
        self.inode(place).map(|inode| self.inodes[usize::from(inode)].now)
    }

    /// Every name.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.names.keys().copied()
    }

    /// Creates an empty file, replacing any existing one.
    pub(super) fn create(&mut self, place: Place) {
        self.inodes.push(Inode { now: Data::Empty, synced: Data::Empty });
        let inode = u8::try_from(self.inodes.len() - 1).expect("few files");
        self.change(vec![(place, Some(inode))]);
    }

    pub(super) fn write(&mut self, place: Place, data: Data) {
        if let Some(inode) = self.inode(place) {
            self.inodes[usize::from(inode)].now = data;
        }
    }

    /// Makes the bytes of a file survive a power cut; its name need not.
    pub(super) fn sync_data(&mut self, place: Place) {
        if let Some(inode) = self.inode(place) {
            let inode = &mut self.inodes[usize::from(inode)];
            inode.synced = inode.now;
        }
    }

    pub(super) fn rename(&mut self, from: Place, to: Place) {
        let inode = self.inode(from);
        self.change(vec![(from, None), (to, inode)]);
    }

    pub(super) fn unlink(&mut self, place: Place) {
        if self.has(place) {
            self.change(vec![(place, None)]);
        }
    }

    /// Makes everything so far survive a power cut.
    pub(super) fn sync(&mut self) {
        self.synced.clone_from(&self.names);
        self.pending.clear();
        self.inodes.iter_mut().for_each(|inode| inode.synced = inode.now);
    }

    fn change(&mut self, operation: Operation) {
        apply(&mut self.names, &operation);
        self.pending.push(operation);
    }

    /// Every disk that a power cut can leave, without repetition.
    pub(super) fn after_power_cut(&self) -> BTreeSet<Image> {
        let mut names: BTreeSet<BTreeMap<Place, u8>> = BTreeSet::from([self.synced.clone()]);
        for operation in &self.pending {
            let with: Vec<_> = names
                .iter()
                .map(|before| {
                    let mut after = before.clone();
                    apply(&mut after, operation);
                    after
                })
                .collect();
            names.extend(with);
        }
        names.into_iter().flat_map(|names| self.data_images(&names)).collect()
    }

    /// For one set of names, every combination of file contents.
    fn data_images(&self, names: &BTreeMap<Place, u8>) -> Vec<Image> {
        let mut images = vec![Image { names: names.clone(), data: BTreeMap::new() }];
        let used: BTreeSet<u8> = names.values().copied().collect();
        for inode in used {
            let Inode { now, synced } = self.inodes[usize::from(inode)].clone();
            let possible = if now == synced { vec![now] } else { vec![synced, Data::Torn, now] };
            images = images
                .into_iter()
                .flat_map(|image| {
                    possible.iter().map(move |data| {
                        let mut image = image.clone();
                        image.data.insert(inode, *data);
                        image
                    })
                })
                .collect();
        }
        images
    }

    /// Creates a file that its producer has synced together with the handoff directory: earlier changes of names there
    /// become durable too.
    pub(super) fn create_synced(&mut self, place: Place, data: Data) {
        self.create(place);
        let inode = self.inode(place).expect("just made");
        self.inodes[usize::from(inode)] = Inode { now: data, synced: data };
        let touches =
            |operation: &Operation| operation.iter().any(|(place, _)| matches!(place, Place::Handoff(_)));
        let (durable, pending) = std::mem::take(&mut self.pending).into_iter().partition(touches);
        let durable: Vec<Operation> = durable;
        for operation in &durable {
            apply(&mut self.synced, operation);
        }
        self.pending = pending;
    }
}

fn apply(names: &mut BTreeMap<Place, u8>, operation: &Operation) {
    for (place, inode) in operation {
        match inode {
            Some(inode) => drop(names.insert(*place, *inode)),
            None => drop(names.remove(place)),
        }
    }
}

/// The disk after a power cut: all of it is durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Image {
    names: BTreeMap<Place, u8>,
    data: BTreeMap<u8, Data>,
}

impl Image {
    pub(super) fn into_disk(self, before: &Disk) -> Disk {
        let inodes = (0..before.inodes.len()).map(|inode| {
            let data = u8::try_from(inode).ok().and_then(|inode| self.data.get(&inode).copied());
            let data = data.unwrap_or(Data::Empty);
            Inode { now: data, synced: data }
        });
        Disk { inodes: inodes.collect(), synced: self.names.clone(), names: self.names, pending: Vec::new() }
    }
}
