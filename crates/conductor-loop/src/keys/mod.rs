//! The root keys of a state, and what is signed in their name. Finds the key file, refuses one that is no secret, makes one
//! where the operator gave none, and keeps the public halves beside the store.

mod envelope;
mod file;
mod origin;
mod public;
mod signing;
mod status;
#[cfg(test)]
mod tests;

pub use envelope::signed_payload;
pub use file::{KeyError, KeyFlaw, PUBLIC_KEYS, PUBLIC_MAX, Places, ROOT_KEY, known_public};
pub use origin::Origin;
pub use public::{read_public, show_public};
pub use signing::Keys;
pub use status::{Genuine, check_status};
