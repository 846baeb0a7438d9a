//! `--profile`: every step of the house and every stage has its time, and nothing else of a result changes.

use std::process::{Command, Output};

fn spikemesh(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikemesh"));
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).env("COLUMNS", "100").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn names(rows: &serde_json::Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn every_step_and_every_stage_has_its_time() {
    let output = spikemesh(&["demo", "-n", "2", "--json", "--profile"]);
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let profile = &run["profile"];
    let steps = ["load", "convert", "compile", "functional", "engine", "account", "report"];
    assert_eq!(names(&profile["steps"]), steps);
    let layers = names(&run["layers"]);
    assert_eq!(names(&profile["stages"]), layers, "the stages are the layers of the result");
    for row in profile["stages"].as_array().unwrap() {
        assert_eq!(row["calls"], 2, "{} runs once for each image", row["name"]);
    }
    assert_eq!(names(&profile["other_functional"]), ["float network", "integer network", "layout"]);
    let said = String::from_utf8(output.stderr).unwrap();
    for name in steps.iter().chain(&layers) {
        assert!(said.lines().any(|line| line.trim_start().starts_with(name)), "no row `{name}` in\n{said}");
    }
}

#[test]
fn nobody_who_did_not_ask_sees_a_profile() {
    let without = spikemesh(&["demo", "-n", "1", "--json", "--quiet"]);
    let run: serde_json::Value = serde_json::from_slice(&without.stdout).unwrap();
    assert!(run.get("profile").is_none());
    assert!(without.stderr.is_empty());
    let table = |args: &[&str]| spikemesh(args).stdout;
    assert_eq!(table(&["demo", "-n", "1"]), table(&["demo", "-n", "1", "--profile"]), "standard output is the same");
}
