//! The effect of a panic. Anywhere in the daemon it ends the process: if a thread silently ended, the others would wait
//! for it. Inside [`guarded`] it becomes an error: the storage engine panics on some files that it never wrote.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

static ENDS_THE_PROCESS: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// From now on a panic outside [`guarded`] ends the process, with a signal that a supervisor sees.
pub fn end_the_process() {
    install();
    ENDS_THE_PROCESS.store(true, Ordering::Release);
}

fn install() {
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if GUARDED.get() {
                return; // It becomes an error, which carries the message.
            }
            usual(panic);
            if ENDS_THE_PROCESS.load(Ordering::Acquire) {
                std::process::abort();
            }
        }));
    });
}

/// Runs `work`; a panic in it becomes an error with its message.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    install();
    let outer = GUARDED.replace(true);
    // State that `work` has changed by half is given up by every caller: its store is not used again.
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
