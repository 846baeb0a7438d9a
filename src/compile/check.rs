//! What a mapping must be before it is a program: every value in exactly one slice, every slice on a unit of its own
//! that can hold it; lines that put regions of one stage on one core are one slice. People edit mappings, so all faults are told together, each with its remedy.

use super::error::{Fault, Location};
use super::fan_out::FanOut;
use super::needs::{Demand, capacities, capacity_key, exceeded, row, unit_for};
use super::room::Room;
use super::shortage;
use super::tiling::Tiling;
use crate::graph::{Graph, Stage};
use crate::hardware::Topology;
use crate::program::{Mapping, Needs, Placement};
use crate::units::{Part, Region, UnitId};
use std::collections::BTreeMap;
use std::ops::Range;

/// A mapping that holds.
pub(super) struct Layout {
    /// The slices of each stage, in order of their first position and channel.
    pub(super) seats: Vec<Vec<Seat>>,
    /// What the spikes of each stage must reach.
    pub(super) fan_outs: Vec<FanOut>,
}

/// A slice in its place.
pub(super) struct Seat {
    pub(super) part: Part,
    pub(super) unit: UnitId,
    pub(super) needs: Needs,
}

/// A line of the mapping whose region is part of its stage; without a unit where that is wrong.
struct Line {
    at: Location,
    region: Region,
    unit: Option<UnitId>,
}

/// Checks `mapping` as a whole.
///
/// # Errors
/// Everything that is wrong with the chip for this graph, then with the lines, then with what they cover and need.
pub(super) fn layout(graph: &Graph<i32>, topology: &Topology, mapping: &Mapping) -> Result<Layout, Vec<Fault>> {
    let mut room = Room::new(topology, mapping);
    room.faults = shortage::unfit(graph, topology);
    let lines = lines(graph, mapping, &mut room);
    let tilings = tilings(graph, &lines, &mut room);
    let mut faults = room.faults;
    let fan_outs: Vec<FanOut> = match &tilings {
        Some(tilings) => graph.ids().map(|id| FanOut::new(graph, id, tilings)).collect(),
        None => graph.stages.iter().map(|stage| FanOut::none(stage.grid)).collect(),
    };
    let mut seats = vec![];
    for (stage, lines) in graph.ids().zip(lines) {
        let demand = Demand::new(graph, stage, topology);
        let of_lines = |lines| seat(&demand, topology, &fan_outs[stage.index()], lines, &mut faults);
        seats.push(slices(lines).into_iter().filter_map(of_lines).collect());
    }
    if faults.is_empty() { Ok(Layout { seats, fan_outs }) } else { Err(faults) }
}

/// The lines of each slice, slices in the order of their first lines: those that share a unit, or one line alone.
fn slices(lines: Vec<Line>) -> Vec<Vec<Line>> {
    let mut slices: Vec<Vec<Line>> = vec![];
    for (line, slice) in slice_of(&lines).into_iter().zip(lines).map(|(slice, line)| (line, slice as usize)) {
        if slice == slices.len() {
            slices.push(vec![]);
        }
        slices[slice].push(line);
    }
    slices
}

/// For each line of a stage, the number of its slice.
fn slice_of(lines: &[Line]) -> Vec<u32> {
    let mut known: BTreeMap<UnitId, u32> = BTreeMap::new();
    let mut next = 0;
    let mut number = |line: &Line| {
        let slice = line.unit.and_then(|unit| known.get(&unit).copied()).unwrap_or(next);
        next = next.max(slice + 1);
        if let Some(unit) = line.unit {
            known.insert(unit, slice);
        }
        slice
    };
    lines.iter().map(&mut number).collect()
}

/// The slice of some lines, whose cut and needs are checked.
fn seat(
    demand: &Demand,
    topology: &Topology,
    fan_out: &FanOut,
    lines: Vec<Line>,
    faults: &mut Vec<Fault>,
) -> Option<Seat> {
    faults.extend(lines.iter().filter_map(|line| cut(demand, &line.at, &line.region)));
    let (at, unit) = (lines[0].at.clone(), lines[0].unit);
    let part = Part::new(lines.into_iter().map(|line| line.region).collect());
    let needs = demand.of(part.regions(), fan_out);
    let capacities = capacities(topology, demand.unit);
    faults.extend(exceeded(&needs, &capacities).map(|place| Fault::OverCapacity {
        at: at.clone(),
        capacity: capacity_key(demand.unit, place),
        needed: row(&needs)[place],
        available: row(&capacities)[place],
    }));
    unit.map(|unit| Seat { part, unit, needs })
}

/// The lines of each stage, in order of their first position and channel.
fn lines(graph: &Graph<i32>, mapping: &Mapping, room: &mut Room<'_>) -> Vec<Vec<Line>> {
    let mut stages: Vec<Vec<Line>> = graph.stages.iter().map(|_| vec![]).collect();
    for placement in &mapping.slices {
        let at = location(placement);
        let Some(index) = graph.stages.iter().position(|stage| stage.name == placement.stage) else {
            let known = graph.stages.iter().map(|stage| stage.name.clone()).collect();
            room.faults.push(Fault::UnknownStage { at, known });
            continue;
        };
        let unit = room.seat(unit_for(&graph.stages[index].kind), &at);
        let region = inside(&graph.stages[index], &at, &mut room.faults);
        stages[index].extend(region.map(|region| Line { at, region, unit }));
    }
    for lines in &mut stages {
        lines.sort_by_key(|line| (line.region.positions.start, line.region.channels.start));
    }
    stages
}

/// The tiling of each stage, where all of them are whole and without overlap.
fn tilings(graph: &Graph<i32>, stages: &[Vec<Line>], room: &mut Room<'_>) -> Option<Vec<Tiling>> {
    let mut tilings = vec![];
    for (stage, lines) in graph.stages.iter().zip(stages) {
        let regions = lines.iter().map(|line| line.region.clone()).collect();
        match Tiling::new(stage.grid, regions) {
            Ok(tiling) => tilings.push(tiling.joined(&slice_of(lines))),
            Err(flaws) => {
                let at = |line: u32| lines[line as usize].at.clone();
                let overlaps = flaws.overlaps.iter().map(|&(a, b)| Fault::Overlap { at: at(b), other: at(a) });
                room.faults.extend(overlaps);
                for region in flaws.gaps {
                    let kind = unit_for(&stage.kind);
                    let free = room.name_free(kind);
                    room.faults.push(Fault::Uncovered { stage: stage.name.clone(), region, kind, free });
                }
            }
        }
    }
    (tilings.len() == graph.stages.len()).then_some(tilings)
}

fn location(placement: &Placement) -> Location {
    let range = |(start, end): (u32, u32)| Range { start, end };
    Location {
        stage: placement.stage.clone(),
        region: Region { positions: range(placement.positions), channels: range(placement.channels) },
        tile: placement.tile,
        unit: placement.unit,
    }
}

/// The part of a line's region that the stage has; notes where that is not all of it.
fn inside(stage: &Stage<i32>, at: &Location, faults: &mut Vec<Fault>) -> Option<Region> {
    let whole = stage.grid.whole();
    let region = &at.region;
    if region.neurons() == 0 {
        faults.push(Fault::Empty { at: at.clone() });
        return None;
    }
    if region.positions.end > whole.positions.end || region.channels.end > whole.channels.end {
        faults.push(Fault::OutsideStage { at: at.clone(), grid: stage.grid });
    }
    let part = Region {
        positions: region.positions.start..region.positions.end.min(whole.positions.end),
        channels: region.channels.start..region.channels.end.min(whole.channels.end),
    };
    (part.neurons() > 0).then_some(part)
}

/// Whether a slice cuts a head, or a vector that is normalised over positions.
fn cut(demand: &Demand, at: &Location, region: &Region) -> Option<Fault> {
    let head = demand.head?;
    let all = demand.grid.whole().positions;
    let heads_whole = region.channels.start.is_multiple_of(head) && region.channels.end.is_multiple_of(head);
    let positions_whole = !demand.all_positions || region.positions == all;
    let positions = demand.all_positions.then_some(all.end);
    (!heads_whole || !positions_whole).then(|| Fault::Cut { at: at.clone(), head, positions })
}
