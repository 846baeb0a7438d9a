//! How long it takes until the first image can run: load, convert, compile.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement may fail loudly and prints its figures"
)]

mod held;

use criterion::{Criterion, criterion_group, criterion_main};
use held::{Limit, measure, real_files};
use spikemesh::compile::{self, Strategy};
use spikemesh::convert::{self, Precision};
use spikemesh::engine::Machine;
use spikemesh::functional::Spiking;
use spikemesh::load;
use std::path::Path;

fn first_result(criterion: &mut Criterion) {
    let Some((model, images)) = real_files() else { return };
    let mut group = criterion.benchmark_group("cifar10-d128-b2 on mesh28");
    group.sample_size(10);
    let limit = Limit { milliseconds: 2000.0, why: "time to the first result" };
    measure(&mut group, "load, convert, compile, lay out", 1, &[limit], || {
        let network = load::network(&model, None).unwrap();
        load::images(&images, &network.architecture.input, network.classes(), Some(1)).unwrap();
        let graph = convert::quantise(&convert::fold(&network).unwrap(), &Precision::default()).unwrap();
        let hardware = load::hardware(Path::new("mesh28"), &[]).unwrap();
        let mapping = compile::map(&graph, "mesh28", &hardware.topology, Strategy::Greedy).unwrap();
        let fingerprint = convert::fingerprint(&graph);
        let program = compile::program(&graph, &fingerprint, "mesh28", &hardware.topology, &mapping).unwrap();
        let _ = Spiking::new(&graph);
        Machine::new(&program, &hardware.topology, &hardware.timing, &graph).unwrap();
    });
}

criterion_group!(benches, first_result);
criterion_main!(benches);
