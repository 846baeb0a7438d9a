//! The binary as people use it: results on standard output, faults on standard error, exit status as documented.

use spikemesh::convert::{self, Precision};
use spikemesh::functional::{Options, Semantics, Settle, Spiking};
use spikemesh::trace::{Schedule, Trace};
use spikemesh::{load, report, sample};
use std::path::Path;
use std::process::{Command, Output};

/// Runs the binary in the package's folder, so that paths in its answers are those that were given.
fn spikemesh(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikemesh"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("COLUMNS", "100").args(args);
    command.output().unwrap()
}

fn json(args: &[&str]) -> serde_json::Value {
    let output = spikemesh(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(args: &[&str]) -> String {
    let output = spikemesh(args);
    assert_eq!(output.status.code(), Some(2), "wrong input is exit status 2");
    assert!(output.stdout.is_empty(), "nothing is printed as a result");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_demo_agrees_with_the_trained_network_and_adds_up() {
    let run = json(&["demo", "-n", "2", "--json"]);
    assert_eq!(run["agreement"]["all_equal"], true);
    let sum = |list: &mut dyn Iterator<Item = &serde_json::Value>| list.map(|fj| fj.as_u64().unwrap()).sum::<u64>();
    let components = run["energy_by_component_fj"].as_object().unwrap();
    let layers = sum(&mut run["layers"].as_array().unwrap().iter().map(|layer| &layer["energy_fj"]));
    assert_eq!(run["energy_fj"].as_u64().unwrap(), sum(&mut components.values()));
    assert_eq!(run["energy_fj"].as_u64().unwrap(), layers + components["static"].as_u64().unwrap());
}

#[test]
fn traffic_is_told_rate_by_rate_with_latencies_and_the_load_of_every_link() {
    for pattern in ["uniform", "transpose", "bit-complement", "tornado", "neighbour", "hotspot"] {
        let told = json(&[
            "noc",
            "--chip",
            "loihi",
            "--traffic",
            pattern,
            "--rate",
            "0.001",
            "--seed",
            "1,2",
            "--measure",
            "4000",
            "--json",
        ]);
        assert_eq!((told["chip"].as_str(), told["traffic"].as_str()), (Some("loihi"), Some(pattern)));
        let points = told["points"].as_array().unwrap();
        assert_eq!(points.iter().map(|point| point["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
        for point in points {
            let of = |key: &str| point[key].as_f64().unwrap_or_else(|| panic!("{key} is missing"));
            assert!(of("offered") > 0.0 && of("accepted") > 0.0);
            let latencies = ["latency_p50", "latency_p99", "latency_max"].map(of);
            assert!(of("latency_mean") > 0.0 && latencies.is_sorted(), "{latencies:?}");
            assert_eq!(point["link_load"].as_array().unwrap().len(), 4 * 8 * 4, "four links of each tile");
        }
    }
}

#[test]
fn live_and_replay_and_any_number_of_threads_give_the_same_summary() {
    let stable = |args: &[&str]| {
        let mut run = json(args);
        let fields = run.as_object_mut().unwrap();
        ["simulator", "origin", "drive", "live_equal"].iter().for_each(|key| assert!(fields.remove(*key).is_some()));
        run
    };
    let replay = stable(&["demo", "-n", "3", "--json", "--threads", "1"]);
    assert_eq!(replay, stable(&["demo", "-n", "3", "--json", "--threads", "2"]));
    assert_eq!(replay, stable(&["demo", "-n", "3", "--json", "--live"]));
}

/// The embedded network on the first of its pictures, as `traces/README.md` says.
fn recorded() -> Trace {
    let network = sample::network(sample::SEED).unwrap();
    let graph = convert::quantise(&convert::fold(&network).unwrap(), &Precision::default()).unwrap();
    let options = Options {
        time_steps: 4,
        settle: Settle::ToSilence,
        semantics: Semantics::EXACT,
        schedule: Schedule::SameStep,
        record: true,
        hold_every: None,
    };
    let image = Spiking::new(&graph).run(sample::images(sample::SEED, 1).image(0), &options).unwrap().trace.unwrap();
    let (skeleton, fingerprint) = (graph.skeleton(), convert::fingerprint(&graph));
    Trace { skeleton, fingerprint, time_steps: 4, schedule: Schedule::SameStep, images: vec![image] }
}

#[test]
fn the_recorded_trace_is_that_of_the_embedded_network() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/sample.safetensors");
    if std::env::var_os("SPIKEMESH_REWRITE").is_some() {
        report::write_trace(&file, &recorded()).unwrap();
    }
    assert_eq!(load::trace(&file).unwrap(), recorded());
}

#[test]
fn the_recorded_trace_costs_what_it_did() {
    let run = json(&["run", "--trace", "traces/sample.safetensors", "--chip", "mesh28", "--json"]);
    let figures: Vec<String> = ["network", "images", "time_steps", "cycles_per_image", "energy_fj", "actions"]
        .map(|key| format!("{key}: {}", run[key]))
        .to_vec();
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("recorded_trace_on_mesh28", figures.join("\n"));
    });
    let other = refusal(&[
        "run",
        "--trace",
        "traces/sample.safetensors",
        "--chip",
        "mesh28",
        "--set",
        "step.discipline=barrier",
    ]);
    assert!(other.contains("record it again with --schedule next-step"), "{other}");
}

#[test]
fn results_lie_whole_in_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/out");
    let output = spikemesh(&["demo", "-n", "1", "--out", out.to_str().unwrap()]);
    assert!(output.status.success());
    let names = |path: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&out), ["layers.csv", "report.html", "summary.json"], "and no temporary file");
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    let layers = std::fs::read_to_string(out.join("layers.csv")).unwrap();
    assert_eq!(layers.lines().count(), summary["layers"].as_array().unwrap().len() + 1);
}

#[test]
fn every_built_in_chip_is_listed_and_explained() {
    let list = String::from_utf8(spikemesh(&["chips"]).stdout).unwrap();
    for chip in ["mesh28", "loihi"] {
        assert!(list.contains(chip));
        let explained = String::from_utf8(spikemesh(&["chips", chip]).stdout).unwrap();
        assert!(explained.contains("topology.core.neurons") && explained.contains("energy.synaptic_op_pj"));
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_a_remedy() {
    let all: Vec<String> = [
        &["check", "no.safetensors", "--images", "no.bin", "--time-steps", "0"][..],
        &["check", "src", "--images", "no.bin"],
        &["accuracy", "no.safetensors", "--images", "no.bin", "--time-steps", "8..1"],
        &["run", "--trace", "traces/sample.safetensors", "--chip", "mesh29"],
        &["run", "--trace", "traces/sample.safetensors", "--chip", "mesh28", "--weight-bits", "4"],
        &["run", "--trace", "traces/sample.safetensors", "--chip", "loihi"],
        &["chips", "mesh28", "--set", "mesh.colums=32"],
        &["chips", "mesh28", "--set", "mesh.columns=0"],
    ]
    .iter()
    .map(|args| format!("$ spikemesh {}\n{}", args.join(" "), refusal(args)))
    .collect();
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("refused_command_lines", all.join("\n"));
    });
}

#[test]
fn the_real_network_agrees_through_the_command_line() {
    let Some(network) = crate::shared::path("models/cifar10-d128-b2.safetensors") else { return };
    let Some(images) = crate::shared::path("data/cifar10-test-1000.bin") else { return };
    let (network, images) = (network.to_str().unwrap(), images.to_str().unwrap());
    let checked = json(&["check", network, "--images", images, "-n", "10", "--time-steps", "2", "--json"]);
    assert_eq!(checked["all_equal"], true);
    assert_eq!(checked["snn_top1"], checked["quantised_ann_top1"]);
    for layer in checked["layers"].as_array().unwrap() {
        assert_eq!(layer["neurons"], layer["equal_neurons"]);
    }
    let run = json(&["run", network, "--images", images, "-n", "1", "--chip", "mesh28", "--live", "--json"]);
    assert_eq!((&run["live_equal"], &run["agreement"]["all_equal"]), (&true.into(), &true.into()));
}
