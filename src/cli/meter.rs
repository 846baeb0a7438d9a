//! The only clock: progress on standard error, seconds and memory of the simulator itself.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Instant;

/// Where progress goes.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    quiet: bool,
    verbose: bool,
}

impl Progress {
    /// Progress on standard error, or none.
    pub fn new(quiet: bool, verbose: bool) -> Self {
        Self { quiet, verbose }
    }

    /// Says what is done, where that was asked for.
    pub fn note(self, what: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{}", what());
        }
    }

    /// Something that turns as long as work of unknown length goes on.
    pub fn wheel(self, title: &'static str) -> Wheel {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target).with_message(title);
        if let Ok(style) = ProgressStyle::with_template("{msg} {spinner} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        Wheel(bar)
    }

    /// A bar with rate and time left for `count` pieces of work; nothing where standard error is no terminal.
    pub fn bar(self, title: &'static str, count: usize) -> ProgressBar {
        self.counter(title, "images", count as u64)
    }

    /// The same for pieces of any kind.
    pub fn counter(self, title: &'static str, pieces: &'static str, count: u64) -> ProgressBar {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(count), target);
        let style = format!("{{msg}} {{bar:40}} {{pos}}/{{len}} {pieces}, {{per_sec}}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&style) {
            bar.set_style(style);
        }
        bar.with_message(title)
    }

    /// A bar over the steps of a training run, of which `done` are behind it; its message says the rest.
    #[cfg(feature = "train")]
    pub fn steps(self, count: u64, done: u64) -> ProgressBar {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(count), target).with_position(done);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {eta} left; {msg}") {
            bar.set_style(style);
        }
        bar.reset_eta();
        bar
    }

    /// Whether nothing is to be shown.
    #[cfg(feature = "train")]
    pub fn is_quiet(self) -> bool {
        self.quiet
    }
}

/// A turning wheel, gone when it is dropped.
pub struct Wheel(ProgressBar);

impl Drop for Wheel {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A running clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Starts now.
    #[allow(clippy::disallowed_methods, reason = "the command line measures the simulator, never the chip")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start.
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Most memory that this process has held, in MiB; zero where the system does not say.
pub fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
