//! How long an image takes without a chip, spiking and not, against the published PyTorch code on two threads.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement may fail loudly and prints its figures"
)]

mod held;

use criterion::{Criterion, criterion_group, criterion_main};
use held::{Limit, TIME_STEPS, measure, options, real};
use spikemesh::functional::{FunctionalError, IntegerAnn, Spiking, each_image, float_ann};

/// Images of one measurement: enough to keep all threads busy.
const IMAGES: usize = 16;
/// What the published code takes for the 4 steps of an image.
const PYTORCH_SPIKING: f64 = 26.4;
/// What its float network takes for an image, at best.
const PYTORCH_FLOAT: f64 = 3.0;

fn an_image(criterion: &mut Criterion) {
    let Some((network, graph, images)) = real(IMAGES) else { return };
    let mut group = criterion.benchmark_group("an image of cifar10-d128-b2, T = 4, all threads");
    group.sample_size(10);
    let (spiking, integer, options) = (Spiking::new(&graph), IntegerAnn::new(&graph), options(false));
    let limits = [
        Limit { milliseconds: PYTORCH_SPIKING / 10.0, why: "a tenth of the published code's 26.4 ms" },
        Limit { milliseconds: PYTORCH_SPIKING / 25.0, why: "a twenty-fifth of it" },
    ];
    measure(&mut group, "spiking, to silence", IMAGES, &limits, || {
        each_image(&images, |_, image| Ok::<_, FunctionalError>(spiking.run(image, &options)?.steps)).unwrap()
    });
    let limit = Limit { milliseconds: PYTORCH_FLOAT / 5.0, why: "a fifth of PyTorch's 3.0 ms in floats" };
    measure(&mut group, "integer network", IMAGES, &[limit], || {
        each_image(&images, |_, image| integer.run(image, TIME_STEPS)).unwrap()
    });
    let limit = Limit { milliseconds: PYTORCH_FLOAT * 2.0, why: "twice PyTorch's 3.0 ms" };
    measure(&mut group, "float network", IMAGES, &[limit], || float_ann(&network, &images).unwrap());
}

criterion_group!(benches, an_image);
criterion_main!(benches);
