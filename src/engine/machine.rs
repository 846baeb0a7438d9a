//! A program laid out on a chip: all that runs of it share.

use super::inputs::{Input, Shared};
use super::mesh::{Order, Passage, Way, Wiring};
use super::packets::Spike;
use super::units::{Pace, Role};
use super::{EngineError, packets};
use crate::graph::Graph;
use crate::hardware::{Timing, Topology};
use crate::program::{Program, Route};
use crate::reach::Reach;
use crate::units::{Grid, Part, RouteId, SliceId, StageId, UnitId};
use std::collections::BTreeMap;

/// A program laid out on a chip, for any number of runs.
#[derive(Debug)]
pub struct Machine<'a> {
    pub(super) program: &'a Program,
    pub(super) graph: &'a Graph<i32>,
    pub(super) timing: &'a Timing,
    pub(super) wiring: Wiring,
    pub(super) seats: Vec<Seat<'a>>,
    pub(super) ways: Vec<RouteWays>,
    /// The slice of each unit.
    pub(super) slice_at: Vec<Option<SliceId>>,
    /// Length of tokens and acknowledgements.
    pub(super) control_flits: u16,
    /// In which order routers are visited; nothing depends on it.
    pub order: Order,
    /// Into how many spans the steps of an image are cut, which run side by side; nothing depends on it but the time that it
    /// takes. Only with barriers, which keep steps apart.
    pub spans: u32,
}

/// A slice on its unit.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    pub stage: StageId,
    pub grid: Grid,
    pub part: &'a Part,
    pub unit: UnitId,
    pub graded: bool,
    pub role: Role,
    pub pace: Pace,
    /// What arrives from each of its sources, and these themselves, run by run.
    pub inputs: Vec<Input>,
    sources: Vec<Senders>,
    /// The way of acknowledgements to each source, and of tokens to each destination.
    pub to_sources: Vec<Directed>,
    pub to_destinations: Vec<Directed>,
}

/// Sources of a slice whose numbers follow each other, as those of a stage often do.
#[derive(Debug, Clone, Copy)]
struct Senders {
    first: u32,
    count: u32,
    /// The place of the first one among all sources of the slice.
    place: u32,
}

impl Senders {
    /// All sources of a slice, in order.
    fn runs(sources: &[SliceId]) -> Vec<Self> {
        let mut runs: Vec<Self> = vec![];
        for (source, place) in sources.iter().zip(0..) {
            match runs.last_mut() {
                Some(run) if run.first + run.count == source.0 => run.count += 1,
                Some(_) | None => runs.push(Self { first: source.0, count: 1, place }),
            }
        }
        runs
    }

    /// The place of a slice, if it is one of them.
    #[inline]
    fn place(self, sender: SliceId) -> Option<usize> {
        let nth = sender.0.wrapping_sub(self.first);
        (nth < self.count).then_some((self.place + nth) as usize)
    }
}

/// A way, and what one flit does on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directed {
    pub way: Way,
    pub passage: Passage,
}

/// The ways of a route.
#[derive(Debug)]
pub(super) struct RouteWays {
    pub trees: Vec<Directed>,
    /// Its destinations, as places in those of its slice.
    pub destinations: Vec<u32>,
}

impl<'a> Machine<'a> {
    /// Lays a program out on a chip; the graph's skeleton is enough for replays.
    ///
    /// # Errors
    /// If program, graph and chip do not belong together, or packets are too long for the chip's buffers.
    pub fn new(
        program: &'a Program,
        topology: &Topology,
        timing: &'a Timing,
        graph: &'a Graph<i32>,
    ) -> Result<Self, EngineError> {
        let mut wiring = Wiring::new(topology, &timing.noc)?;
        let slice_at = seating(program, graph, wiring.units())?;
        packets::check(&wiring.noc, graph)?;
        let reaches = reaches(graph);
        let ways = program.routes.iter().map(|route| lay(&mut wiring, program, route)).collect::<Result<_, _>>()?;
        let mut shared = Shared::default();
        let seats = (0..program.slices.len()).map(|slice| {
            let mut seat = Seat::new(program, graph, timing, slice, &reaches, &mut shared);
            let from = program.slices[slice].unit;
            let directed = |other: &SliceId| direct(&wiring, from, program.slices[other.index()].unit);
            seat.to_sources = program.slices[slice].sources.iter().map(directed).collect();
            seat.to_destinations = program.slices[slice].destinations.iter().map(directed).collect();
            seat
        });
        let seats = seats.collect();
        let control_flits = packets::control_flits(&wiring.noc);
        let order = Order::default();
        Ok(Self { program, graph, timing, seats, ways, slice_at, control_flits, order, spans: 1, wiring })
    }

    /// Which of the sources of a slice another one is.
    #[inline]
    pub(super) fn source_of(&self, slice: usize, sender: SliceId) -> Option<usize> {
        self.seats[slice].sources.iter().find_map(|run| run.place(sender))
    }

    /// The route of each spike of a slice.
    pub(super) fn route_of(&self, slice: usize) -> impl Fn(&Spike) -> RouteId {
        let (part, routes) = (self.seats[slice].part, &self.program.route_of[slice]);
        move |spike| routes[part.local(spike.position, spike.channel)]
    }
}

impl<'a> Seat<'a> {
    fn new(
        program: &'a Program,
        graph: &Graph<i32>,
        timing: &Timing,
        slice: usize,
        reaches: &BTreeMap<(StageId, StageId), Reach>,
        shared: &mut Shared,
    ) -> Self {
        let here = &program.slices[slice];
        let stage = graph.stage(here.stage);
        let role = Role::new(stage, &here.region, timing);
        let pace = Pace::new(role, timing);
        let nothing = Reach::new(graph, here.stage, here.stage);
        let input = |source: &SliceId| {
            let source = &program.slices[source.index()];
            let reach = reaches.get(&(here.stage, source.stage)).unwrap_or(&nothing);
            Input::new(reach, &source.region, &here.region, &pace, matches!(role, Role::Core(_)), shared)
        };
        Self {
            stage: here.stage,
            grid: stage.grid,
            part: &here.region,
            unit: here.unit,
            graded: stage.kind.is_graded(),
            role,
            inputs: here.sources.iter().map(input).collect(),
            sources: Senders::runs(&here.sources),
            pace,
            to_sources: vec![],
            to_destinations: vec![],
        }
    }
}

fn reaches(graph: &Graph<i32>) -> BTreeMap<(StageId, StageId), Reach> {
    let pairs = graph.ids().flat_map(|to| graph.stage(to).kind.sources().into_iter().map(move |from| (to, from)));
    pairs.map(|(to, from)| ((to, from), Reach::new(graph, from, to))).collect()
}

fn direct(wiring: &Wiring, from: UnitId, to: UnitId) -> Directed {
    let way = wiring.toward(to);
    Directed { way, passage: wiring.passage(from, way) }
}

fn lay(wiring: &mut Wiring, program: &Program, route: &Route) -> Result<RouteWays, EngineError> {
    let source = &program.slices[route.source.index()];
    let mut trees = vec![];
    for tree in &route.trees {
        let way = wiring.plant(source.unit, tree, |slice| program.slices[slice.index()].unit)?;
        trees.push(Directed { way, passage: wiring.passage(source.unit, way) });
    }
    let place = |slice: &SliceId| {
        source.destinations.binary_search(slice).map(|at| at as u32).map_err(|_| {
            misfit(format!("a route of {} leads to {slice}, which is not among its destinations", route.source))
        })
    };
    Ok(RouteWays { trees, destinations: route.destinations.iter().map(place).collect::<Result<_, _>>()? })
}

fn misfit(what: String) -> EngineError {
    EngineError::Misfit(format!("the program does not fit: {what}; compile it again for this graph and chip"))
}

/// The slice of each unit, if every id and size of the program can be relied on.
fn seating(program: &Program, graph: &Graph<i32>, units: usize) -> Result<Vec<Option<SliceId>>, EngineError> {
    let mut slice_at = vec![None; units];
    if program.route_of.len() != program.slices.len() {
        return Err(misfit("it does not have routes for every slice".into()));
    }
    for (index, slice) in program.slices.iter().enumerate() {
        let id = SliceId::at(index);
        let Some(stage) = graph.stages.get(slice.stage.index()) else {
            return Err(misfit(format!("{id} is of {}, and the graph has {}", slice.stage, graph.stages.len())));
        };
        let (whole, bounds) = (stage.grid.whole(), slice.region.bounds());
        if bounds.positions.end > whole.positions.end || bounds.channels.end > whole.channels.end {
            return Err(misfit(format!("{id} has {} of a stage of {}", slice.region, stage.grid)));
        }
        let routes = &program.route_of[index];
        let known = routes.iter().all(|route| route.index() < program.routes.len());
        let others = slice.sources.iter().chain(&slice.destinations);
        if routes.len() != slice.region.neurons()
            || !known
            || others.into_iter().any(|s| s.index() >= program.slices.len())
        {
            return Err(misfit(format!("{id} has routes or neighbours that are not there")));
        }
        match slice_at.get_mut(slice.unit.index()) {
            None => return Err(misfit(format!("{id} sits on {}, and the chip has {units}", slice.unit))),
            Some(Some(other)) => return Err(misfit(format!("{id} and {other} share {}", slice.unit))),
            Some(free) => *free = Some(id),
        }
    }
    let dangling = |route: &Route| {
        route
            .trees
            .iter()
            .flat_map(|tree| &tree.nodes)
            .flat_map(|node| &node.local)
            .any(|s| s.index() >= program.slices.len())
    };
    if program.routes.iter().any(|route| route.source.index() >= program.slices.len() || dangling(route)) {
        return Err(misfit("a route names a slice that is not there".into()));
    }
    Ok(slice_at)
}
