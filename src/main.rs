//! The command line of spikemesh.
fn main() {}
