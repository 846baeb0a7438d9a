//! The command line of spikemesh.

use std::process::ExitCode;

fn main() -> ExitCode {
    spikemesh::cli::main()
}
