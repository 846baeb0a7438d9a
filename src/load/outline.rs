//! Where everything stands in a RON text: the path of each value, and the bytes that it takes.
//!
//! The text has been parsed before, so that the scan only meets well-formed values. Fields of structs and keys of maps
//! are named in the path, members of lists and tuples numbered: `topology.mesh.columns.0`.

use super::fault::Place;
use std::ops::Range;

/// The values of a text, each before those within it, in the order of the text.
pub struct Outline<'t> {
    text: &'t str,
    /// One entry for each value.
    pub entries: Vec<Entry>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Names and numbers on the way to it, with dots between them.
    pub path: String,
    /// Where its key starts, or the value itself where it has none.
    pub start: usize,
    /// The bytes of the value.
    pub value: Range<usize>,
}

impl<'t> Outline<'t> {
    /// Scans a text that parses as RON.
    pub fn new(text: &'t str) -> Self {
        let mut scan = Scan { text, at: 0, entries: vec![] };
        scan.skip();
        while scan.rest().starts_with("#!") {
            scan.at += scan.rest().find(']').map_or(scan.rest().len(), |end| end + 1);
            scan.skip();
        }
        scan.value(String::new(), scan.at);
        Self { text, entries: scan.entries }
    }

    /// The first value at `path`.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// The text of a value.
    pub fn text(&self, entry: &Entry) -> &'t str {
        &self.text[entry.value.clone()]
    }

    /// Line and column of a byte.
    pub fn place(&self, at: usize) -> Place {
        let before = &self.text[..at];
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        Place { line: before.matches('\n').count() + 1, column: before[line..].chars().count() + 1 }
    }
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
    entries: Vec<Entry>,
}

impl<'t> Scan<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Passes white space and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let rest = self.rest();
            let comment = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                block_comment(rest)
            } else {
                return;
            };
            self.at += comment;
        }
    }

    /// Passes one value and notes it and all within it.
    fn value(&mut self, path: String, start: usize) {
        let (entry, from) = (self.entries.len(), self.at);
        self.entries.push(Entry { path, start, value: from..from });
        self.at += word(self.rest());
        let after_word = self.at;
        self.skip();
        match self.rest().chars().next() {
            Some('(') => self.members(entry, ')'),
            Some('[') if after_word == from => self.members(entry, ']'),
            Some('{') if after_word == from => self.members(entry, '}'),
            _ => self.at = after_word,
        }
        self.entries[entry].value.end = self.at;
    }

    /// Passes the members of a struct, tuple, list or map, brackets included.
    fn members(&mut self, parent: usize, close: char) {
        self.at += 1;
        for number in 0.. {
            self.skip();
            if self.rest().is_empty() || self.rest().starts_with(close) {
                break;
            }
            let (start, key) = (self.at, self.key(close));
            self.skip();
            let name = key.unwrap_or_else(|| number.to_string());
            let parent = &self.entries[parent].path;
            let path = if parent.is_empty() { name } else { format!("{parent}.{name}") };
            let before = self.at;
            self.value(path, start);
            self.skip();
            let comma = self.rest().starts_with(',');
            self.at += usize::from(comma);
            if !comma && self.at == before {
                break;
            }
        }
        self.at += self.rest().chars().next().map_or(0, char::len_utf8);
    }

    /// Passes the key of a struct's or map's member and its colon, where there is one.
    fn key(&mut self, close: char) -> Option<String> {
        if close == ']' {
            return None;
        }
        let start = self.at;
        let end = start + word(self.rest());
        self.at = end;
        self.skip();
        if end == start || !self.rest().starts_with(':') {
            self.at = start;
            return None;
        }
        self.at += 1;
        Some(unquoted(&self.text[start..end]).to_string())
    }
}

/// Length of a nested comment.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Length of the string, character, number or name that `text` starts with.
fn word(text: &str) -> usize {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(text, quote),
        Some('r') if text[1..].trim_start_matches('#').starts_with('"') => {
            let hashes = text[1..].find('"').unwrap_or(0);
            let close = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 2;
            text[body..].find(&close).map_or(text.len(), |end| body + end + close.len())
        }
        _ => text.find(|letter: char| letter.is_whitespace() || "()[]{},:\"'/".contains(letter)).unwrap_or(text.len()),
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if letter == quote && !escaped {
            return at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    text.len()
}

/// A string or character without its quotes; other words as they are.
pub fn unquoted(word: &str) -> &str {
    let inner = |quote| word.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_path_and_its_place() {
        let text =
            "// a chip\nChip(a: (1, \"x, (y\"), /* no */ list: [(k: 'q'), \"b\"],\n map: {\"H 1\": -2.5, 'C': [core]})";
        let outline = Outline::new(text);
        let found: Vec<_> =
            outline.entries.iter().map(|entry| (entry.path.as_str(), outline.text(entry))).skip(1).collect();
        let wanted = [
            ("a", "(1, \"x, (y\")"),
            ("a.0", "1"),
            ("a.1", "\"x, (y\""),
            ("list", "[(k: 'q'), \"b\"]"),
            ("list.0", "(k: 'q')"),
            ("list.0.k", "'q'"),
            ("list.1", "\"b\""),
            ("map", "{\"H 1\": -2.5, 'C': [core]}"),
            ("map.H 1", "-2.5"),
            ("map.C", "[core]"),
            ("map.C.0", "core"),
        ];
        assert_eq!(found, wanted);
        assert_eq!(outline.place(outline.get("map.C").unwrap().start), Place { line: 3, column: 21 });
    }
}
