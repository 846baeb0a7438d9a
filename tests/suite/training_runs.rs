//! Training as people use it: what a run leaves, how it is stopped and taken up again, and what keeps it from going on.

use crate::pytorch_checkpoints;
use spikemesh::checkpoint::Checkpoint;
use spikemesh::network::{Network, Tensor};
use spikemesh::{load, report};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// An experiment that takes five steps an epoch, in the published code's format and by its names.
const SPEC: &str = "action: train\nid: tiny\ndata: data\ndim: 8\nnum_heads: 1\ndepth: 1\nmlp_ratio: 2\nbs: 8\nlr: 3e-3\n\
                    epochs: 3\ncutout: 4\nauto_augment: true\n";

/// A folder with forty grey pictures to train on and ten to test with, 16 × 16 pixels, of two classes.
fn place() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mut draws = spikemesh::random::Draws::new(3);
    for (part, count) in [("train", 40u32), ("t10k", 10)] {
        let head = [0x803, count, 16, 16].map(u32::to_be_bytes).concat();
        let pixels: Vec<u8> =
            (0..count * 256).map(|at| (draws.below(100) + 100 * u64::from(at / 256 % 2)) as u8).collect();
        std::fs::write(data.join(format!("{part}-images-idx3-ubyte")), [head, pixels].concat()).unwrap();
        let head = [0x801, count].map(u32::to_be_bytes).concat();
        let labels: Vec<u8> = (0..count).map(|at| (at % 2) as u8).collect();
        std::fs::write(data.join(format!("{part}-labels-idx1-ubyte")), [head, labels].concat()).unwrap();
    }
    folder
}

/// `spikemesh train` in the folder, on [`SPEC`] with these knobs added or replaced.
fn command(folder: &TempDir, knobs: &[&str], args: &[&str]) -> Command {
    let key = |line: &str| line.split(':').next().unwrap_or_default().to_string();
    let kept = SPEC.lines().filter(|line| !knobs.iter().any(|knob| key(knob) == key(line)));
    let text: Vec<&str> = kept.chain(knobs.iter().copied()).collect();
    std::fs::write(folder.path().join("spec.yml"), text.join("\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikemesh"));
    command.current_dir(folder.path()).args(["train", "spec.yml"]).args(args);
    command
}

fn train(folder: &TempDir, knobs: &[&str], args: &[&str]) -> Output {
    command(folder, knobs, args).output().unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn checkpoint(folder: &TempDir, run: &str) -> Checkpoint {
    load::checkpoint(&folder.path().join(run).join("last.safetensors")).unwrap()
}

#[test]
fn a_run_leaves_its_networks_its_log_and_its_curves() {
    let folder = place();
    let said = done(&train(&folder, &[], &["--out", "run"]));
    assert!(said.starts_with("3 epochs, best top-1 "), "{said}");
    let run = folder.path().join("run");
    assert_eq!(names(&run), ["best.safetensors", "curves.svg", "last.safetensors", "log.csv"], "and no temporary file");
    let log = std::fs::read_to_string(run.join("log.csv")).unwrap();
    let lines: Vec<Vec<&str>> = log.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["epoch", "step", "learning_rate", "train_loss", "train_top1", "test_loss", "test_top1"]);
    let column = |at: usize| lines[1..].iter().map(|line| line[at].parse::<f64>().unwrap()).collect::<Vec<_>>();
    assert_eq!((column(0), column(1)), (vec![1.0, 2.0, 3.0], vec![5.0, 10.0, 15.0]));
    let curves = std::fs::read_to_string(run.join("curves.svg")).unwrap();
    let points = curves.split("<polyline points=\"").skip(1).map(|line| line.split('"').next().unwrap());
    assert_eq!(
        points.map(|points| points.split(' ').count()).collect::<Vec<_>>(),
        [3; 4],
        "four curves of three epochs"
    );
    let last = checkpoint(&folder, "run");
    assert_eq!(last.standing.epochs.iter().map(|epoch| epoch.test_loss).collect::<Vec<_>>(), column(5));
    assert_eq!(last.standing.best, column(6).into_iter().fold(0.0, f64::max));
    assert_eq!(last.network.architecture.name, "tiny");
    assert_eq!(load::network(&run.join("best.safetensors"), None).unwrap().architecture, last.network.architecture);
}

#[test]
fn nothing_is_kept_that_is_not_asked_for() {
    let folder = place();
    done(&train(&folder, &["epochs: 1", "save: False"], &["--out", "run"]));
    assert_eq!(names(&folder.path().join("run")), ["curves.svg", "log.csv"]);
    done(&train(&folder, &["epochs: 1", "save_acc: 100"], &["--out", "other"]));
    assert!(!folder.path().join("other/best.safetensors").exists(), "no top-1 exceeds 100 %");
}

#[test]
fn a_run_that_is_stopped_again_and_again_ends_as_an_unbroken_one() {
    let folder = place();
    done(&train(&folder, &["epochs: 1"], &["--out", "whole"]));
    let whole = checkpoint(&folder, "whole");
    for step in 1..=5 {
        let inherit: &[&str] = if step > 1 { &["--inherit"] } else { &[] };
        let last = format!("steps: {step}");
        let said = done(&train(&folder, &["epochs: 1", &last], &[&["--out", "pieces"], inherit].concat()));
        assert_eq!(said.starts_with(&format!("stopped after step {step} of 5, mean loss ")), step < 5, "{said}");
    }
    let pieces = checkpoint(&folder, "pieces");
    assert_eq!((pieces.network, pieces.moments), (whole.network, whole.moments));
    assert_eq!((pieces.standing.step, pieces.standing.epochs), (whole.standing.step, whole.standing.epochs));
}

#[test]
fn ctrl_c_stops_a_run_so_that_it_can_go_on() {
    let folder = place();
    let mut command = command(&folder, &["epochs: 20000"], &["--out", "run"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("epoch 1: loss "), "{first}");
    let asked = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let step = checkpoint(&folder, "run").standing.step;
    assert!(step >= 5);
    assert!(said.starts_with(&format!("stopped after step {step} of 100000, mean loss ")), "{said}");
    let said = done(&train(&folder, &["epochs: 20000", "minutes: 0", "inherit: True"], &["--out", "run"]));
    assert!(said.starts_with(&format!("stopped after step {} of 100000, mean loss ", step + 1)), "{said}");
}

/// A checkpoint as the published code saves one: `{'model': …, 'optimizer': {}}`.
fn published(path: &Path, network: &Network) {
    let (mut files, mut described) = (vec![], vec![]);
    for (at, (name, Tensor { shape, values })) in network.tensors.iter().enumerate() {
        let strides = (0..shape.len()).map(|at| shape[at + 1..].iter().product::<usize>() as u8);
        let (shape, strides): (Vec<u8>, Vec<u8>) = (shape.iter().map(|&side| side as u8).collect(), strides.collect());
        let key = at.to_string();
        described.push((name.as_str(), pytorch_checkpoints::tensor("FloatStorage", &key, [&[0], &shape, &strides])));
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        files.push((format!("run/data/{key}"), bytes));
    }
    let pickle = pytorch_checkpoints::checkpoint(&described);
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone()));
    let all: Vec<(&str, Vec<u8>)> = std::iter::once(("run/data.pkl", pickle)).chain(files).collect();
    std::fs::write(path, pytorch_checkpoints::archive(&all)).unwrap();
}

#[test]
fn a_run_starts_from_a_published_checkpoint_or_a_bundle() {
    let folder = place();
    done(&train(&folder, &["epochs: 1"], &["--out", "first"]));
    let first = checkpoint(&folder, "first").network;
    published(&folder.path().join("first.pt"), &first);
    let is_kept = |name: &str| name.ends_with(".running_mean") || name.ends_with(".running_var");
    let mut ends = vec![];
    for (at, path) in ["first.pt", "first/best.safetensors", "first/last.safetensors"].into_iter().enumerate() {
        let (path, out) = (format!("model_path: {path}"), format!("next{at}"));
        // at a rate of 0 only the running moments change
        done(&train(&folder, &["epochs: 1", "lr: 0", &path], &["--out", &out]));
        let next = checkpoint(&folder, &out).network;
        for (name, tensor) in &next.tensors {
            assert_eq!(tensor == &first.tensors[name], !is_kept(name), "{path}: {name}");
        }
        ends.push(next);
    }
    assert!(ends.iter().all(|end| *end == ends[0]));
}

#[test]
fn a_run_whose_loss_is_no_number_keeps_what_it_had() {
    let folder = place();
    done(&train(&folder, &["epochs: 2"], &["--out", "run"]));
    let mut last = checkpoint(&folder, "run");
    (last.standing.step, last.standing.experiment.epochs) = (5, 3);
    last.standing.epochs.truncate(1);
    last.network.tensors.get_mut("head.weight").unwrap().values.fill(3e38);
    let path = folder.path().join("run/last.safetensors");
    report::write_checkpoint(&path, &last).unwrap();
    let before = ["last.safetensors", "best.safetensors"].map(|name| std::fs::read(path.with_file_name(name)).unwrap());
    let output = train(&folder, &[], &["--out", "run", "--inherit"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the loss of step 6 is not a number (learning rate "), "{said}");
    let after = ["last.safetensors", "best.safetensors"].map(|name| std::fs::read(path.with_file_name(name)).unwrap());
    assert_eq!(before, after, "the checkpoints are as they were");
}

#[test]
fn a_full_disk_stops_a_run_and_spoils_nothing() {
    let folder = place();
    done(&train(&folder, &["epochs: 1"], &["--out", "run"]));
    let path = folder.path().join("run/last.safetensors");
    let before = std::fs::read(&path).unwrap();
    let mut last = checkpoint(&folder, "run");
    last.standing.experiment.epochs = 3;
    report::write_checkpoint(&path, &last).unwrap();
    let kept = std::fs::read(&path).unwrap();
    assert_ne!(before, kept);
    let program = command(&folder, &[], &["--out", "run", "--inherit"]);
    let arguments: Vec<_> = program.get_args().map(|argument| argument.to_str().unwrap()).collect();
    // files of at most eight blocks of 512 bytes: the log has room, a checkpoint has not
    let limited =
        format!("trap '' XFSZ; ulimit -f 8; exec {} {}", env!("CARGO_BIN_EXE_spikemesh"), arguments.join(" "));
    let output = Command::new("sh").current_dir(folder.path()).args(["-c", &limited]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("run/last.safetensors: cannot be written ("), "{said}");
    assert!(said.contains("check that its folder exists and has room"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), kept, "the last good checkpoint is whole");
    assert_eq!(names(&folder.path().join("run")), ["best.safetensors", "curves.svg", "last.safetensors", "log.csv"]);
}

fn refusal(folder: &TempDir, knobs: &[&str], args: &[&str]) -> String {
    let output = train(folder, knobs, args);
    assert_eq!(output.status.code(), Some(2), "wrong input is exit status 2");
    format!("$ {} # {}\n{}", args.join(" "), knobs.join(", "), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_cannot_be_trained_is_refused_with_a_remedy() {
    let folder = place();
    done(&train(&folder, &["epochs: 1"], &["--out", "run"]));
    let small: PathBuf = folder.path().join("small.safetensors");
    report::write_bundle(&small, &load::network(&folder.path().join("run/best.safetensors"), None).unwrap()).unwrap();
    let cases: [(&[&str], &[&str]); 9] = [
        (&["dim: 16", "model_path: small.safetensors"], &["--out", "other"]),
        (&["model_path: none.pt"], &["--out", "other"]),
        (&["device: gpu"], &["--out", "other"]),
        (&["data: nowhere"], &["--out", "other"]),
        (&["data: digits:3"], &["--out", "other"]),
        (&["bs: 41"], &["--out", "other"]),
        (&[], &["--out", "other", "--inherit"]),
        (&[], &["--out", "run"]),
        (&["lr: 1", "seed: 7"], &["--out", "run", "--inherit"]),
    ];
    let all: Vec<String> = cases.iter().map(|(knobs, args)| refusal(&folder, knobs, args)).collect();
    insta::with_settings!({
        snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true
    }, { insta::assert_snapshot!("refused_training", all.join("\n")); });
}
