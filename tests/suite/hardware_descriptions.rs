//! The built-in hardware descriptions are whole, sourced, and roomy enough; a set changes one constant.

use spikemesh::constants::{ENERGY, prices, sections, unit};
use spikemesh::hardware::{Discipline, Hardware, Multicast, UnitKind};
use spikemesh::load;
use std::path::Path;

fn preset(name: &str, sets: &[&str]) -> Hardware {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    load::hardware(Path::new(name), &sets).unwrap_or_else(|error| panic!("{error}"))
}

fn units(hardware: &Hardware) -> [usize; 5] {
    let units = hardware.topology.units();
    UnitKind::ALL.map(|kind| units.iter().filter(|unit| unit.kind == kind).count())
}

#[test]
fn the_built_in_chips_have_the_units_that_they_claim() {
    assert_eq!(units(&preset("mesh28", &[])), [206, 16, 20, 10, 4]);
    assert_eq!(units(&preset("loihi", &[])), [128, 0, 0, 0, 1]);
}

#[test]
fn every_constant_has_value_sentence_and_source() {
    for (name, _) in load::PRESETS {
        let hardware = preset(name, &[]);
        assert_eq!(hardware.name, name);
        let constants = hardware.constants();
        assert_eq!(constants.len(), hardware.sources.len());
        for constant in constants {
            let source = constant.source.trim();
            assert!(!source.is_empty() && !constant.value.is_empty() && !constant.sentence.is_empty(), "{constant:?}");
        }
    }
}

#[test]
fn a_listing_shows_values_as_the_file_does() {
    let hardware = preset("loihi", &["clock.mhz=20000"]);
    let row = |path: &str| hardware.constants().into_iter().find(|constant| constant.path == path).unwrap();
    assert_eq!(row("energy.synaptic_op_pj").value, "23.6");
    assert_eq!(row("energy.synaptic_op_pj").unit, "pJ");
    assert_eq!(row("energy.synaptic_op_pj").source, "[D18]");
    assert_eq!(row("timing.step.discipline").value, "barrier");
    assert_eq!(
        (row("timing.clock.mhz").value.as_str(), row("timing.clock.mhz").source.as_str()),
        ("20000", "--set clock.mhz=20000")
    );
    assert!(hardware.references["D18"].contains("Davies"));
}

#[test]
fn a_set_changes_one_constant_and_nothing_else() {
    let (plain, mut changed) =
        (preset("mesh28", &[]), preset("mesh28", &["mesh.columns=32", "noc.multicast=unicast", "discipline=barrier"]));
    assert_eq!(changed.topology.mesh.columns, 32);
    assert_eq!(changed.topology.noc.multicast, Multicast::Unicast);
    assert_eq!(changed.timing.step.discipline, Discipline::Barrier);
    changed.topology.mesh.columns = 16;
    changed.topology.noc.multicast = Multicast::Tree;
    changed.timing.step.discipline = Discipline::Tokens;
    changed.sources.clone_from(&plain.sources);
    assert_eq!(changed, plain);
}

/// The tables of all constants, as they stand in the documentation.
fn tables() -> String {
    let mut text = String::new();
    for (path, fields) in sections() {
        text += &format!("\n### `{path}`\n\n| key | unit | may be | what it is |\n|---|---|---|---|\n");
        for field in fields {
            let (key, may_be, sentence) = (field.key, field.range.describe(), field.sentence);
            text += &format!("| `{key}` | {} | {may_be} | {sentence} |\n", unit(key));
        }
    }
    text += &format!(
        "\n### `{ENERGY}`\n\nAll from 0, with at most three decimals.\n\n| key | unit | the price of |\n|---|---|---|\n"
    );
    for (key, sentence) in prices() {
        text += &format!("| `{key}` | {} | {sentence} |\n", unit(&key));
    }
    text + "\n"
}

#[test]
fn the_documentation_explains_every_constant() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("hwmodels/README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- constants -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of constants -->").unwrap();
    let wanted = format!("{before}<!-- constants -->\n{}<!-- end of constants -->{after}", tables());
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        std::fs::write(path, &wanted).unwrap();
    } else {
        assert!(text == wanted, "hwmodels/README.md is out of date: run this test with INSTA_UPDATE=always");
    }
}

#[test]
fn every_constant_says_of_which_node_it_is_and_whether_it_is_marginal() {
    let row = |chip: &str, path: &str| {
        let constant = preset(chip, &[]).constants().into_iter().find(|constant| constant.path == path).unwrap();
        (constant.node, constant.basis)
    };
    let words = |node: &str, basis: &str| (node.to_string(), basis.to_string());
    assert_eq!(row("loihi", "energy.synaptic_op_pj"), words("14 nm, 0.75 V", "marginal"));
    assert_eq!(row("truenorth", "energy.synaptic_op_pj"), words("28 nm", "whole-chip average"));
    assert_eq!(row("truenorth", "energy.spike_pj"), words("", "contained in another"));
    assert_eq!(row("mesh28", "energy.softmax_exp_pj"), words("", "assumed"));
    assert_eq!(row("mesh28", "topology.core.lanes".replace("topology", "timing").as_str()), words("", "chosen"));
    for (name, _) in load::PRESETS {
        for constant in preset(name, &[]).constants() {
            assert!(!constant.basis.is_empty(), "{name}: {constant:?}");
        }
    }
}

#[test]
fn a_file_with_an_unsourced_constant_is_refused_by_chips() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chip.ron");
    let text =
        load::preset("loihi").unwrap().replace("synaptic_op_pj: (23.6, \"D18\")", "synaptic_op_pj: (23.6, \"\")");
    std::fs::write(&file, text).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_spikemesh")).arg("chips").arg(&file).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let error = String::from_utf8(output.stderr).unwrap().replace(&file.display().to_string(), "chip.ron");
    insta::assert_snapshot!(
        error,
        @"error: chip.ron:127:32: `energy.synaptic_op_pj` has no source; write where its value comes from, in quotes, or that it is a design choice"
    );
}
