//! Where the real checkpoints, images and recorded references lie.
#![allow(dead_code, reason = "each behaviour uses what it needs")]

use std::path::{Path, PathBuf};

/// A file of the shared folder (`SPIKEMESH_SHARED`, or `../shared` beside the package); says so where it is missing.
pub fn path(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let file = std::env::var_os("SPIKEMESH_SHARED").map_or_else(beside, PathBuf::from).join(name);
    if !file.exists() {
        println!("skipped: {} is not there (set SPIKEMESH_SHARED to the folder that holds it)", file.display());
        return None;
    }
    Some(file)
}
