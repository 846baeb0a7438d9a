//! The one list of what a chip does and pays for: key, component, title and sentence of every countable action.

use serde::{Deserialize, Serialize};

/// The part of a chip that an action belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Weight memory and the adders behind it.
    Synapse,
    /// Membrane memory, neuron updates, firing.
    Soma,
    /// Tables and packet builders on the way in and out of a unit.
    Axon,
    /// Routers and links.
    Network,
    /// Max-pool units.
    MaxPool,
    /// Attention units: scores and context.
    Attention,
    /// Softmax units.
    Softmax,
    /// Barriers, tokens and acknowledgements.
    Control,
}

impl Component {
    /// Every component, in the order of reports.
    pub const ALL: [Self; 8] = [
        Self::Synapse,
        Self::Soma,
        Self::Axon,
        Self::Network,
        Self::MaxPool,
        Self::Attention,
        Self::Softmax,
        Self::Control,
    ];

    /// The name in JSON and CSV.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Synapse => "synapse",
            Self::Soma => "soma",
            Self::Axon => "axon",
            Self::Network => "network",
            Self::MaxPool => "max_pool",
            Self::Attention => "attention",
            Self::Softmax => "softmax",
            Self::Control => "control",
        }
    }
}

macro_rules! actions {
    ($($variant:ident, $key:literal, $component:ident, $title:literal, $sentence:literal;)*) => {
        /// One countable thing that a chip does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Action {
            $(#[doc = $sentence] $variant,)*
        }

        impl Action {
            /// Every action, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// How many actions there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in JSON and CSV; its price in a hardware description is `<key>_pj`.
            #[must_use]
            pub fn key(self) -> &'static str {
                match self { $(Self::$variant => $key,)* }
            }

            /// The part of the chip that pays.
            #[must_use]
            pub fn component(self) -> Component {
                match self { $(Self::$variant => Component::$component,)* }
            }

            /// The column title in tables.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What is counted, in one sentence.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

actions! {
    SynapticOp, "synaptic_op", Synapse, "synaptic ops", "One weight added to one membrane potential.";
    WeightRead, "weight_read", Synapse, "weight reads", "One weight read from synapse memory.";
    PotentialAccess, "potential_access", Synapse, "potential accesses", "One membrane potential read, changed and written back for a synaptic operation.";
    NeuronVisit, "neuron_visit", Soma, "neuron visits", "One neuron looked at by the soma in a time step, whether or not anything changed.";
    NeuronUpdate, "neuron_update", Soma, "neuron updates", "One neuron that received an operation or a bias, or fired, brought up to date in a time step.";
    Spike, "spike", Soma, "spikes", "One signed spike fired, or one graded value sent.";
    AxonIn, "axon_in", Axon, "axons in", "One arriving spike looked up in the axon table of a unit.";
    AxonOut, "axon_out", Axon, "axons out", "One packet built and handed to the router.";
    FlitRoute, "flit_route", Network, "router passages", "One flit buffered in a router and switched to one output.";
    HopHorizontal, "hop_horizontal", Network, "hops E-W", "One flit over one link to the east or west.";
    HopVertical, "hop_vertical", Network, "hops N-S", "One flit over one link to the north or south.";
    HopChip, "hop_chip", Network, "hops between chips", "One flit over one link to another chip.";
    LocalDelivery, "local_delivery", Network, "deliveries", "One flit handed from a router to a unit of its tile.";
    PoolCompare, "pool_compare", MaxPool, "pool compares", "One count compared with the maximum of one window.";
    AttentionMac, "attention_mac", Attention, "attention MACs", "One operand added, with sign or multiplied, to one score or context sum.";
    AttentionAccess, "attention_access", Attention, "attention accesses", "One count, score, probability or sum read or written in attention state memory.";
    SoftmaxExp, "softmax_exp", Softmax, "exponentials", "One power of two of one score by shift and table.";
    SoftmaxDivide, "softmax_divide", Softmax, "divisions", "One integer division for one normalised vector.";
    SoftmaxScale, "softmax_scale", Softmax, "normalisations", "One exponential multiplied by the reciprocal of its vector's sum.";
    Token, "token", Control, "tokens", "One end-of-step token or acknowledgement built by a unit.";
    Barrier, "barrier", Control, "barriers", "One unit taking part in one global barrier.";
}

/// How often each action happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts(pub [u64; Action::COUNT]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; Action::COUNT])
    }
}

impl Counts {
    /// Adds `count` to one action.
    pub fn add(&mut self, action: Action, count: u64) {
        self.0[action as usize] += count;
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

impl std::ops::Index<Action> for Counts {
    type Output = u64;
    fn index(&self, action: Action) -> &u64 {
        &self.0[action as usize]
    }
}

impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Action::ALL.iter().map(|&a| (a.key(), self[a])))
    }
}
