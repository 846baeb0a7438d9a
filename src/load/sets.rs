//! `--set mesh.columns=32`: one constant of a hardware description changed, as if it stood in the file.

use super::fault::{Fault, nearest};
use super::outline::Outline;

/// What to do where nothing is near.
const LISTING: &str = "`spikemesh chips` with the name of the chip lists them all";

/// The text with every set in its place. A set names its constant by the end of its path; its source becomes the set itself.
pub fn applied(text: &str, sets: &[String]) -> Result<String, Vec<Fault>> {
    let (mut text, mut faults) = (text.to_string(), vec![]);
    for set in sets {
        match replaced(&text, set) {
            Ok(changed) => text = changed,
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(text) } else { Err(faults) }
}

fn replaced(text: &str, set: &str) -> Result<String, Fault> {
    let written = format!("--set {set}");
    let parts = set.split_once('=').map(|(path, value)| (path.trim(), value.trim()));
    let (path, value) = match parts {
        Some((path, value)) if !path.is_empty() && is_plain(value) => (path, value),
        _ => return Err(Fault::new(format!("`{written}` is not a path and a value"), "write --set mesh.columns=32")),
    };
    let outline = Outline::new(text);
    let constants = constants(&outline);
    let ends = |known: &&str| *known == path || known.strip_suffix(path).is_some_and(|rest| rest.ends_with('.'));
    let found: Vec<&str> = constants.iter().copied().filter(ends).collect();
    match found[..] {
        [only] => {
            let number = value.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
            let value = if number { value.to_string() } else { format!("\"{value}\"") };
            let place = outline.get(only).map_or(0..0, |entry| entry.value.clone());
            Ok(format!("{}({value}, \"{written}\"){}", &text[..place.start], &text[place.end..]))
        }
        [] => {
            let near = nearest(path, constants.iter().map(|known| tail(known, path)));
            let remedy = near.map_or_else(|| LISTING.to_string(), |near| format!("did you mean `{near}`?"));
            Err(Fault::new(format!("`{written}` names no constant"), remedy))
        }
        [..] => {
            let remedy = format!("choose one of {}", found.join(", "));
            Err(Fault::new(format!("`{written}` could mean {} constants", found.len()), remedy))
        }
    }
}

/// Whether a value is a number or a word, and so cannot carry other text into the file.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.+-".contains(letter))
}

/// Paths of the constants: tuples of a value and a source.
fn constants<'o>(outline: &'o Outline) -> Vec<&'o str> {
    let sections = ["topology.", "timing.", "energy."];
    let paths = outline.entries.iter().filter(|entry| outline.text(entry).starts_with('(')).map(|entry| &*entry.path);
    let known = paths.filter(|path| sections.iter().any(|section| path.starts_with(section)));
    known.filter(|path| outline.get(&format!("{path}.1")).is_some()).collect()
}

/// As many of the last parts of `known` as `path` has.
fn tail<'k>(known: &'k str, path: &str) -> &'k str {
    let parts = path.matches('.').count();
    known.rmatch_indices('.').nth(parts).map_or(known, |(at, _)| &known[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "(topology: (mesh: (columns: (2, \"a\"), rows: (2, \"b\"))), timing: (core: (lanes: (1, \"c\")), \
                        attention: (lanes: (1, \"d\"), soma: (\"sweep\", \"e\"))))";

    fn set(text: &str) -> Result<String, String> {
        applied(TEXT, &[text.to_string()]).map_err(|faults| faults[0].to_string())
    }

    #[test]
    fn a_set_stands_in_the_text_as_if_written_there() {
        assert!(set("mesh.columns=32").unwrap().contains("columns: (32, \"--set mesh.columns=32\"), rows"));
        assert!(set("soma=event").unwrap().contains("soma: (\"event\", \"--set soma=event\")"));
    }

    #[test]
    fn a_set_that_names_nothing_or_too_much_says_so() {
        let wrong = ["mesh.colums=1", "lanes=2", "columns", "columns=2, \"x\")"];
        let wanted = [
            "`--set mesh.colums=1` names no constant; did you mean `mesh.columns`?",
            "`--set lanes=2` could mean 2 constants; choose one of timing.core.lanes, timing.attention.lanes",
            "`--set columns` is not a path and a value; write --set mesh.columns=32",
            "`--set columns=2, \"x\")` is not a path and a value; write --set mesh.columns=32",
        ];
        assert_eq!(wrong.map(|text| set(text).unwrap_err()), wanted);
    }
}
