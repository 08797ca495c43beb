//! How much is measured.

/// The extent of the measurements.
pub(super) struct Size {
    pub(super) files: usize,
    pub(super) slow_files: usize,
    pub(super) single_files: usize,
    pub(super) burst: usize,
    pub(super) large_burst: usize,
    pub(super) million: usize,
    pub(super) idle_seconds: u32,
    pub(super) rounds: usize,
}

pub(super) const QUICK: Size = Size {
    files: 2_000,
    slow_files: 100,
    single_files: 50,
    burst: 500,
    large_burst: 20_000,
    million: 100_000,
    idle_seconds: 5,
    rounds: 2,
};
pub(super) const FULL: Size = Size {
    files: 10_000,
    slow_files: 400,
    single_files: 300,
    burst: 2_000,
    large_burst: 40_000,
    million: 1_000_000,
    idle_seconds: 60,
    rounds: 3,
};
