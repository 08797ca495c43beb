//! Records with every field filled, for tests that set those they are about.

use conductor_core::intent::Kind;
use conductor_core::record::{Claim, VERSION};
use conductor_core::{Digest, Seq, TargetKey};

/// A claim of `intent-a.json`, which scales `n/t`.
pub fn claim(seq: impl Into<Seq>) -> Claim {
    Claim {
        v: VERSION,
        seq: seq.into(),
        name: "intent-a.json".into(),
        sha256: Digest([1; 32]),
        size: 3,
        uid: 0,
        taken_at: jiff::Timestamp::UNIX_EPOCH,
        correlation_id: "c".into(),
        key: TargetKey { namespace: "n".into(), target: "t".into() },
        kind: Kind::Scaling,
        replicas: Some(1),
        priority: 5,
        timeout_secs: None,
        reason: None,
        source: None,
        inode: 1,
        mtime_ns: 1,
    }
}
