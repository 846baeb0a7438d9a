//! A plan carried out: points that only differ in prices share one run, those that sit alike one placement, and those that
//! compute alike one functional run.

use super::ExploreError;
use super::expression::{Expression, Value};
use super::field::{Field, forecast, replay_all};
use super::figures::{RESULTS, columns, common, priced};
use super::points::{self, Point, Setting, points};
use super::recording::{Recording, Subject};
use super::screen;
use crate::account::Run;
use crate::compile::{self, Pace, Slicing};
use crate::engine::{self, Forecast, Machine};
use crate::hardware::{Discipline, Hardware};
use crate::load;
use crate::plan::{Level, Plan, Screen};
use crate::program::{Mapping, Program};
use crate::rows::{Cell, Column, ColumnKind};
use crate::sample;
use crate::trace::Widths;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes the rows of finished points; whether to go on.
pub type Sink<'s> = &'s (dyn Fn(Vec<Vec<Cell>>) -> bool + Sync);

/// A plan, with all that it names in memory.
#[derive(Debug)]
pub struct Sweep {
    plan: Plan,
    subject: Subject,
    points: Vec<Point>,
    derived: Vec<(String, Expression)>,
    columns: Vec<Column>,
    identity: String,
}

/// Points with the same activity.
#[derive(Debug)]
pub(super) struct Group {
    pub points: Vec<usize>,
    recording: usize,
    mapping: String,
}

/// Points sorted by what they share.
#[derive(Debug, Default)]
pub(super) struct Plot {
    pub groups: Vec<Group>,
    /// A point of each recording.
    recordings: Vec<usize>,
    /// Points whose chip cannot be, and why.
    refused: Vec<(usize, String)>,
}

/// Recordings and placements that were made already.
#[derive(Debug)]
pub(super) struct Shelf {
    recordings: Vec<Mutex<Option<Arc<Recorded>>>>,
    mappings: BTreeMap<String, Mutex<Option<Mapping>>>,
}

type Recorded = Result<Recording, ExploreError>;

/// A group in its place on its chip.
pub(super) struct Seated {
    pub hardware: Hardware,
    pub program: Program,
    pub recording: Arc<Recorded>,
}

impl Sweep {
    /// Reads what a plan names, and lays its points out.
    ///
    /// # Errors
    /// If a file is not as it should be, an expression makes no sense, no point is left, or the trace is of another network.
    pub fn new(plan: Plan) -> Result<Self, ExploreError> {
        let base = points::base(&plan)?;
        let points = points(&plan)?;
        let subject = subject(&plan)?;
        let derived: Vec<(String, Expression)> = plan
            .columns
            .iter()
            .map(|(name, text)| Ok((name.clone(), Expression::parse(text)?)))
            .collect::<Result<_, ExploreError>>()?;
        let columns = columns(&plan, &derived, &base)?;
        let identity = identity(&plan, &base, &subject);
        let sweep = Self { plan, subject, points, derived, columns, identity };
        sweep.check_trace()?;
        Ok(sweep)
    }

    /// A trace beside a network must be of this network, at some point at least.
    fn check_trace(&self) -> Result<(), ExploreError> {
        let (Some((network, _)), Some(trace)) = (&self.subject.network, &self.subject.trace) else { return Ok(()) };
        let mut own = None;
        let mut seen = BTreeSet::new();
        for point in &self.points {
            let precision = points::setting(&self.plan, point).precision;
            if seen.insert(format!("{precision:?}")) {
                let folded = crate::convert::fold(network)?;
                let Ok(graph) = crate::convert::quantise(&folded, &precision) else { continue };
                let fingerprint = crate::convert::fingerprint(&graph);
                if fingerprint == trace.fingerprint {
                    return Ok(());
                }
                own.get_or_insert(fingerprint);
            }
        }
        Err(ExploreError::ForeignTrace {
            network: self.subject.name().to_string(),
            own: own.unwrap_or_default(),
            trace: trace.fingerprint.clone(),
        })
    }

    /// The columns of its rows.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Digest of the plan and all that it names, wherever that lies.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.points.len() as u64
    }

    /// Whether there are none, which [`Sweep::new`] refuses.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Runs of the engine, placements and functional runs that the points take, if all of them are run.
    #[must_use]
    pub fn runs(&self) -> [usize; 3] {
        let plot = self.plot();
        let placements: BTreeSet<&String> = plot.groups.iter().map(|group| &group.mapping).collect();
        [plot.groups.len(), placements.len(), plot.recordings.len()]
    }

    /// The points of part `shard.0` of `shard.1`.
    #[must_use]
    pub fn share(&self, shard: (u32, u32)) -> BTreeSet<u64> {
        let plot = self.plot();
        let groups = plot.groups.iter().enumerate().filter(|(at, _)| (*at as u32) % shard.1 + 1 == shard.0);
        let refused = plot.refused.iter().filter(|_| shard.0 == 1).map(|(point, _)| *point);
        groups.flat_map(|(_, group)| group.points.clone()).chain(refused).map(|point| point as u64).collect()
    }

    /// Runs the points of `share` that are not in `done`, and hands their rows to `sink` as they come.
    pub fn run(&self, share: &BTreeSet<u64>, done: &BTreeSet<u64>, sink: Sink) {
        let plot = self.plot();
        let shelf = Shelf::new(&plot);
        let run = match self.plan.screen {
            Screen::All => None,
            Screen::Halving { keep, audit } => {
                Some(screen::halving(self, &plot, &shelf, keep as usize, audit as usize, self.plan.seed))
            }
        };
        let open = |point: &usize| share.contains(&(*point as u64)) && !done.contains(&(*point as u64));
        let refused: Vec<Vec<Cell>> = plot
            .refused
            .iter()
            .filter(|(point, _)| open(point))
            .map(|(point, why)| self.refusal(*point, why))
            .collect();
        if !refused.is_empty() && !sink(refused) {
            return;
        }
        for recording in 0..plot.recordings.len() {
            let groups: Vec<&Group> = plot.groups.iter().filter(|group| group.recording == recording).collect();
            let go_on = groups.par_iter().try_for_each(|group| {
                let points: Vec<usize> = group.points.iter().copied().filter(open).collect();
                let (engine, bound): (Vec<usize>, Vec<usize>) =
                    points.into_iter().partition(|point| run.as_ref().is_none_or(|run| run.contains(point)));
                let rows = self.rows(&plot, &shelf, group, &engine, &bound);
                if rows.is_empty() || sink(rows) { Some(()) } else { None }
            });
            *shelf.recordings[recording].lock().unwrap_or_else(PoisonError::into_inner) = None;
            if go_on.is_none() {
                return;
            }
        }
    }

    pub(super) fn images(&self) -> usize {
        self.subject.images()
    }

    pub(super) fn mhz(&self, point: usize) -> u64 {
        points::chip(&self.plan, &self.points[point]).map_or(1, |hardware| hardware.timing.clock.mhz)
    }

    /// Points sorted by what they share.
    fn plot(&self) -> Plot {
        let keyed: Vec<_> = self
            .points
            .par_iter()
            .map(|point| points::chip(&self.plan, point).map(|chip| keys(&points::setting(&self.plan, point), &chip)))
            .collect();
        let mut plot = Plot::default();
        let mut recordings: BTreeMap<String, usize> = BTreeMap::new();
        let mut groups: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (point, keys) in keyed.into_iter().enumerate() {
            let [recording, mapping, activity] = match keys {
                Ok(keys) => keys,
                Err(error) => {
                    plot.refused.push((point, error.to_string()));
                    continue;
                }
            };
            let recording = *recordings.entry(recording).or_insert_with(|| {
                plot.recordings.push(point);
                plot.recordings.len() - 1
            });
            let mapping = format!("{recording} {mapping}");
            let group = *groups.entry((mapping.clone(), activity)).or_insert_with(|| {
                plot.groups.push(Group { points: vec![], recording, mapping });
                plot.groups.len() - 1
            });
            plot.groups[group].points.push(point);
        }
        plot
    }

    /// A group on its chip.
    pub(super) fn seated(&self, plot: &Plot, shelf: &Shelf, group: &Group) -> Result<Seated, ExploreError> {
        let point = &self.points[group.points[0]];
        let (setting, hardware) = (points::setting(&self.plan, point), points::chip(&self.plan, point)?);
        let recording = self.recording(plot, shelf, group.recording);
        let recorded = recording.as_ref().as_ref().map_err(Clone::clone)?;
        let mapped = || -> Result<Mapping, ExploreError> {
            let guided = setting.strategy.is_guided() || setting.slicing == Slicing::Balanced;
            let guide = guided.then(|| recorded.replayed(usize::MAX));
            let field = Field::new(&recorded.graph, &recorded.fingerprint, &hardware, setting.slicing, guide)?;
            Ok(field.map(setting.strategy, &setting.search, &mut |_| Pace::Continue))
        };
        // what keeps one point from a placement, such as buffers that are too small, may not keep another
        let mapping = match shelf.mappings.get(&group.mapping) {
            Some(place) => {
                let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                let known = place.clone();
                known.map_or_else(mapped, Ok).inspect(|mapping| *place = Some(mapping.clone()))?
            }
            None => mapped()?,
        };
        let Recording { graph, fingerprint, .. } = recorded;
        let program = compile::program(graph, fingerprint, &hardware.name, &hardware.topology, &mapping)?;
        Ok(Seated { hardware, program, recording })
    }

    fn recording(&self, plot: &Plot, shelf: &Shelf, number: usize) -> Arc<Recorded> {
        let mut place = shelf.recordings[number].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recording) = &*place {
            return Arc::clone(recording);
        }
        let point = &self.points[plot.recordings[number]];
        let made = points::chip(&self.plan, point).map_err(ExploreError::from).and_then(|hardware| {
            let schedule = engine::schedule(hardware.timing.step.discipline);
            self.subject.record(&points::setting(&self.plan, point), schedule, &hardware.name)
        });
        Arc::clone(place.insert(Arc::new(made)))
    }

    /// The rows of a group: of points that the engine runs, and of those that are only forecast.
    fn rows(&self, plot: &Plot, shelf: &Shelf, group: &Group, engine: &[usize], bound: &[usize]) -> Vec<Vec<Cell>> {
        let all = || engine.iter().chain(bound);
        if engine.is_empty() && bound.is_empty() {
            return vec![];
        }
        let made = self.seated(plot, shelf, group).and_then(|seated| self.figures(&seated, engine, bound));
        made.unwrap_or_else(|error| all().map(|point| self.refusal(*point, &error.to_string())).collect())
    }

    fn figures(&self, seated: &Seated, engine: &[usize], bound: &[usize]) -> Result<Vec<Vec<Cell>>, ExploreError> {
        let Seated { hardware, program, recording } = seated;
        let recorded = recording.as_ref().as_ref().map_err(Clone::clone)?;
        let machine = Machine::new(program, &hardware.topology, &hardware.timing, &recorded.graph)?;
        let replayed = recorded.replayed(usize::MAX);
        let Forecast { traffic, cycles: least, .. } = forecast(&machine, replayed)?;
        let loads = compile::link_loads(program, &hardware.topology, &traffic);
        let activities = if engine.is_empty() { vec![] } else { replay_all(&machine, replayed)? };
        let widths: Vec<&[Widths]> = recorded.images.iter().map(|image| image.widths.as_slice()).collect();
        let mut rows = vec![];
        for &point in engine.iter().chain(bound) {
            let hardware = points::chip(&self.plan, &self.points[point])?;
            let mut found = common(&hardware, program, recorded, &loads, least);
            let run = engine.contains(&point).then(|| Run {
                graph: &recorded.graph,
                program,
                hardware: &hardware,
                time_steps: recorded.drive_steps,
                drive: "replay",
                live_equal: None,
                activities: &activities,
                widths: &widths,
            });
            let status = if run.is_some() { "run" } else { "screened" };
            found.insert("status", Cell::Word(status.to_string()));
            if let Some(run) = run {
                priced(&run, &mut found);
            }
            rows.push(self.row(point, Some(&hardware), &found, ""));
        }
        Ok(rows)
    }

    /// The row of a point that cannot be, with the reason on one line.
    fn refusal(&self, point: usize, why: &str) -> Vec<Cell> {
        let found = BTreeMap::from([("status", Cell::Word("refused".to_string()))]);
        self.row(point, None, &found, &why.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn row(&self, point: usize, hardware: Option<&Hardware>, found: &BTreeMap<&str, Cell>, why: &str) -> Vec<Cell> {
        let mut row = vec![Cell::Whole(point as i64)];
        let kinds = self.columns[1..].iter().map(|column| column.kind);
        row.extend(self.points[point].levels.iter().zip(kinds).map(|(level, kind)| match level {
            Level::Whole(value) if kind == ColumnKind::Whole => Cell::Whole(*value),
            Level::Whole(value) if kind == ColumnKind::Real => Cell::Real(*value as f64),
            Level::Real(value) if kind == ColumnKind::Real => Cell::Real(*value),
            Level::Whole(_) | Level::Real(_) | Level::Word(_) => Cell::Word(level.to_string()),
        }));
        row.extend(RESULTS.iter().map(|(name, _)| found.get(name).cloned().unwrap_or_default()));
        let mut further: Vec<(&str, f64)> = vec![];
        for (name, expression) in &self.derived {
            let of_name = |wanted: &str| {
                let before = further.iter().find(|(name, _)| *name == wanted).map(|(_, value)| Value::Number(*value));
                let result = || found.get(wanted).and_then(Cell::number).map(Value::Number);
                let is_result = RESULTS.iter().any(|(name, _)| *name == wanted);
                let of_point = || points::value_of(&self.plan, &self.points[point], hardware, wanted);
                before.or_else(result).or_else(|| if is_result { None } else { of_point() })
            };
            let value = match expression.value(&of_name) {
                Ok(Some(Value::Number(number))) if number.is_finite() => Some(number),
                Ok(Some(Value::Truth(truth))) => Some(f64::from(u8::from(truth))),
                Ok(_) | Err(_) => None,
            };
            further.extend(value.map(|value| (name.as_str(), value)));
            row.push(value.map_or(Cell::Empty, Cell::Real));
        }
        row.push(if why.is_empty() { Cell::Empty } else { Cell::Word(why.to_string()) });
        row
    }
}

impl Shelf {
    fn new(plot: &Plot) -> Self {
        Self {
            recordings: plot.recordings.iter().map(|_| Mutex::new(None)).collect(),
            mappings: plot.groups.iter().map(|group| (group.mapping.clone(), Mutex::new(None))).collect(),
        }
    }
}

/// What must be equal for two points to share a recording, a placement, an activity.
fn keys(setting: &Setting, hardware: &Hardware) -> [String; 3] {
    let Setting { precision, time_steps, semantics, settle, slicing, strategy, search } = setting;
    let discipline = hardware.timing.step.discipline;
    let recording = format!("{precision:?} {time_steps} {semantics:?} {settle:?} {}", discipline.key());
    // a placement depends on neither buffers nor the width of membranes, and an activity on neither that nor the clock
    let (mut topology, mut timing) = (hardware.topology.clone(), hardware.timing);
    topology.core.membrane_bits = 0;
    timing.clock.mhz = 0;
    if discipline == Discipline::Tokens {
        timing.step.barrier_cycles = 0;
    }
    let activity = digest(&format!("{topology:?} {timing:?}"));
    (topology.noc.virtual_channels, topology.noc.buffer_flits) = (0, 0);
    let search = strategy.is_guided().then_some(search);
    // what a slice has to do, in cycles, says how finely its stage is cut
    let work = (*slicing == Slicing::Balanced).then_some(timing);
    [recording, digest(&format!("{topology:?} {work:?} {} {search:?}", strategy.key())), activity]
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Reads network, images and trace.
fn subject(plan: &Plan) -> Result<Subject, ExploreError> {
    let trace = if plan.trace.is_empty() { None } else { Some(load::trace(Path::new(&plan.trace))?) };
    let network = match plan.network.as_str() {
        "" => None,
        "sample" => Some((sample::network(sample::SEED)?, sample::images(sample::SEED, plan.count as usize))),
        file => {
            let arch = (!plan.arch.is_empty()).then(|| Path::new(&plan.arch));
            let network = load::network(Path::new(file), arch)?;
            let images = if plan.images.is_empty() {
                crate::images::Images { grid: network.architecture.input.grid(), pixels: vec![], labels: vec![] }
            } else {
                let (input, classes) = (&network.architecture.input, network.classes());
                load::images(Path::new(&plan.images), input, classes, Some(plan.count as usize))?
            };
            Some((network, images))
        }
    };
    Ok(Subject { network, trace })
}

/// Digest of a plan by what its files hold, not by where they lie.
fn identity(plan: &Plan, base: &Hardware, subject: &Subject) -> String {
    let mut hash = Sha256::new();
    let named = Plan {
        network: String::new(),
        arch: String::new(),
        images: String::new(),
        trace: String::new(),
        chip: String::new(),
        ..plan.clone()
    };
    hash.update(format!("{} {named:?} {base:?}", env!("CARGO_PKG_VERSION")));
    if let Some((network, images)) = &subject.network {
        hash.update(format!("{:?}", network.architecture));
        for (name, tensor) in &network.tensors {
            hash.update(name);
            tensor.values.iter().for_each(|value| hash.update(value.to_bits().to_le_bytes()));
        }
        hash.update(&images.pixels);
        images.labels.iter().for_each(|label| hash.update(label.to_le_bytes()));
    }
    if let Some(trace) = &subject.trace {
        hash.update(&trace.fingerprint);
        let trains = trace.images.iter().flat_map(|image| &image.trains);
        trains.for_each(|train| hash.update(format!("{:?}", train.totals())));
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
