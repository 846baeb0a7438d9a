//! Reports, timelines and waveforms show what the engine did, whole and by themselves.

use spikemesh::activity::Activity;
use spikemesh::engine::{Log, Machine};
use spikemesh::events::Events;
use spikemesh::functional::{Options, Outcome, Semantics, Settle, Spiking, probe};
use spikemesh::graph::Graph;
use spikemesh::hardware::{Direction, Hardware};
use spikemesh::program::Program;
use spikemesh::report::{self, Findings};
use spikemesh::summary::{AccuracyRow, AccuracyTable, RunSummary, Simulator};
use spikemesh::trace::Schedule;
use spikemesh::units::{StageId, TileId};
use spikemesh::{account, compile, convert, load, sample};
use std::collections::BTreeMap;

/// The embedded network on the embedded chip.
struct Case {
    graph: Graph<i32>,
    chip: Hardware,
    program: Program,
    outcome: Outcome,
}

fn case() -> Case {
    let network = sample::network(sample::SEED).unwrap();
    let graph = convert::quantise(&convert::fold(&network).unwrap(), &convert::Precision::default()).unwrap();
    let chip = load::hardware_from_text("mesh28", load::preset("mesh28").unwrap(), &[]).unwrap();
    let mapping = compile::map(&graph, &chip.name, &chip.topology, compile::Strategy::default()).unwrap();
    let fingerprint = convert::fingerprint(&graph);
    let program = compile::program(&graph, &fingerprint, &chip.name, &chip.topology, &mapping).unwrap();
    let options = Options {
        time_steps: 4,
        settle: Settle::ToSilence,
        semantics: Semantics::EXACT,
        schedule: Schedule::SameStep,
        record: true,
        hold_every: None,
    };
    let outcome = Spiking::new(&graph).run(sample::images(sample::SEED, 1).image(0), &options).unwrap();
    Case { graph, chip, program, outcome }
}

impl Case {
    fn machine(&self) -> Machine<'_> {
        Machine::new(&self.program, &self.chip.topology, &self.chip.timing, &self.graph).unwrap()
    }

    fn activity(&self) -> Activity {
        self.machine().replay(self.outcome.trace.as_ref().unwrap(), 4).unwrap().activity
    }

    fn summary(&self, activity: &Activity) -> RunSummary {
        let run = account::Run {
            graph: &self.graph,
            program: &self.program,
            hardware: &self.chip,
            time_steps: 4,
            drive: "replay",
            live_equal: None,
            activities: std::slice::from_ref(activity),
            widths: &[&self.outcome.trace.as_ref().unwrap().widths],
        };
        account::summarise(&run, None, Simulator::default())
    }

    fn watched(&self, log: Log) -> (Activity, Events) {
        let mut log = log;
        let outcome = self.machine().watched(self.outcome.trace.as_ref().unwrap(), 4, &mut log).unwrap();
        (outcome.activity, log.into_events())
    }
}

fn findings(label: &str, run: RunSummary) -> Findings {
    Findings { label: label.to_string(), run: Some(run), accuracy: None }
}

/// Every element that is opened is closed, innermost first.
fn is_balanced(page: &str) {
    let body = page.split("<script>").next().unwrap().to_string() + page.split("</script>").nth(1).unwrap();
    let body = body.split("<style>").next().unwrap().to_string() + body.split("</style>").nth(1).unwrap();
    let mut open = vec![];
    for part in body.split('<').skip(1) {
        let (element, _) = part.split_once('>').unwrap();
        let name = element.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
        match element.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed)),
            None if element.ends_with('/') || ["!doctype", "meta", "link", "input", "br"].contains(&name) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?} are never closed");
}

#[test]
fn a_report_is_one_page_that_needs_nothing_else() {
    let case = case();
    let run = case.summary(&case.activity());
    let page = report::report_html(&[findings("out", run.clone())]);
    is_balanced(&page);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    for outside in ["src=", "@import", "url(", "http-equiv=\"refresh\"", "<iframe", "fetch("] {
        assert!(!page.contains(outside), "{outside} would load something");
    }
    for layer in &run.layers {
        assert!(page.matches(&layer.name).count() >= 5, "{} stands in every table", layer.name);
    }
    for constant in &run.constants {
        assert!(page.contains(constant.path.rsplit('.').next().unwrap()), "{}", constant.path);
    }
    assert_eq!(page, report::report_html(&[findings("out", run)]), "the same summary gives the same page");
}

#[test]
fn a_report_is_made_of_the_file_alone() {
    let case = case();
    let run = case.summary(&case.activity());
    let folder = tempfile::tempdir().unwrap();
    report::write_summary(folder.path(), &run).unwrap();
    assert_eq!(load::summary(&folder.path().join("summary.json")).unwrap(), run, "nothing is lost on the way");
    std::fs::write(folder.path().join("summary.json"), "{\"chip\": 3}").unwrap();
    let error = load::summary(&folder.path().join("summary.json")).unwrap_err().to_string();
    assert!(error.contains("is no result of this version") && error.contains("run the command again"), "{error}");
}

#[test]
fn layers_and_components_share_the_same_energy() {
    let case = case();
    let run = case.summary(&case.activity());
    for layer in &run.layers {
        assert_eq!(layer.energy_fj, layer.energy_by_component_fj.values().sum::<u64>(), "{}", layer.name);
    }
    for (component, fj) in run.energy_by_component_fj.iter().filter(|(key, _)| *key != account::STATIC) {
        let layers = run.layers.iter().map(|layer| layer.energy_by_component_fj[component]).sum::<u64>();
        assert_eq!(*fj, layers, "{component}");
    }
    let units = run.map.units.iter().filter_map(|unit| unit.slice.as_ref());
    let (busy, energy) = units.fold((0, 0), |sum, slice| (sum.0 + slice.busy_cycles, sum.1 + slice.energy_fj));
    assert_eq!(busy, run.layers.iter().map(|layer| layer.busy_cycles).sum::<u64>());
    assert_eq!(energy, run.layers.iter().map(|layer| layer.energy_fj).sum::<u64>());
}

#[test]
fn time_steps_of_layers_add_up() {
    let case = case();
    let activity = case.activity();
    let run = case.summary(&activity);
    for (layer, steps) in run.layers.iter().zip(&run.waterfall.layers) {
        assert_eq!(layer.spikes, steps.iter().map(|step| step.spikes).sum::<u64>(), "{}", layer.name);
        assert_eq!(layer.packets, steps.iter().map(|step| step.packets).sum::<u64>(), "{}", layer.name);
        assert!(steps.iter().all(|step| step.begins <= step.fires && step.fires <= step.ends), "{}", layer.name);
        assert!(steps.windows(2).all(|pair| pair[0].fires <= pair[1].fires), "{}", layer.name);
    }
    let last = run.waterfall.layers.iter().flatten().map(|step| step.ends).max().unwrap();
    assert_eq!(last, activity.cycles);
}

#[test]
fn accuracy_and_several_runs_have_their_places() {
    let case = case();
    let run = case.summary(&case.activity());
    let row = |time_steps, top1: f64| AccuracyRow {
        time_steps,
        top1: vec![top1, top1 + 1.0],
        top5: vec![99.0, 99.0],
        loss: vec![0.5, 0.4],
    };
    let accuracy = AccuracyTable {
        images: 10,
        semantics: "exact".to_string(),
        weights: "int".to_string(),
        ann_top1: 83.9,
        ann_top5: 99.0,
        ann_loss: 0.5,
        settle: vec![0, 1],
        rows: vec![row(1, 47.5), row(2, 78.25)],
    };
    let only = Findings { label: "a".to_string(), run: None, accuracy: Some(accuracy) };
    let page = report::report_html(std::slice::from_ref(&only));
    is_balanced(&page);
    assert!(["47.5", "48.5", "78.2", "79.2", "83.9 %"].iter().all(|figure| page.contains(figure)));

    let mut other = run.clone();
    other.constants[0].value = "17".to_string();
    let page = report::report_html(&[findings("first", run.clone()), findings("sec<ond", other)]);
    is_balanced(&page);
    assert!(
        page.contains("sec&lt;ond") && page.contains("Constants that differ") && page.contains(&run.constants[0].path)
    );
    let several = report::report_html(&[only, findings("b", run)]);
    is_balanced(&several);
}

#[test]
fn who_watches_changes_nothing_and_sees_everything() {
    let case = case();
    let activity = case.activity();
    let (watched, events) = case.watched(Log::new(0..activity.cycles + 1, usize::MAX, &[TileId(35)]));
    assert_eq!(watched, activity);
    assert_eq!(events.left_out, 0);
    let fired = |slice: usize| {
        events.firings.iter().filter(|span| span.slice.index() == slice).map(|span| span.spikes).sum::<u64>()
    };
    for (slice, did) in activity.slices.iter().enumerate() {
        assert_eq!(fired(slice), did.spikes);
        let work = events.intakes.iter().chain(&events.firings).filter(|span| span.slice.index() == slice);
        assert_eq!(
            work.map(|span| span.end - span.begin).sum::<u64>(),
            did.busy_cycles,
            "slice {slice} is busy in its spans"
        );
    }
    assert!(events.flights.iter().all(|flight| flight.sent < flight.taken));
    let passed = |sample: &(u64, Vec<u64>)| sample.1.iter().sum::<u64>();
    let all = activity.link_flits.iter().sum::<u64>();
    assert!(events.samples.windows(2).all(|pair| pair[0].0 < pair[1].0 && passed(&pair[0]) <= passed(&pair[1])));
    assert!((all * 99 / 100..=all).contains(&passed(events.samples.last().unwrap())), "samples go on to the end");

    let (_, part) = case.watched(Log::new(1000..2000, 50, &[]));
    assert!(part.firings.iter().all(|span| span.begin < 2000 && span.end >= 1000));
    assert!(part.flights.len() <= 50 && part.left_out > 0, "what is too much is counted");
}

#[test]
fn a_timeline_is_a_chrome_trace() {
    let case = case();
    let activity = case.activity();
    let run = case.summary(&activity);
    let (_, events) = case.watched(Log::new(0..activity.cycles + 1, usize::MAX, &[]));
    let trace: serde_json::Value = serde_json::from_str(&report::timeline(&run, &case.program, &events)).unwrap();
    let all = trace["traceEvents"].as_array().unwrap();
    let phase = |phase: &str| all.iter().filter(|event| event["ph"] == phase).collect::<Vec<_>>();
    let tracks: Vec<_> = phase("M").into_iter().filter(|event| event["name"] == "thread_name").collect();
    assert_eq!(tracks.len(), case.program.slices.len() + 2 * run.layers.len(), "a track for each unit, two for steps");
    assert_eq!(phase("s").len(), events.flights.len());
    assert_eq!(phase("f").len(), events.flights.len());
    assert!(phase("C").iter().any(|event| event["name"] == "all links"));
    // slices of one track never overlap, so that every viewer can draw them
    let mut ends: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    let mut slices = phase("X");
    slices.sort_by(|a, b| a["ts"].as_f64().unwrap().total_cmp(&b["ts"].as_f64().unwrap()));
    for slice in slices.iter().filter(|slice| slice["cat"] != "step") {
        let track = (slice["pid"].as_u64().unwrap(), slice["tid"].as_u64().unwrap());
        let begin = slice["ts"].as_f64().unwrap();
        let end = ends.entry(track).or_insert(0.0);
        assert!(begin >= *end - 1e-9, "{slice} begins before {end}");
        *end = begin + slice["dur"].as_f64().unwrap();
    }
}

#[test]
fn a_waveform_ends_with_the_flits_that_passed() {
    let case = case();
    let activity = case.activity();
    let busiest = (0..activity.link_flits.len()).max_by_key(|&link| activity.link_flits[link]).unwrap();
    let (_, events) = case.watched(Log::new(0..activity.cycles + 1, usize::MAX, &[TileId::at(busiest / 4)]));
    let wave = report::waveform(&events, case.chip.topology.mesh.columns);
    let name = format!("out_{}_flits ", Direction::ALL[busiest % 4].key());
    let id = wave.lines().find(|line| line.contains(&name)).unwrap().split(' ').nth(3).unwrap();
    let last = wave.lines().rev().find(|line| line.starts_with('b') && line.ends_with(&format!(" {id}"))).unwrap();
    let count = u64::from_str_radix(last[1..].split(' ').next().unwrap(), 2).unwrap();
    assert_eq!(count, activity.link_flits[busiest]);
    let times: Vec<u64> =
        wave.lines().filter_map(|line| line.strip_prefix('#')).map(|time| time.parse().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "time only goes on");
}

#[test]
fn membranes_are_those_that_fired() {
    let case = case();
    let trace = case.outcome.trace.as_ref().unwrap();
    let stages = case.graph.stages.len();
    for (stage, of) in case.graph.stages.iter().enumerate().filter(|(_, stage)| stage.kind.synapses().is_some()) {
        let count = of.grid.neurons() as u32;
        let chosen: Vec<u32> = (0..8).map(|nth| nth * count / 8).filter(|neuron| *neuron < count).collect();
        let mut chosen = chosen;
        chosen.dedup();
        let probes = probe(&case.graph, trace, Schedule::SameStep, 4, StageId::at(stage), &chosen);
        assert_eq!(probes.len(), chosen.len());
        for probe in &probes {
            let held = case.outcome.values[stage].to_vec()[probe.neuron as usize];
            let mut count = 0;
            for (&before, &spike) in probe.before.iter().zip(&probe.spikes) {
                let Some(threshold) = probe.threshold.map(i64::from) else { continue };
                let expected = if before >= threshold && count < 4 {
                    1
                } else if before < 0 && count > 0 {
                    -1
                } else {
                    0
                };
                assert_eq!(spike, expected, "neuron {} of {}", probe.neuron, of.name);
                count += spike;
            }
            let last = if stage + 1 == stages { *probe.after.last().unwrap() } else { i64::from(count) };
            assert_eq!(last, held, "neuron {} of {}", probe.neuron, of.name);
        }
    }
}
