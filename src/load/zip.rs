//! ZIP archives whose files are stored as they are, as PyTorch writes them (PKWARE APPNOTE 6.3.10).

use super::fault::LoadError;
use super::file::Source;
use std::collections::BTreeMap;
use std::ops::Range;

const REMEDY: &str = "save it again with `torch.save`";
/// Longest end of an archive: its record and a comment.
const MAX_END: u64 = 22 + 65_535;
/// Most bytes of a directory.
const MAX_DIRECTORY: u64 = 64 << 20;
const END: [u8; 4] = *b"PK\x05\x06";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// Bytes of an entry of the directory, and of the header before a file, without names and extras.
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: u64 = 30;

/// Where each file of an archive lies, by name.
///
/// # Errors
/// If the archive is cut off, contradicts itself, or holds a compressed file.
pub fn directory(source: &mut Source) -> Result<BTreeMap<String, Range<u64>>, LoadError> {
    let tail_length = source.length.min(MAX_END);
    let tail = source.bytes(source.length - tail_length, tail_length)?;
    let end = tail.windows(22).rposition(|window| window.starts_with(&END));
    let Some(end) = end.map(|at| &tail[at..]) else {
        return Err(
            source.fault("is a ZIP archive that is cut off: its directory is missing", "copy or download it again")
        );
    };
    let (length, start) = (u64::from(word(end, 12)), u64::from(word(end, 16)));
    if length > MAX_DIRECTORY || start.checked_add(length).is_none_or(|end| end > source.length) {
        return Err(source.fault("is a ZIP archive whose directory does not fit it, or of more than 4 GiB", REMEDY));
    }
    let directory = source.bytes(start, length)?;
    let (mut files, mut at) = (BTreeMap::new(), 0);
    while directory.len() >= at + ENTRY_BYTES && directory[at..].starts_with(&ENTRY) {
        let entry = &directory[at..];
        let [name, extra, comment] = [28, 30, 32].map(|place| usize::from(half(entry, place)));
        let Some(text) = entry.get(ENTRY_BYTES..ENTRY_BYTES + name) else { break };
        let text = String::from_utf8_lossy(text).into_owned();
        let (packed, size, offset) = (word(entry, 20), word(entry, 24), word(entry, 42));
        if half(entry, 10) != 0 || packed != size {
            return Err(source.fault(&format!("holds `{text}` compressed, where files are stored as they are"), REMEDY));
        }
        files.insert(text, (u64::from(offset), u64::from(size)));
        at += ENTRY_BYTES + name + extra + comment;
    }
    files.into_iter().map(|(name, (offset, size))| Ok((name, place(source, offset, size)?))).collect()
}

/// Where the bytes of the file lie whose header is at `offset`.
fn place(source: &mut Source, offset: u64, size: u64) -> Result<Range<u64>, LoadError> {
    let fits = |source: &Source, end: u64| end <= source.length;
    let broken = "is a ZIP archive whose directory points outside of it";
    if !fits(source, offset + LOCAL_BYTES) {
        return Err(source.fault(broken, REMEDY));
    }
    let header = source.bytes(offset, LOCAL_BYTES)?;
    let start = offset + LOCAL_BYTES + u64::from(half(&header, 26)) + u64::from(half(&header, 28));
    if !header.starts_with(&LOCAL) || !fits(source, start + size) {
        return Err(source.fault(broken, REMEDY));
    }
    Ok(start..start + size)
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
