//! Placements: what a strategy says it costs is what the network on chip carries, and searching pays.

use crate::shared;
use spikemesh::compile::hypergraph::{self, Hypergraph, KINDS};
use spikemesh::compile::{Pace, Search, Slicing, Strategy};
use spikemesh::engine::Machine;
use spikemesh::explore::{Field, Replayed};
use spikemesh::hardware::Hardware;
use spikemesh::load;
use spikemesh::program::{LinkLoads, Mapping};
use spikemesh::random::Draws;
use spikemesh::trace::Trace;
use std::path::Path;

fn chip(sets: &[&str]) -> Hardware {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_string()).collect();
    load::hardware("mesh28".as_ref(), &sets).unwrap()
}

fn sample() -> Trace {
    load::trace(&Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/sample.safetensors")).unwrap()
}

fn field<'a>(trace: &'a Trace, hardware: &'a Hardware) -> Field<'a> {
    let recorded = Replayed::new(trace, "sample", &trace.fingerprint, hardware).unwrap();
    Field::new(&trace.skeleton, &trace.fingerprint, hardware, Slicing::Fewest, Some(recorded)).unwrap()
}

/// Every strategy, each way of routing: the hops that are forecast, link by link, are those that the engine counts; and no
/// run takes fewer cycles than forecast.
#[test]
fn the_forecast_is_what_the_network_carries() {
    let trace = sample();
    let chips = [
        &["noc.multicast=tree"][..],
        &["noc.multicast=unicast"],
        &["noc.routing=yx"],
        &["noc.routing=yx", "mesh.columns=23", "core.neurons=512", "spikes_per_packet=2", "flit_bits=32"],
        &["core.soma=sweep", "core.lanes=1", "steps_ahead=1", "core.axon_in_cycles=3"],
        &["router_cycles=5", "link_vertical_cycles=4", "buffer_flits=16"],
    ];
    for (sets, strategy) in chips.iter().flat_map(|sets| [Strategy::Snake, Strategy::Greedy].map(|s| (sets, s))) {
        let hardware = chip(sets);
        let field = field(&trace, &hardware);
        let mapping = field.map(strategy, &Search::default(), &mut |_| Pace::Continue);
        let program = field.program(&mapping).unwrap();
        let machine = Machine::new(&program, &hardware.topology, &hardware.timing, &trace.skeleton).unwrap();
        let forecast = machine.forecast(&trace.images[0], trace.time_steps).unwrap();
        let activity = machine.replay(&trace.images[0], trace.time_steps).unwrap().activity;
        let loads = spikemesh::compile::link_loads(&program, &hardware.topology, &forecast.traffic);
        assert_eq!(loads, LinkLoads { flits: activity.link_flits.clone() }, "{sets:?}");
        let hops: u64 = activity.slices.iter().map(|slice| slice.flit_hops).sum();
        assert_eq!(loads.hops(), hops);
        let (least, cycles) = (forecast.cycles, activity.cycles);
        assert!(least <= cycles && least * 3 > cycles, "{sets:?}: {least} forecast, {cycles} run");
        let judged = field.judge("x", &mapping).unwrap();
        assert_eq!((judged.flit_hops, judged.simulated_cycles), (hops as f64, Some(cycles as f64)));
    }
}

#[test]
fn a_barrier_is_forecast_from_below_too() {
    let network = spikemesh::sample::network(spikemesh::sample::SEED).unwrap();
    let graph =
        spikemesh::convert::quantise(&spikemesh::convert::fold(&network).unwrap(), &Default::default()).unwrap();
    let images = spikemesh::sample::images(spikemesh::sample::SEED, 1);
    let options = spikemesh::functional::Options {
        time_steps: 2,
        settle: spikemesh::functional::Settle::ToSilence,
        semantics: spikemesh::functional::Semantics::EXACT,
        schedule: spikemesh::trace::Schedule::NextStep,
        record: true,
        hold_every: None,
    };
    let outcome = spikemesh::functional::Spiking::new(&graph).run(images.image(0), &options).unwrap();
    let images = vec![outcome.trace.unwrap()];
    let hardware = chip(&["discipline=barrier"]);
    let recorded = Some(Replayed { images: &images, time_steps: 2 });
    let field = Field::new(&graph, "x", &hardware, Slicing::Fewest, recorded).unwrap();
    let mapping = field.map(Strategy::Greedy, &Search::default(), &mut |_| Pace::Continue);
    let judged = field.judge("greedy", &mapping).unwrap();
    let (least, cycles) = (judged.predicted_cycles.unwrap(), judged.simulated_cycles.unwrap());
    assert!(least <= cycles && least * 2.0 > cycles, "{least} forecast, {cycles} run");
}

#[test]
fn a_seed_gives_the_same_bytes_and_a_stop_the_best_so_far() {
    let (trace, hardware) = (sample(), chip(&[]));
    let field = field(&trace, &hardware);
    let hops = |mapping: &Mapping| field.judge("x", mapping).unwrap().flit_hops;
    for strategy in [Strategy::Multilevel, Strategy::Anneal] {
        let placed = |seed, stop_after: u32| {
            let mut looks = 0;
            field.map(strategy, &Search { seed, effort: 300 }, &mut |_| {
                looks += 1;
                if looks > stop_after { Pace::Stop } else { Pace::Continue }
            })
        };
        assert_eq!(placed(5, u32::MAX), placed(5, u32::MAX));
        assert!(hops(&placed(5, 0)) >= hops(&placed(5, u32::MAX)));
    }
    let greedy = field.map(Strategy::Greedy, &Search::default(), &mut |_| Pace::Continue);
    let stopped = field.map(Strategy::Anneal, &Search::default(), &mut |_| Pace::Stop);
    assert!(hops(&stopped) <= hops(&greedy), "annealing starts from the greedy placement and keeps it");
}

/// The requirement of the mapping search, on the real network: a quarter fewer weighted hops than the Hilbert curve, and no
/// more simulated cycles, on `mesh28` and on four times the tiles.
#[test]
fn searching_beats_the_hilbert_curve_by_a_quarter() {
    let Some(network) = shared::path("models/cifar10-d128-b2.safetensors") else { return };
    let Some(images) = shared::path("data/cifar10-test-1000.bin") else { return };
    let network = load::network(&network, None).unwrap();
    let graph =
        spikemesh::convert::quantise(&spikemesh::convert::fold(&network).unwrap(), &Default::default()).unwrap();
    let images = load::images(&images, &network.architecture.input, network.classes(), Some(1)).unwrap();
    let options = spikemesh::functional::Options {
        time_steps: 4,
        settle: spikemesh::functional::Settle::ToSilence,
        semantics: spikemesh::functional::Semantics::EXACT,
        schedule: spikemesh::trace::Schedule::SameStep,
        record: true,
        hold_every: None,
    };
    let outcome = spikemesh::functional::Spiking::new(&graph).run(images.image(0), &options).unwrap();
    let images = vec![outcome.trace.unwrap()];
    for sets in [&[][..], &["mesh.columns=32", "mesh.rows=32"]] {
        let hardware = chip(sets);
        let field =
            Field::new(&graph, "x", &hardware, Slicing::Fewest, Some(Replayed { images: &images, time_steps: 4 }))
                .unwrap();
        let judged = |strategy: Strategy| {
            let mapping = field.map(strategy, &Search { effort: 200, ..Search::default() }, &mut |_| Pace::Continue);
            let row = field.judge(strategy.key(), &mapping).unwrap();
            (row.flit_hops, row.simulated_cycles.unwrap())
        };
        let hilbert = judged(Strategy::Hilbert);
        for strategy in [Strategy::Multilevel, Strategy::Anneal] {
            let found = judged(strategy);
            assert!(found.0 <= 0.75 * hilbert.0, "{}: {found:?} against {hilbert:?}", strategy.key());
            assert!(found.1 <= hilbert.1, "{}: {found:?} against {hilbert:?}", strategy.key());
        }
    }
}

/// Two cliques, joined by one light net: the partitioner finds them, and keeps within capacities that are hard.
#[test]
fn the_partitioner_finds_what_belongs_together() {
    let mut draws = Draws::new(3);
    let mut names: Vec<u32> = (0..120).collect();
    draws.shuffle(&mut names);
    let mut graph = Hypergraph { weights: vec![[1; KINDS]; 120], nets: vec![] };
    for group in names.chunks(30) {
        for at in 0..group.len() {
            for _ in 0..4 {
                let mut net = vec![group[at], group[(at + 1 + draws.below(28) as usize) % 30], group[(at + 7) % 30]];
                net.sort_unstable();
                net.dedup();
                if net.len() > 1 {
                    graph.nets.push((net, 10));
                }
            }
        }
    }
    let mut bridge = vec![names[0], names[40], names[70], names[100]];
    bridge.sort_unstable();
    graph.nets.push((bridge, 7));
    let parts = hypergraph::partition(&graph, 4, &[30; KINDS], 1, 4).unwrap();
    assert_eq!(hypergraph::connectivity(&graph, &parts), 21, "only the bridge is cut, into four");
    let full = |part| parts.iter().filter(|other| **other == part).count();
    assert_eq!([0, 1, 2, 3].map(full), [30; 4]);
    assert_eq!(hypergraph::partition(&graph, 4, &[29; KINDS], 1, 4), None, "120 vertices do not fit 4 · 29");
}

/// Stages cut finer where there is most to do: nothing is lost (a program takes no mapping that misses a value), the same
/// spikes come out, units are used that stood idle, and the run is shorter; from recorded spikes and from the graph alone.
#[test]
fn free_units_go_to_the_busiest_stages() {
    let (trace, hardware) = (sample(), chip(&[]));
    let recorded = Replayed::new(&trace, "sample", &trace.fingerprint, &hardware).unwrap();
    let judged = |slicing, guide| {
        let field = Field::new(&trace.skeleton, &trace.fingerprint, &hardware, slicing, guide).unwrap();
        let mapping = field.map(Strategy::Greedy, &Search::default(), &mut |_| Pace::Continue);
        let program = field.program(&mapping).unwrap();
        let machine = Machine::new(&program, &hardware.topology, &hardware.timing, &trace.skeleton).unwrap();
        let activity = machine.replay(&trace.images[0], trace.time_steps).unwrap().activity;
        let spikes: Vec<u64> = program
            .stage_slices
            .iter()
            .map(|slices| activity.slices[slices.start as usize..slices.end as usize].iter().map(|s| s.spikes).sum())
            .collect();
        let cores = program.slices.iter().filter(|slice| slice.needs.synapse_bits > 0).count();
        (cores, activity.cycles, spikes)
    };
    let fewest = judged(Slicing::Fewest, Some(recorded));
    for guide in [Some(recorded), None] {
        let balanced = judged(Slicing::Balanced, guide);
        assert!(balanced.0 > fewest.0, "{balanced:?} against {fewest:?}");
        assert!(balanced.1 < fewest.1, "{balanced:?} against {fewest:?}");
        assert_eq!(balanced.2, fewest.2);
        assert_eq!(balanced, judged(Slicing::Balanced, guide));
    }
}

/// With loads of 100 for one stage and nothing for the others, that stage gets every core that is free.
#[test]
fn a_stage_alone_with_its_load_takes_all_that_is_free() {
    let (trace, hardware) = (sample(), chip(&[]));
    let (graph, topology) = (&trace.skeleton, &hardware.topology);
    let fewest = spikemesh::compile::partition(graph, "mesh28", topology).unwrap();
    let busy = graph.stages.iter().position(|stage| stage.name == "patch_embed.proj_relu1").unwrap();
    let loads: Vec<u64> = (0..graph.stages.len()).map(|stage| if stage == busy { 100 } else { 0 }).collect();
    let cut = spikemesh::compile::balanced(graph, "mesh28", topology, &loads).unwrap();
    assert!(cut[busy].len() > 2 * fewest[busy].len(), "{} slices", cut[busy].len());
    for stage in (0..cut.len()).filter(|stage| *stage != busy) {
        assert_eq!(cut[stage], fewest[stage], "{}", graph.stages[stage].name);
    }
}
