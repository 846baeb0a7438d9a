//! Small chips made by hand, with room to spare; a test tightens what it is about.
#![allow(dead_code, reason = "each behaviour uses what it needs")]

use spikemesh::hardware::{
    AttentionCapacity, Board, CoreCapacity, Kernels, MaxPoolCapacity, Mesh, Multicast, Noc, Routing, Shape,
    SoftmaxCapacity, Topology, UnitKind,
};
use std::collections::BTreeMap;

/// A mesh with every kind of unit: of 16 tiles, one has a port and a core, two have two cores each, three are special.
pub fn topology(columns: u32, rows: u32) -> Topology {
    let tiles = BTreeMap::from([
        ('c', vec![UnitKind::Core]),
        ('d', vec![UnitKind::Core, UnitKind::Core]),
        ('p', vec![UnitKind::Port, UnitKind::Core]),
        ('m', vec![UnitKind::MaxPool]),
        ('a', vec![UnitKind::Attention]),
        ('s', vec![UnitKind::Softmax]),
    ]);
    Topology {
        mesh: Mesh { columns, rows },
        layout: ["pdcm", "ccas", "cdcc", "cmac"].map(String::from).to_vec(),
        tiles,
        core: CoreCapacity {
            neurons: 1 << 16,
            synapse_bits: 1 << 30,
            weight_bits: 8,
            kernels: Kernels::Shared,
            axons_in: 1 << 20,
            routes_out: 1 << 20,
            membrane_bits: 32,
        },
        max_pool: MaxPoolCapacity { count_bits: 1 << 24 },
        attention: AttentionCapacity { state_bits: 1 << 24 },
        softmax: SoftmaxCapacity { state_bits: 1 << 24, table_bits: 8 },
        noc: Noc {
            shape: Shape::Mesh,
            routing: Routing::Xy,
            multicast: Multicast::Tree,
            virtual_channels: 2,
            buffer_flits: 4,
            flit_bits: 32,
            header_bits: 16,
            position_bits: 16,
            graded_bits: 16,
            spikes_per_packet: 1,
        },
        board: Board { chips_across: 1, chips_down: 1, chip_link_bits: 32 },
    }
}
