//! Whatever the bytes of a file are, reading it ends with a value or with an error that names the file.

use crate::files_written_and_read::{small_network, tiny_trace};
use proptest::prelude::*;
use spikemesh::{load, report};
use std::path::{Path, PathBuf};

/// Bytes with some of them replaced, removed or repeated.
fn damaged(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8, u8)], reach: usize) -> Vec<u8> {
    for (at, how, byte) in changes {
        let at = at.index(bytes.len().clamp(1, reach));
        match how % 4 {
            0 if at < bytes.len() => bytes[at] = *byte,
            1 => bytes.truncate(at),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.insert(at.min(bytes.len()), *byte),
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..4)
}

fn written(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("file");
    std::fs::write(&path, bytes).unwrap();
    path
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_text_is_read_or_refused(changes in changes(), chip in 0..2usize) {
        let folder = tempfile::tempdir().unwrap();
        let text = load::PRESETS[chip].1.as_bytes().to_vec();
        let path = written(folder.path(), &damaged(text, &changes, usize::MAX));
        if let Err(error) = load::hardware(&path, &["mesh.columns=3".to_string()]) {
            prop_assert!(error.to_string().contains(&path.display().to_string()));
        }
        let _ = load::mapping(&path);
        let _ = load::architecture(&path);
    }

    #[test]
    fn a_damaged_tensor_file_is_read_or_refused(changes in changes(), reach in prop::sample::select(vec![16, 4096, 1 << 20])) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        report::write_bundle(&path, &small_network()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let path = written(folder.path(), &damaged(bytes, &changes, reach));
        let _ = load::network(&path, None);
        report::write_trace(&path, &tiny_trace()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let path = written(folder.path(), &damaged(bytes, &changes, reach));
        let _ = load::trace(&path);
    }
}
