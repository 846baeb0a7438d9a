//! Real checkpoints and images are read as they are.

use crate::files_written_and_read::small_network;
use crate::shared;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use spikemesh::convert::{self, Precision};
use spikemesh::functional::{self, IntegerAnn, Options, Spiking};
use spikemesh::load;
use spikemesh::network::{INPUT, Input, Op};
use spikemesh::trace::Schedule;
use spikemesh::units::Grid;
use std::path::{Path, PathBuf};

#[test]
fn the_reference_checkpoint_is_recognised_by_its_names() {
    let Some(path) = shared::path("models/cifar10-d128-b2.safetensors") else { return };
    let network = load::network(&path, None).unwrap();
    assert_eq!(network.architecture.name, "cifar10-d128-b2");
    assert_eq!(network.classes(), 10);
    assert_eq!(network.grid(INPUT), Grid { height: 32, width: 32, channels: 3 });
    assert_eq!(network.grid("patch_embed.proj_relu2"), Grid { height: 32, width: 32, channels: 64 });
    assert_eq!(network.grid("patch_embed.maxpool3"), Grid { height: 8, width: 8, channels: 128 });
    assert_eq!(network.grid("block.1.mlp.fc1_relu"), Grid { height: 8, width: 8, channels: 512 });
    let of = |name: &str| &network.architecture.layers[network.position(name).unwrap()];
    assert!(matches!(of("block.1.attn.attention").op, Op::Attention { heads: 4, .. }));
    assert_eq!(of("block.0.add1").from, ["patch_embed.add", "block.0.attn.proj_relu"]);
    assert!(network.tensor("block.0.attn.q_relu", "up")[0] > 0.0);
    assert_eq!(network.tensors.len(), 116);
}

#[test]
fn a_network_of_the_published_size_is_read_and_is_exact() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/cifar10-d384-b4.safetensors");
    if !path.exists() {
        println!("skipped: {} is not there; it is left out of packages", path.display());
        return;
    }
    let network = load::network(&path, None).unwrap();
    assert_eq!(network.grid("block.3.mlp.fc1_relu"), Grid { height: 8, width: 8, channels: 1536 });
    let graph = convert::quantise(&convert::fold(&network).unwrap(), &Precision::default()).unwrap();
    let pixels: Vec<u8> = (0..32 * 32 * 3u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut images = vec![pixels];
    if let Some(path) = shared::path("data/cifar10-test-1000.bin") {
        let real = load::images(&path, &network.architecture.input, 10, Some(20)).unwrap();
        let right = functional::float_ann(&network, &real).unwrap();
        let right = right.iter().zip(&real.labels).filter(|(logits, label)| class(logits) == **label as usize).count();
        assert!(right >= 18, "{right} of 20 images are classified, where 91 % of all are");
        images.push(real.image(0).to_vec());
    }
    for image in &images {
        // the sums behind attention may outgrow 32 bits, and do not with these images
        let wanted = functional::quantised_ann(&graph, image, 2).unwrap();
        assert!(IntegerAnn::new(&graph).run(image, 2).unwrap() == wanted);
        let options = Options { record: false, ..Options::exact(2, Schedule::SameStep) };
        assert!(Spiking::new(&graph).run(image, &options).unwrap().values == wanted);
    }
}

fn class(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

#[test]
fn cifar_records_become_images_with_colours_innermost() {
    let Some(path) = shared::path("data/cifar10-test-1000.bin") else { return };
    let input = load::reference::Transformer::default().input;
    let images = load::images(&path, &input, 10, Some(3)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(images.len(), 3);
    assert_eq!(images.labels[2], u32::from(bytes[2 * 3073]));
    let planes = &bytes[2 * 3073 + 1..3 * 3073];
    assert_eq!(images.image(2)[3 * 33..3 * 34], [planes[33], planes[1024 + 33], planes[2048 + 33]]);
    assert_eq!(load::images(&path, &input, 10, None).unwrap().len(), 1000);
}

/// A checkpoint with the names of the published code, its numbers written by `convert`, and what training leaves behind.
fn checkpoint(folder: &tempfile::TempDir, dtype: Dtype, convert: impl Fn(f32) -> Vec<u8>) -> PathBuf {
    let network = small_network();
    let bytes = network.tensors.iter().map(|(name, tensor)| {
        let bytes: Vec<u8> = tensor.values.iter().flat_map(|&value| convert(value)).collect();
        (name.as_str(), tensor.shape.clone(), bytes)
    });
    let bytes: Vec<_> = bytes.collect();
    let views = bytes.iter().map(|(name, shape, bytes)| (*name, TensorView::new(dtype, shape.clone(), bytes).unwrap()));
    let counter = TensorView::new(Dtype::I64, vec![], &[0; 8]).unwrap();
    let norm = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    let left = [("patch_embed.proj_bn.num_batches_tracked", counter), ("block.0.norm1.weight", norm)];
    let path = folder.path().join("small.safetensors");
    std::fs::write(&path, safetensors::serialize(views.chain(left), None).unwrap()).unwrap();
    path
}

#[test]
fn every_width_of_float_is_taken_and_leftovers_of_training_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = small_network();
    let read = |path: PathBuf| load::network(&path, None).unwrap();
    assert_eq!(read(checkpoint(&folder, Dtype::F32, |value| value.to_le_bytes().to_vec())), wanted);
    assert_eq!(read(checkpoint(&folder, Dtype::F64, |value| f64::from(value).to_le_bytes().to_vec())), wanted);
    let half = read(checkpoint(&folder, Dtype::F16, |value| half::f16::from_f32(value).to_le_bytes().to_vec()));
    let brain = read(checkpoint(&folder, Dtype::BF16, |value| half::bf16::from_f32(value).to_le_bytes().to_vec()));
    for (name, tensor) in &wanted.tensors {
        for (at, value) in tensor.values.iter().enumerate() {
            assert_eq!(half.tensors[name].values[at], half::f16::from_f32(*value).to_f32());
            assert_eq!(brain.tensors[name].values[at], half::bf16::from_f32(*value).to_f32());
        }
    }
}

#[test]
fn idx_images_find_their_labels_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let input = Input { height: 2, width: 3, channels: 1, mean: vec![0.5], std: vec![0.5] };
    let head = [0x803u32, 2, 2, 3].map(u32::to_be_bytes).concat();
    let pixels: Vec<u8> = (10..22).collect();
    let path = folder.path().join("t10k-images-idx3-ubyte");
    std::fs::write(&path, [head, pixels].concat()).unwrap();
    std::fs::write(folder.path().join("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 2, 7, 3]).unwrap();
    let images = load::images(&path, &input, 10, None).unwrap();
    assert_eq!((images.labels.as_slice(), images.image(1)), (&[7, 3][..], &[16, 17, 18, 19, 20, 21][..]));
}
