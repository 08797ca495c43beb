//! How much of a harness is run.

use super::scenario;

/// How much a harness tries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// Of kill and fault a share of the points.
    Quick,
    /// Every single point.
    #[default]
    Usual,
    /// Every pair of points, and more of all else.
    Long,
}

/// Of so many points a quick run takes one.
const SHARE: usize = 4;

/// The extent of a harness's run.
#[derive(Debug, Default)]
pub(super) struct Extent {
    pub(super) size: Size,
    /// Only the scenario of this name.
    pub(super) history: Option<String>,
    /// The first kill point, to take up a long run again; `None`: the first there is.
    pub(super) from: Option<u64>,
}

impl Extent {
    pub(super) fn long(&self) -> bool {
        self.size == Size::Long
    }

    /// The distance between the points that are tried.
    pub(super) fn step(&self) -> usize {
        if self.size == Size::Quick { SHARE } else { 1 }
    }

    /// The selected scenarios.
    pub(super) fn histories(&self) -> impl Iterator<Item = &'static scenario::Scenario> {
        scenario::SCENARIOS
            .iter()
            .filter(|one| self.history.as_deref().is_none_or(|wanted| wanted == one.name))
    }
}
