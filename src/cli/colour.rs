//! Colours and width of the terminal; neither where there is none, and no colours where `NO_COLOR` is set.

use std::io::IsTerminal;

/// A result as it should be.
pub const GOOD: &str = "32";
/// A result that is not, or an error.
pub const BAD: &str = "31;1";
/// As the terminal writes everything.
pub const PLAIN: &str = "";

/// The colour of a verdict.
pub fn verdict(good: bool) -> &'static str {
    if good { GOOD } else { BAD }
}

/// A text for standard output.
pub fn on_stdout(text: &str, colour: &str) -> String {
    painted(text, colour, std::io::stdout().is_terminal())
}

/// A text for standard error.
pub fn on_stderr(text: &str, colour: &str) -> String {
    painted(text, colour, std::io::stderr().is_terminal())
}

fn painted(text: &str, colour: &str, terminal: bool) -> String {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if colour.is_empty() || !terminal || refused || dumb {
        return text.to_string();
    }
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}

/// Columns of the terminal that standard output is.
pub fn columns() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}
