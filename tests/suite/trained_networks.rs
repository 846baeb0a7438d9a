//! Real checkpoints and images are read as they are.

use crate::shared;
use spikemesh::load;
use spikemesh::network::{INPUT, Op};
use spikemesh::units::Grid;

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
    assert_eq!(network.tensors.len(), 108);
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
