//! What every bench needs: figures beside the limits they are held against, and the real network where it is there.
#![allow(dead_code, reason = "each bench takes what it needs")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

pub mod limits;

use criterion::{BenchmarkGroup, measurement::WallTime};
use spikemesh::convert::{self, Precision};
use spikemesh::functional::{Options, Semantics, Settle};
use spikemesh::graph::Graph;
use spikemesh::images::Images;
use spikemesh::load;
use spikemesh::network::Network;
use spikemesh::trace::Schedule;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// T of every run.
pub const TIME_STEPS: u32 = 4;

/// A figure's limit.
#[derive(Clone, Copy)]
pub struct Limit {
    /// In milliseconds, for each piece of work.
    pub milliseconds: f64,
    /// Where it comes from.
    pub why: &'static str,
}

/// Measures `work`, which does `pieces` pieces, and prints the fastest time beside its limits.
pub fn measure<T>(
    group: &mut BenchmarkGroup<WallTime>,
    name: &str,
    pieces: usize,
    limits: &[Limit],
    mut work: impl FnMut() -> T,
) {
    let mut best = Duration::MAX;
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let mut all = Duration::ZERO;
            for _ in 0..times {
                let begin = Instant::now();
                black_box(work());
                let took = begin.elapsed();
                best = best.min(took);
                all += took;
            }
            all
        });
    });
    if best < Duration::MAX {
        let own = best.as_secs_f64() * 1e3 / pieces as f64;
        for Limit { milliseconds, why } in limits {
            let verdict = if own <= *milliseconds { "held" } else { "missed" };
            println!("{name}: {own:.3} ms, limit {milliseconds:.3} ms ({why}): {verdict}");
        }
    }
}

/// A file of the folder with the real checkpoints, if it is there.
pub fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let file = std::env::var_os("SPIKEMESH_SHARED").map_or_else(beside, PathBuf::from).join(name);
    file.exists().then_some(file)
}

/// The real network and its images, by their files.
pub fn real_files() -> Option<(PathBuf, PathBuf)> {
    let files = shared("models/cifar10-d128-b2.safetensors").zip(shared("data/cifar10-test-1000.bin"));
    if files.is_none() {
        println!("skipped: the real network is not there (set SPIKEMESH_SHARED to the folder that holds it)");
    }
    files
}

/// The real network, its graph and its first images.
pub fn real(count: usize) -> Option<(Network, Graph<i32>, Images)> {
    let (model, images) = real_files()?;
    let network = load::network(&model, None).unwrap();
    let graph = convert::quantise(&convert::fold(&network).unwrap(), &Precision::default()).unwrap();
    let images = load::images(&images, &network.architecture.input, network.classes(), Some(count)).unwrap();
    Some((network, graph, images))
}

/// A run to silence in the exact semantics.
pub fn options(record: bool) -> Options {
    let (settle, semantics, schedule) = (Settle::ToSilence, Semantics::EXACT, Schedule::SameStep);
    Options { time_steps: TIME_STEPS, settle, semantics, schedule, record, hold_every: None }
}
