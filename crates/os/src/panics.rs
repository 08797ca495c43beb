//! What a panic does. Anywhere in the daemon it ends the process: a thread that is silently gone would leave the others waiting
//! for it. Inside [`guarded`] it is an error: the storage engine panics on some files that it never wrote.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

static ENDS_THE_PROCESS: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// From now on a panic outside of [`guarded`] ends the process, as a signal that a supervisor sees.
pub fn end_the_process() {
    install();
    ENDS_THE_PROCESS.store(true, Ordering::Release);
}

fn install() {
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if GUARDED.get() {
                return; // It becomes an error, which says all there is to say.
            }
            usual(panic);
            if ENDS_THE_PROCESS.load(Ordering::Acquire) {
                std::process::abort();
            }
        }));
    });
}

/// Performs `work`; a panic in it is what it was about, as text.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    install();
    let outer = GUARDED.replace(true);
    // What `work` has half changed is given up by every caller: the store it was about is not used again.
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guarded_panic_is_an_error_with_its_text() {
        assert_eq!(guarded(|| 3), Ok(3));
        assert_eq!(guarded(|| -> u8 { panic!("page {} is bad", 7) }), Err("page 7 is bad".to_owned()));
        assert_eq!(guarded(|| -> u8 { panic!("bad") }), Err("bad".to_owned()));
        assert!(!GUARDED.get());
    }
}
