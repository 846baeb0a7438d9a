//! Graph and topology to program: which part of which stage sits on which unit, and how spikes find their way.
//!
//! [`partition()`] cuts every stage into slices, [`place()`] gives each slice a unit, [`program`] lays the routes.
//! Between the second and the third lies the [`Mapping`], which people may edit: [`program`] takes nothing on trust.
//! Only shapes and the width of weights are read, so a graph's skeleton compiles to the same program.

mod balance;
mod check;
mod error;
mod fan_out;
pub mod hypergraph;
mod needs;
mod partition;
mod place;
mod room;
mod route;
mod shortage;
mod tiling;
mod traffic;

pub use balance::{Slicing, balanced, even_loads};
pub use error::{CompileError, Fault, FreeUnit, Location, StageUnits};
pub use needs::unit_for;
pub use partition::{Partition, partition};
pub use place::{Pace, Problem, Progress, Search, Seating, Strategy, Watch, hypergraph as slice_hypergraph, place};

use crate::graph::Graph;
use crate::hardware::Topology;
use crate::program::{Mapping, Placement, Program, Slice};
use crate::units::{StageId, UnitId};
pub use traffic::{even_traffic, link_loads};

use check::Layout;

/// Partition and placement in one, from the graph alone: a mapping of `graph` onto the chip, which [`program`] accepts.
///
/// # Errors
/// If the graph does not fit: what each stage needs, what is there, and what would make it fit.
pub fn map(graph: &Graph<i32>, chip: &str, topology: &Topology, strategy: Strategy) -> Result<Mapping, CompileError> {
    let partition = partition(graph, chip, topology)?;
    let problem = Problem::new(graph, topology, &partition, &even_traffic(graph, &partition));
    let seats = place(&problem, strategy, &Search::default(), &mut |_| Pace::Continue);
    Ok(mapping(graph, chip, topology, &partition, &seats))
}

/// The mapping that puts the slices of `partition` onto these units.
#[must_use]
pub fn mapping(
    graph: &Graph<i32>,
    chip: &str,
    topology: &Topology,
    partition: &Partition,
    seats: &[UnitId],
) -> Mapping {
    let units = topology.units();
    let regions =
        graph.stages.iter().zip(partition).flat_map(|(stage, regions)| regions.iter().map(move |r| (stage, r)));
    let slices = regions.zip(seats).map(|((stage, region), seat)| Placement {
        stage: stage.name.clone(),
        positions: (region.positions.start, region.positions.end),
        channels: (region.channels.start, region.channels.end),
        tile: topology.mesh.place(units[seat.index()].tile),
        unit: units[seat.index()].port,
    });
    Mapping { network: graph.name.clone(), chip: chip.to_string(), slices: slices.collect() }
}

/// The program that puts `graph` onto the chip as `mapping` says; `fingerprint` is the digest of the graph.
///
/// The names of network and chip in the mapping are for people: a mapping holds for every graph and chip that it fits.
///
/// # Errors
/// If the mapping does not cover every value of every stage exactly once, puts two slices on a unit or one on a unit of
/// another kind, or asks more of a unit than it has: all such faults together, each with its remedy.
pub fn program(
    graph: &Graph<i32>,
    fingerprint: &str,
    chip: &str,
    topology: &Topology,
    mapping: &Mapping,
) -> Result<Program, CompileError> {
    let layout = check::layout(graph, topology, mapping).map_err(|faults| CompileError::new(graph, chip, faults))?;
    let Layout { seats, fan_outs } = layout;
    let mut slices: Vec<Slice> = vec![];
    let mut stage_slices = vec![];
    for (seats, stage) in seats.into_iter().zip(0..) {
        let start = slices.len() as u32;
        slices.extend(seats.into_iter().map(|seat| Slice {
            stage: StageId(stage),
            region: seat.part,
            unit: seat.unit,
            sources: vec![],
            destinations: vec![],
            needs: seat.needs,
        }));
        stage_slices.push(start..slices.len() as u32);
    }
    let (routes, route_of) = route::routes(topology, &slices, &stage_slices, &fan_outs);
    route::connect(&mut slices, &routes);
    Ok(Program {
        network: graph.name.clone(),
        chip: chip.to_string(),
        fingerprint: fingerprint.to_string(),
        slices,
        stage_slices,
        routes,
        route_of,
    })
}
