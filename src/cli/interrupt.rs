//! Ctrl-C while something may be kept: the work stops at the next good moment, and a second one ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Whether somebody has pressed Ctrl-C.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Watches for Ctrl-C from now on.
pub fn watch() {
    let watched = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    if let Err(error) = watched {
        eprintln!("note: Ctrl-C ends this without keeping anything ({error})");
    }
}
