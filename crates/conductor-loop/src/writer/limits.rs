//! How much and how long: the bounds of batches, of syncs and of tries that several files of the writer keep.

use std::time::Duration;

/// The size limit of a batch. A larger one only delays its first command.
pub(super) const BATCH_MAX: usize = 512;
/// The number of published outcomes that may wait for a sync.
pub(super) const SYNC_AT: usize = 1_024;
/// While all workers are busy, none waits for the disk: a batch may collect for this long, because a commit costs as much
/// CPU as a good part of a process start (measured: docs/BENCHMARKS.md).
pub(super) const LINGER: Duration = Duration::from_millis(20);
/// The longest a published outcome waits for its sync.
pub(super) const SYNC_AFTER: Duration = Duration::from_secs(1);
/// The interval between tries on a full disk.
pub(super) const SPACE_RETRY: Duration = Duration::from_secs(1);
