//! What people read when a file is not what it should be: the whole text of every error.

use crate::files_written_and_read::{small_network, tensors};
use spikemesh::load::{self, LoadError};
use spikemesh::network::{Network, Tensor};
use spikemesh::report;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Compares an error with its golden text, in which files have no folder.
pub fn golden<T>(name: &str, folder: &TempDir, result: Result<T, LoadError>) {
    let text = result.err().unwrap_or_else(|| panic!("{name} was taken")).to_string();
    let text = text.replace(&format!("{}/", folder.path().display()), "");
    insta::with_settings!({
        snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true
    }, { insta::assert_snapshot!(name, text) });
}

fn file(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The bytes of a sound bundle, changed.
fn damaged(name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    report::write_bundle(&path, &small_network()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    damage(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    golden(name, &folder, load::network(&path, None));
}

/// A bundle that is sound as a file, and whose contents are changed.
fn untrue(name: &str, change: impl FnOnce(&mut Network)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let mut network = small_network();
    change(&mut network);
    report::write_bundle(&path, &network).unwrap();
    golden(name, &folder, load::network(&path, None));
}

fn tensor<'n>(network: &'n mut Network, name: &str) -> &'n mut Tensor {
    network.tensors.get_mut(name).unwrap()
}

#[test]
fn checkpoint_that_is_cut_off() {
    damaged("checkpoint_cut_off", |bytes| bytes.truncate(bytes.len() - 1000));
    damaged("checkpoint_cut_off_in_its_header", |bytes| bytes.truncate(100));
    damaged("checkpoint_with_bytes_left_over", |bytes| bytes.extend([0; 16]));
    damaged("checkpoint_of_four_bytes", |bytes| bytes.truncate(4));
    damaged("checkpoint_that_is_empty", Vec::clear);
}

#[test]
fn checkpoint_that_is_corrupt() {
    damaged("checkpoint_with_a_corrupt_header", |bytes| bytes[9] = b'{');
    damaged("checkpoint_that_claims_2_to_the_60_bytes", |bytes| {
        bytes[..8].copy_from_slice(&(1u64 << 60).to_le_bytes())
    });
    damaged("checkpoint_that_is_a_pickle", |bytes| bytes[..4].copy_from_slice(b"PK\x03\x04"));
    damaged("checkpoint_with_a_tensor_of_2_to_the_60_bytes", |bytes| {
        let header =
            format!("{{\"w\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[0,{}]}}}}", 1u64 << 58, 1u64 << 60);
        *bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    });
}

#[test]
fn checkpoint_that_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("nets");
    std::fs::create_dir(&directory).unwrap();
    golden("checkpoint_that_is_a_directory", &folder, load::network(&directory, None));
    golden("checkpoint_that_does_not_exist", &folder, load::network(&folder.path().join("net.safetensors"), None));
}

#[test]
fn tensors_that_do_not_fit_the_layers() {
    untrue("tensor_missing", |network| drop(network.tensors.remove("head.weight")));
    untrue("tensor_misshaped", |network| tensor(network, "block.0.mlp.fc1_bn.weight").shape = vec![16, 8]);
    untrue("tensor_misspelt", |network| {
        let up = network.tensors.remove("block.0.attn.q_relu.up").unwrap();
        network.tensors.insert("block.0.attn.q_relu.upp".to_string(), up);
    });
    untrue("tensor_of_no_layer", |network| {
        network.tensors.insert("optimizer.momentum".to_string(), Tensor { shape: vec![1], values: vec![0.0] });
    });
}

#[test]
fn values_that_cannot_be() {
    untrue("weights_that_are_nan", |network| tensor(network, "head.weight").values[7..9].fill(f32::NAN));
    untrue("weights_that_are_infinite", |network| tensor(network, "head.bias").values[0] = f32::NEG_INFINITY);
    untrue("lambda_of_zero", |network| tensor(network, "patch_embed.proj_relu.up").values[0] = 0.0);
    untrue("lambda_below_zero", |network| tensor(network, "patch_embed.proj_relu.up").values[0] = -4.0);
    untrue("variance_below_zero", |network| tensor(network, "patch_embed.rpe_bn.running_var").values[3] = -0.5);
    untrue("many_faults_at_once", |network| {
        tensor(network, "head.weight").values[0] = f32::NAN;
        tensor(network, "block.0.attn.v_relu.up").values[0] = -1.0;
        network.tensors.remove("head.bias");
        tensor(network, "patch_embed.proj_conv.weight").shape = vec![4, 27];
    });
}

#[test]
fn checkpoint_with_whole_numbers_for_weights() {
    let folder = tempfile::tempdir().unwrap();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::I32, vec![2], &[0; 8]).unwrap();
    let bytes = safetensors::serialize([("patch_embed.proj_conv.weight", view)], None).unwrap();
    let path = file(&folder, "net.safetensors", bytes);
    golden("tensor_of_whole_numbers", &folder, load::network(&path, None));
}

#[test]
fn checkpoint_that_says_nothing_of_its_layers() {
    let folder = tempfile::tempdir().unwrap();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &[0; 8]).unwrap();
    let bytes = safetensors::serialize([("conv1.weight", view)], None).unwrap();
    let path = file(&folder, "net.safetensors", bytes);
    golden("checkpoint_without_layers", &folder, load::network(&path, None));
}

const LAYERS: &str = r#"(
    name: "small",
    input: (height: 8, width: 8, channels: 1, mean: [0.5], std: [0.25]),
    layers: [
        (name: "conv", from: ["input"], op: Conv(out_channels: 4, kernel: 3, stride: 1, padding: 1, groups: 1, bias: false)),
        (name: "relu", from: ["conv"], op: Qcfs(levels: 4)),
        (name: "mean", from: ["relu"], op: Mean),
        (name: "head", from: ["mean"], op: Linear(out_features: 3, bias: true)),
    ],
)
"#;

fn layers(name: &str, changes: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let text = changes.iter().fold(LAYERS.to_string(), |text, (from, to)| text.replacen(from, to, 1));
    let path = file(&folder, "layers.ron", text);
    let network = load::architecture(&path).and_then(|layers| {
        let sound: spikemesh::network::Architecture = ron::from_str(LAYERS).unwrap();
        load::assemble(layers, tensors(&sound))
            .map_err(|faults| LoadError { file: "net.safetensors".to_string(), faults })
    });
    golden(name, &folder, network);
}

#[test]
fn layer_lists_that_do_not_make_a_network() {
    layers("layer_of_an_unknown_kind", &[("Qcfs", "Qcsf")]);
    layers("layer_with_an_unknown_key", &[("levels: 4", "level: 4")]);
    layers("layer_list_that_ends_early", &[("    ],\n)", "")]);
    layers("layer_that_reads_an_unknown_layer", &[("[\"conv\"]", "[\"cov\"]")]);
    layers("layer_that_reads_a_later_one", &[("[\"conv\"]", "[\"mean\"]")]);
    layers("layer_that_is_listed_twice", &[("(name: \"mean\"", "(name: \"relu\"")]);
    layers(
        "layer_whose_window_does_not_fit",
        &[("kernel: 3, stride: 1, padding: 1", "kernel: 9, stride: 1, padding: 0")],
    );
    layers("layer_with_no_levels", &[("levels: 4", "levels: 0")]);
    layers("image_of_no_pixels", &[("height: 8", "height: 0"), ("[0.25]", "[0.25, 0.0]")]);
    layers(
        "many_faults_of_a_layer_list",
        &[("[\"conv\"]", "[\"cov\"]"), ("name: \"head\"", "name: \"input\""), ("groups: 1", "groups: 3")],
    );
}

#[test]
fn short_form_with_sizes_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "short.ron", "Transformer(dim: 100, heads: 0, depth: 4000000000)");
    golden("short_form_with_impossible_sizes", &folder, load::architecture(&path));
    let path = file(&folder, "short.ron", "Transformer(\n    dim: 128,\n    deptth: 2,\n)");
    golden("short_form_with_an_unknown_key", &folder, load::architecture(&path));
}

fn images(name: &str, file_name: &str, bytes: &[u8], limit: Option<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let input = ron::from_str::<spikemesh::network::Architecture>(LAYERS).unwrap().input;
    let path = file(&folder, file_name, bytes);
    golden(name, &folder, load::images(&path, &input, 3, limit));
}

fn idx(count: u32, side: u32, pixels: usize) -> Vec<u8> {
    let head = [0x803, count, side, side].map(u32::to_be_bytes).concat();
    [head, vec![1; pixels]].concat()
}

#[test]
fn images_that_do_not_fit() {
    images("images_of_the_wrong_length", "test.bin", &[0; 100], None);
    images("images_with_labels_out_of_range", "test.bin", &[vec![0; 65], vec![3; 65], vec![200; 65]].concat(), None);
    images("images_with_many_labels_out_of_range", "test.bin", &[9; 65 * 12], None);
    images("images_none_asked_for", "test.bin", &[0; 65], Some(0));
    images("images_in_an_empty_file", "test.bin", &[], None);
    images("images_that_are_packed", "t10k-images-idx3-ubyte.gz", &[0x1f, 0x8b, 8, 0], None);
    images("idx_images_of_another_size", "t10k-images-idx3-ubyte", &idx(2, 28, 2 * 784), None);
    images("idx_images_that_are_cut_off", "t10k-images-idx3-ubyte", &idx(2, 8, 100), None);
    images("idx_images_that_claim_too_many", "t10k-images-idx3-ubyte", &idx(u32::MAX, 8, 64), None);
    images("idx_images_that_are_none", "t10k-images-idx3-ubyte", &[7; 80], None);
    images("idx_images_without_labels", "t10k-images-idx3-ubyte", &idx(1, 8, 64), None);
}

#[test]
fn idx_labels_of_other_images() {
    let folder = tempfile::tempdir().unwrap();
    let input = ron::from_str::<spikemesh::network::Architecture>(LAYERS).unwrap().input;
    let path = file(&folder, "train-images.idx3-ubyte", idx(2, 8, 128));
    file(&folder, "train-labels.idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2]);
    golden("idx_labels_of_other_images", &folder, load::images(&path, &input, 3, None));
    file(&folder, "train-labels.idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 2, 0, 4]);
    golden("idx_label_out_of_range", &folder, load::images(&path, &input, 3, None));
    assert_eq!(load::images(&path, &input, 5, Some(2)).unwrap().labels, [0, 4]);
}

/// The generic mesh with some of its text replaced.
fn chip(name: &str, changes: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let text = changes.iter().fold(load::preset("mesh28").unwrap().to_string(), |text, (from, to)| {
        assert!(text.contains(from), "the chip does not say {from}");
        text.replacen(from, to, 1)
    });
    let path = file(&folder, "chip.ron", text);
    golden(name, &folder, load::hardware(&path, &[]));
}

#[test]
fn chips_with_constants_that_cannot_be() {
    chip("chip_with_an_unknown_key", &[("columns: (16", "colums: (16")]);
    chip("chip_with_a_key_of_another_section", &[("soma_lanes: (16", "comparators: (4, \"x\"), soma_lanes: (16")]);
    chip("chip_with_a_missing_price", &[("        token_pj: (0.575, \"as axon_out_pj\"),\n", "")]);
    chip("chip_with_a_negative_price", &[("token_pj: (0.575", "token_pj: (-0.575")]);
    chip("chip_with_a_price_below_a_femtojoule", &[("token_pj: (0.575", "token_pj: (0.0575")]);
    chip("chip_with_a_negative_latency", &[("link_vertical_cycles: (1", "link_vertical_cycles: (-1")]);
    chip("chip_with_a_fractional_latency", &[("link_vertical_cycles: (1", "link_vertical_cycles: (1.5")]);
    chip("chip_of_no_size", &[("columns: (16", "columns: (0"), ("rows: (16", "rows: (0")]);
    chip("chip_with_a_wrong_word", &[("\"tree\"", "\"treee\"")]);
    chip("chip_with_a_key_twice", &[("rows: (16", "columns: (8, \"again\"), rows: (16")]);
    chip("chip_without_a_source", &[("(16, \"design choice\")", "(16, \"  \")"), ("mhz: (200, \"ELSA\")", "mhz: 200")]);
    chip("chip_that_cites_nothing", &[("\"[ELSA]\"", "\"[ELSE]\"")]);
    chip("chip_that_ends_early", &[("    energy: (", "    energy: [")]);
    chip(
        "chip_without_a_section",
        &[("        port: (\n            axon_out_cycles: (1, \"design choice\"),\n        ),\n", "")],
    );
}

#[test]
fn chips_whose_layout_is_no_map() {
    chip("layout_with_an_unknown_tile", &[("\"CCCCMCCCCCCCCCCC\"", "\"CCCXMCCCCCCCCCCC\"")]);
    chip("layout_with_a_short_row", &[("\"CCCCMCCCCCCCCCCC\"", "\"CCCCMCCCCCCCCCC\"")]);
    chip("layout_with_an_unknown_unit", &[("[attention]", "[atention]")]);
}

#[test]
fn chip_with_many_faults() {
    let changes = [
        ("columns: (16", "columns: (0"),
        ("neurons: (2048", "neuron: (2048"),
        ("\"tree\"", "\"broadcast\""),
        ("router_cycles: (2", "router_cycles: (-2"),
        ("spike_pj: (0.062", "spike_pj: (0.0621"),
        ("        static_mw: (65,", "        statik_mw: (65,"),
    ];
    chip("chip_with_many_faults", &changes);
}

#[test]
fn sets_that_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let set = |name: &str, sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        golden(name, &folder, load::hardware(Path::new("mesh28"), &sets));
    };
    set("set_of_an_unknown_constant", &["mesh.colums=32", "power=3"]);
    set("set_that_could_mean_several", &["axon_in_cycles=3"]);
    set("set_out_of_range", &["mesh.columns=0", "multicast=trees"]);
    set("set_without_a_value", &["mesh.columns"]);
}

#[test]
fn chip_of_an_unknown_name() {
    let folder = tempfile::tempdir().unwrap();
    golden("chip_of_an_unknown_name", &folder, load::hardware(Path::new("mesh82"), &[]));
    golden("chip_that_does_not_exist", &folder, load::hardware(&folder.path().join("chip.ron"), &[]));
    let path = file(&folder, "chip.ron", [0xff, 0xfe]);
    golden("chip_that_is_no_text", &folder, load::hardware(&path, &[]));
}

#[test]
fn traces_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    report::write_bundle(&path, &small_network()).unwrap();
    golden("trace_that_is_a_network", &folder, load::trace(&path));
}

#[test]
fn mappings_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let line = "(stage: \"relu\", positions: (0, 64), channels: (4, 4), tile: (0, 0), unit: 0)";
    let text = format!("(\n    network: \"net\",\n    chip: \"mesh28\",\n    slices: [\n        {line},\n    ],\n)\n");
    let path = file(&folder, "mapping.ron", &text);
    golden("mapping_with_an_empty_slice", &folder, load::mapping(&path));
    let path = file(&folder, "mapping.ron", text.replace("unit", "units"));
    golden("mapping_with_an_unknown_key", &folder, load::mapping(&path));
}
