//! How long the simulator takes for a flit-hop, an idle mesh, and a real image.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement may fail loudly and prints its figures"
)]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod held;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use held::{Limit, TIME_STEPS, measure, options, real};
use spikemesh::compile::{self, Strategy};
use spikemesh::engine::Machine;
use spikemesh::engine::mesh::{Mesh, Order, Packet, Wiring};
use spikemesh::functional::{Options, Spiking};
use spikemesh::hardware::{self, Hardware, Multicast};
use spikemesh::load;
use spikemesh::units::UnitId;
use std::path::Path;
use std::time::{Duration, Instant};

/// A square mesh of cores with the timing of `mesh28`.
fn cores(side: u32) -> Hardware {
    let mut hardware = load::hardware(Path::new("mesh28"), &[]).unwrap();
    hardware.topology.mesh = hardware::Mesh { columns: side, rows: side };
    hardware.topology.layout = vec!["C".to_string()];
    hardware.topology.noc.multicast = Multicast::Unicast;
    hardware
}

/// Whole numbers that look random (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// What units send in a cycle.
type Sent = Vec<(UnitId, Packet)>;

/// Uniform random traffic of single flits, `permille` of a flit for each unit and cycle, made before the clock starts.
fn schedule(wiring: &Wiring, cycles: u64, permille: u64) -> Vec<Sent> {
    let (mut dice, units) = (Dice(1), wiring.units() as u64);
    let mut sent = |unit: u64| {
        let sends = dice.roll(1000) < permille;
        let to = sends.then(|| wiring.toward(UnitId(dice.roll(units) as u32)));
        to.map(|way| (UnitId(unit as u32), Packet { tag: 0, way, flits: 1 }))
    };
    (0..cycles).map(|_| (0..units).filter_map(&mut sent).collect()).collect()
}

/// Sends packets through an empty mesh; router passages.
fn traffic(mesh: &mut Mesh, schedule: &[Sent]) -> u64 {
    let mut deliveries = vec![];
    for (now, sent) in (0..).zip(schedule) {
        mesh.carry(now, &mut deliveries);
        deliveries.clear();
        sent.iter().for_each(|&(unit, packet)| mesh.inject(unit, packet));
        mesh.launch(now);
    }
    mesh.moves()
}

/// A passage of a flit through a router: over a link or to a unit. The fastest of many short runs counts, since other work on
/// the same processor only ever adds to one.
fn flit_hops(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flit_hops");
    group.sample_size(10);
    let loads = [
        (8, 2, 200, 500, 25.0),
        (8, 1, 200, 500, 25.0),
        (32, 2, 50, 200, 40.0),
        (32, 2, 100, 200, 40.0),
        (32, 2, 200, 300, 40.0),
    ];
    for (side, vcs, permille, cycles, limit) in loads {
        let mut hardware = cores(side);
        hardware.topology.noc.virtual_channels = vcs;
        let wiring = Wiring::new(&hardware.topology, &hardware.timing.noc).unwrap();
        let schedule = schedule(&wiring, cycles, permille);
        let run = || {
            let mut mesh = Mesh::new(&wiring, Order::Forward);
            let begin = Instant::now();
            let hops = traffic(&mut mesh, &schedule);
            (begin.elapsed().as_secs_f64() * 1e9 / hops as f64, hops)
        };
        let best = (0..100).map(|_| run().0).fold(f64::MAX, f64::min);
        let verdict = if best <= limit { "held" } else { "missed" };
        let name = format!("{side}×{side}, {vcs} VC, at 0.{permille:03}");
        println!("{name}: {best:.1} ns per flit-hop, limit {limit}: {verdict}");
        group.throughput(Throughput::Elements(run().1));
        group.bench_function(name, |bencher| bencher.iter(|| run().1));
    }
}

/// What routers cost in which nothing happens: a mesh in which one packet after the other crosses a single link.
fn idle_routers(criterion: &mut Criterion) {
    let (hardware, cycles) = (cores(32), 20_000);
    let wiring = Wiring::new(&hardware.topology, &hardware.timing.noc).unwrap();
    let run = || {
        let (mut mesh, mut deliveries) = (Mesh::new(&wiring, Order::Forward), vec![]);
        for now in 0..cycles {
            mesh.carry(now, &mut deliveries);
            deliveries.clear();
            if now % 8 == 0 {
                mesh.inject(UnitId(0), Packet { tag: 0, way: wiring.toward(UnitId(1)), flits: 1 });
            }
            mesh.launch(now);
        }
        mesh.moves()
    };
    let begin = Instant::now();
    run();
    let picos = begin.elapsed().as_nanos() as u64 * 1000 / (cycles * wiring.tiles() as u64);
    println!("32×32, one link in use: {picos} ps per idle router and cycle, limit 1000");
    let mut group = criterion.benchmark_group("idle_routers");
    group.sample_size(10).throughput(Throughput::Elements(cycles * wiring.tiles() as u64));
    group.bench_function("32x32", |bencher| bencher.iter(run));
}

/// An image of the real network on mesh28, replayed and live, and what it costs to send more spikes.
fn image(criterion: &mut Criterion) {
    let Some((_, graph, images)) = real(1) else { return };
    let hardware = load::hardware(Path::new("mesh28"), &[]).unwrap();
    let mapping = compile::map(&graph, "mesh28", &hardware.topology, Strategy::Greedy).unwrap();
    let program = compile::program(&graph, "", "mesh28", &hardware.topology, &mapping).unwrap();
    let machine = Machine::new(&program, &hardware.topology, &hardware.timing, &graph).unwrap();
    let spiking = Spiking::new(&graph);
    let trace = |options: &Options| spiking.run(images.image(0), options).unwrap().trace.unwrap();
    let recorded = trace(&options(true));
    let mut group = criterion.benchmark_group("cifar10-d128-b2 on mesh28, T = 4");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    let limit = Limit { milliseconds: 500.0, why: "an image in replay" };
    measure(&mut group, "replay", 1, &[limit], || machine.replay(&recorded, TIME_STEPS).unwrap());
    let limit = Limit { milliseconds: 2000.0, why: "an image live" };
    measure(&mut group, "live", 1, &[limit], || machine.live(images.image(0), TIME_STEPS, recorded.steps).unwrap());
    group.finish();

    println!("cost by spikes: the time of a replay for each spike and flit-hop stays the same");
    for time_steps in [1, 2, 4, 8] {
        let trace = trace(&Options { time_steps, ..options(true) });
        let begin = Instant::now();
        let activity = machine.replay(&trace, time_steps).unwrap().activity;
        let nanos = begin.elapsed().as_nanos() as f64;
        let hops: u64 = activity.slices.iter().map(|slice| slice.flit_hops).sum();
        let spikes: u64 = trace.trains.iter().map(|train| train.totals().0).sum();
        let (by_spike, by_hop) = (nanos / spikes as f64, nanos / hops as f64);
        let milliseconds = nanos / 1e6;
        println!(
            "T = {time_steps}: {spikes} spikes, {hops} flit-hops, {milliseconds:.1} ms, {by_spike:.0} ns a spike, {by_hop:.1} ns a flit-hop"
        );
    }
}

criterion_group!(benches, flit_hops, idle_routers, image);
criterion_main!(benches);
