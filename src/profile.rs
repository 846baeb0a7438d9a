//! Where the time of a command went: step by step, and stage by stage.

use serde::Serialize;

/// Where the time of a command went: the `profile` object of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Seconds by the clock since the command began.
    pub seconds: f64,
    /// The steps of the house in their order, one row for each [`StepName`].
    pub steps: Vec<ProfileRow>,
    /// The stages of the spiking run in their order.
    pub stages: Vec<ProfileRow>,
    /// What else the functional step took, by name: laying out, and the networks that the spiking one is compared with.
    pub other_functional: Vec<ProfileRow>,
}

/// Time spent under one name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ProfileRow {
    /// Name of the step or stage.
    pub name: String,
    /// How often it was entered.
    pub calls: u64,
    /// Seconds spent in it, summed over threads.
    pub seconds: f64,
}

/// The steps of the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepName {
    /// Files are read.
    Load,
    /// The trained network becomes a spiking graph.
    Convert,
    /// The graph is put on a chip.
    Compile,
    /// What is computed, without a clock.
    Functional,
    /// The chip, cycle by cycle.
    Engine,
    /// Work is priced and compared.
    Account,
    /// Results are written.
    Report,
}

impl StepName {
    /// All steps in their order.
    pub const ALL: [Self; 7] =
        [Self::Load, Self::Convert, Self::Compile, Self::Functional, Self::Engine, Self::Account, Self::Report];

    /// The name of its folder.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Convert => "convert",
            Self::Compile => "compile",
            Self::Functional => "functional",
            Self::Engine => "engine",
            Self::Account => "account",
            Self::Report => "report",
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        let row = |step: &StepName| ProfileRow { name: step.key().to_string(), ..ProfileRow::default() };
        let steps = StepName::ALL.iter().map(row).collect();
        Self { seconds: 0.0, steps, stages: vec![], other_functional: vec![] }
    }
}

impl ProfileRow {
    /// Adds one more time.
    pub fn add(&mut self, seconds: f64) {
        self.calls += 1;
        self.seconds += seconds;
    }
}
