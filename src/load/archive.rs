//! The official binary archive of CIFAR-10: a tape archive (POSIX ustar), compressed with gzip.

use super::fault::LoadError;
use super::file::Source;
use flate2::read::GzDecoder;
use std::io::Read;

/// Bytes of a header, and what everything is padded to.
const BLOCK: usize = 512;
/// Largest file that is taken out of an archive, in bytes: a batch of CIFAR-10 has 30,730,000.
const MAX_FILE: u64 = 64 << 20;
/// Most files in an archive: CIFAR-10's has nine.
const MAX_FILES: usize = 1000;

/// The files of an archive whose names (without their folders) `wanted` takes, in the order of the archive.
///
/// # Errors
/// If it is no such archive, cut off, or holds a file that is too large.
pub fn files(mut source: Source, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, Vec<u8>)>, LoadError> {
    let bytes = source.bytes(0, source.length)?;
    let mut unpacked = GzDecoder::new(bytes.as_slice());
    let broken = |what: &str| source.fault(what, "download it again");
    let mut files = vec![];
    for _ in 0..MAX_FILES {
        let mut header = [0u8; BLOCK];
        unpacked.read_exact(&mut header).map_err(|error| broken(&format!("is no whole tar.gz archive ({error})")))?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(files);
        }
        let Some((name, size)) = entry(&header) else {
            return Err(broken("holds something that is no tape archive"));
        };
        let padded = size.next_multiple_of(BLOCK as u64);
        let mut content = (&mut unpacked).take(padded);
        if wanted(&name) {
            if size > MAX_FILE {
                return Err(broken(&format!("holds {name} of {size} bytes, where at most {MAX_FILE} are taken")));
            }
            let mut kept = vec![];
            content.read_to_end(&mut kept).map_err(|error| broken(&format!("is cut off in {name} ({error})")))?;
            if (kept.len() as u64) < padded {
                return Err(broken(&format!("is cut off in {name}")));
            }
            kept.truncate(size as usize);
            files.push((name, kept));
        } else {
            std::io::copy(&mut content, &mut std::io::sink())
                .map_err(|error| broken(&format!("is cut off in {name} ({error})")))?;
        }
    }
    Err(broken(&format!("holds more than {MAX_FILES} files")))
}

/// Name, without folders, and size of the file that a header announces.
fn entry(header: &[u8; BLOCK]) -> Option<(String, u64)> {
    let text = |range: std::ops::Range<usize>| {
        let field = &header[range];
        let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
        std::str::from_utf8(&field[..end]).ok().map(str::trim)
    };
    // the checksum is the sum of the header's bytes with its own eight counted as spaces
    let sum: u64 =
        header.iter().enumerate().map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u64::from(byte) }).sum();
    if u64::from_str_radix(text(148..156)?, 8).ok()? != sum {
        return None;
    }
    let name = text(0..100)?.trim_end_matches('/');
    Some((name.rsplit('/').next()?.to_string(), u64::from_str_radix(text(124..136)?, 8).ok()?))
}
