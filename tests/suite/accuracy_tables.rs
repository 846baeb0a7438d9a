//! Loss, top-1 and top-5 by T and settle steps: as text, as CSV and as a heat map, in either semantics, for either pool.

use spikemesh::convert::{self, Precision};
use spikemesh::functional::{self, Options, Semantics, Settle, Spiking};
use spikemesh::images::Images;
use spikemesh::load::reference::Transformer;
use spikemesh::network::{Network, Op};
use spikemesh::trace::Schedule;
use spikemesh::{load, report, sample};
use std::path::Path;
use std::process::Command;

/// A network with seeded weights and average-pools.
fn average_pooled() -> Network {
    let mut layers = Transformer { dim: 32, heads: 1, depth: 1, average: true, ..Transformer::default() }.layers();
    (layers.input.height, layers.input.width) = (sample::SIZE, sample::SIZE);
    assert_eq!(layers.layers.iter().filter(|layer| matches!(layer.op, Op::AvgPool { .. })).count(), 2);
    let tensors = sample::tensors(&layers, 5);
    load::assemble(layers, tensors).unwrap()
}

fn spikemesh(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikemesh"));
    let output = command.current_dir(folder).env("COLUMNS", "100").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Top-1 and top-5 in percent, and mean cross-entropy, straight from their definitions.
fn scored(logits: &[Vec<f32>], labels: &[u32]) -> [f64; 3] {
    let (mut top1, mut top5, mut loss) = (0.0, 0.0, 0.0);
    for (logits, &label) in logits.iter().zip(labels) {
        let own = logits[label as usize];
        // of equal logits the first one counts as larger
        let before = logits.iter().enumerate().filter(|(at, other)| (**other, label as usize) > (own, *at)).count();
        top1 += f64::from(u8::from(before == 0));
        top5 += f64::from(u8::from(before < 5));
        let sum: f64 = logits.iter().map(|&other| f64::from(other - own).exp()).sum();
        loss += sum.ln();
    }
    let share = |count: f64| count * 100.0 / labels.len() as f64;
    [share(top1), share(top5), loss / labels.len() as f64]
}

/// The scores of a spiking run with so many steps, image by image.
fn cell(network: &Network, images: &Images, semantics: Semantics, time_steps: u32, settle: u32) -> [f64; 3] {
    let graph = convert::quantise(&convert::fold(network).unwrap(), &Precision::default()).unwrap();
    let settle = Settle::Steps(settle);
    let options =
        Options { time_steps, settle, semantics, schedule: Schedule::SameStep, record: false, hold_every: None };
    let spiking = Spiking::new(&graph);
    let logits = (0..images.len()).map(|at| {
        let steps = spiking.run(images.image(at), &options).unwrap().logits_by_step;
        steps.last().unwrap().iter().map(|sum| sum / time_steps as f32).collect()
    });
    scored(&logits.collect::<Vec<Vec<f32>>>(), &images.labels)
}

fn near(found: [f64; 3], wanted: [f64; 3], what: &str) {
    let is = found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-4 * wanted.abs().max(1.0));
    assert!(is, "{what}: {found:?} where {wanted:?} is wanted");
}

/// A folder with `net.safetensors` and `images.bin`, and what they hold.
fn written() -> (tempfile::TempDir, Network, Images) {
    let folder = tempfile::tempdir().unwrap();
    let (network, images) = (average_pooled(), sample::digits(2, 1, 12));
    report::write_bundle(&folder.path().join("net.safetensors"), &network).unwrap();
    report::write_images(&folder.path().join("images.bin"), &images).unwrap();
    (folder, network, images)
}

#[test]
fn every_cell_of_a_table_is_the_score_of_its_run() {
    let (folder, network, images) = written();
    let ann = scored(&functional::float_ann(&network, &images).unwrap(), &images.labels);
    for (name, semantics) in [("exact", Semantics::EXACT), ("reference", Semantics::REFERENCE)] {
        let table =
            ["accuracy", "net.safetensors", "--images", "images.bin", "--time-steps", "1,3", "--settle", "0..2"];
        let text = spikemesh(folder.path(), &[&table[..], &["--semantics", name, "--out", name]].concat());
        for title in ["top-1 in percent", "top-5 in percent", "loss"] {
            assert!(text.lines().any(|line| line == title), "{title} is missing:\n{text}");
        }
        let csv = std::fs::read_to_string(folder.path().join(name).join("accuracy.csv")).unwrap();
        let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
        let scores = |line: &[&str]| [4, 5, 6].map(|at| line[at].parse::<f64>().unwrap());
        assert_eq!(lines[0][2..], ["time_steps", "settle_steps", "top1_percent", "top5_percent", "loss"]);
        near(scores(&lines[1]), ann, "float ANN");
        let places: Vec<[u32; 2]> = lines[2..].iter().map(|l| [l[2].parse().unwrap(), l[3].parse().unwrap()]).collect();
        assert_eq!(places, [[1, 0], [1, 1], [1, 2], [3, 0], [3, 1], [3, 2]]);
        let svg = std::fs::read_to_string(folder.path().join(name).join("accuracy.svg")).unwrap();
        assert_eq!(svg.matches("<rect ").count(), 1 + places.len(), "the ground, and a cell for each");
        for (&[time_steps, settle], line) in places.iter().zip(&lines[2..]) {
            let what = format!("{name}, T = {time_steps}, {settle} settle steps");
            near(scores(line), cell(&network, &images, semantics, time_steps, settle), &what);
            let top1 = scores(line)[0];
            assert!(
                svg.contains(&format!(">{top1:.1}</text>")) && text.contains(&format!("{top1:.1}")),
                "{what}: {top1}"
            );
        }
    }
}

#[test]
fn without_settle_steps_every_row_is_still_the_score_of_its_run() {
    let (folder, network, images) = written();
    for (name, semantics) in [("exact", Semantics::EXACT), ("reference", Semantics::REFERENCE)] {
        let table = ["accuracy", "net.safetensors", "--images", "images.bin", "--time-steps", "5,1,3", "--settle", "0"];
        let said = spikemesh(folder.path(), &[&table[..], &["--semantics", name, "--json"]].concat());
        let found: serde_json::Value = serde_json::from_str(&said).unwrap();
        let rows = found["rows"].as_array().unwrap();
        assert_eq!(rows.iter().map(|row| row["time_steps"].as_u64().unwrap()).collect::<Vec<_>>(), [5, 1, 3]);
        for row in rows {
            let time_steps = row["time_steps"].as_u64().unwrap() as u32;
            let scores = ["top1", "top5", "loss"].map(|score| row[score][0].as_f64().unwrap());
            let what = format!("{name}, T = {time_steps}");
            near(scores, cell(&network, &images, semantics, time_steps, 0), &what);
        }
    }
}

#[test]
fn average_pools_are_exact_too() {
    let folder = tempfile::tempdir().unwrap();
    report::write_bundle(&folder.path().join("net.safetensors"), &average_pooled()).unwrap();
    report::write_images(&folder.path().join("images.bin"), &sample::digits(2, 1, 3)).unwrap();
    let said = spikemesh(folder.path(), &["check", "net.safetensors", "--images", "images.bin", "--json"]);
    let checked: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(checked["all_equal"], true);
}
