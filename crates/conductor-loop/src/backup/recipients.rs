//! Whom a backup is encrypted to without being told: the host that makes it, by its root keys.

use conductor_crypto::KeyRing;
use conductor_crypto::age::{Identity, Recipient};

/// What the identity of this host's own backups is derived for.
const OWN: &str = "conductor backup identity";

/// The identities that open the backups of these root keys.
pub fn own_identities(ring: &KeyRing) -> Vec<Identity> {
    ring.keys().map(|root| Identity::new(root.derive(OWN))).collect()
}

/// Whom backups are encrypted to besides those that the operator names: the newest root key's identity, by which each is restored on
/// trial.
pub(super) fn own_recipient(ring: &KeyRing) -> Option<Recipient> {
    Identity::new(ring.newest().derive(OWN)).recipient()
}
