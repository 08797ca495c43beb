//! How far long work is, for who waits for it.

#[expect(clippy::print_stderr, reason = "long work shows how far it is")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
