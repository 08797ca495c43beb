//! The histories that are explored: what porch does in each, and which step of the protocol it leaves out.

/// A step of the protocol that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omit {
    /// No step: the protocol as it is.
    Nothing,
    /// The claim's transaction is not durable.
    ClaimSync,
    /// The producer's file is removed before the claim.
    ClaimBeforeRemoval,
    /// The record of a start is not durable.
    StartSync,
    /// Recovery discards the run table before the starts it proves are durable.
    CountingStarts,
    /// The outcome's transaction is not durable.
    OutcomeSync,
    /// Files are published before the outcome is recorded.
    OutcomeBeforeFiles,
    /// An outcome is recorded before its package is durable.
    PackageSync,
    /// A package is replaced by one whose bytes are not durable.
    PackageDraftSync,
    /// DONE is recorded before the files are durable.
    FileSync,
    /// A status is written in place, without a draft.
    StatusDraft,
    /// A numbered name in the archive is used without checking its owner.
    NameOwner,
}

impl Omit {
    /// Every omission; the checker must find a violation for each.
    pub const ALL: [Self; 11] = [
        Self::ClaimSync,
        Self::ClaimBeforeRemoval,
        Self::StartSync,
        Self::CountingStarts,
        Self::OutcomeSync,
        Self::OutcomeBeforeFiles,
        Self::PackageSync,
        Self::PackageDraftSync,
        Self::FileSync,
        Self::StatusDraft,
        Self::NameOwner,
    ];
}

/// The behaviour of porch in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Porch {
    /// It writes a package and succeeds.
    Succeeds,
    /// It fails.
    Fails,
    /// It asks once for a retry, then succeeds.
    AsksOnce,
}

/// One history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The step that the protocol leaves out.
    pub omit: Omit,
    /// The behaviour of porch.
    pub porch: Porch,
    /// A second intent of the same target under another name waits behind the first.
    pub two: bool,
    /// Another file has the name under which a later intent of the first's name will be archived.
    pub numbered: bool,
    /// Whether DONE follows each intent or comes at the end.
    pub sync_each: bool,
}

/// Histories that together show every kind of step.
pub const VARIANTS: [Variant; 7] = {
    let plain = Variant {
        omit: Omit::Nothing,
        porch: Porch::Succeeds,
        two: false,
        numbered: false,
        sync_each: false,
    };
    [
        plain,
        Variant { porch: Porch::Fails, ..plain },
        Variant { porch: Porch::AsksOnce, ..plain },
        Variant { two: true, sync_each: true, ..plain },
        Variant { two: true, ..plain },
        Variant { porch: Porch::Fails, two: true, ..plain },
        Variant { numbered: true, ..plain },
    ]
};
