//! Neurons behind a linear layer to which one stage sends few single spikes: rows of weights in bytes, position by position, and
//! from their sums straight to the neurons.

use super::neurons::Population;
use super::spikes::{Firing, Spikes};
use super::synapses::Short;
use super::train::Train;
use super::{FunctionalError, Ran};
use crate::functional::Values;
use crate::functional::lanes::{BURST, Numbers, Rows, Signs, WORD, list};

/// One spike for so many neurons and steps, or fewer, is added up as a row of weights sooner than in products of pairs.
const FEW: u64 = 8;

/// What comes to a layer as few single spikes, with the rows that they bring; `None` if anything else does.
pub(super) fn few<'a>(short: &'a Short, sources: &[(&'a Train, i32)]) -> Option<(&'a Spikes, &'a Rows)> {
    let (&[(train, 1)], Some(rows)) = (sources, &short.rows) else { return None };
    let all = train.grid.neurons() as u64 * u64::from(train.last_step);
    Some((train.singles()?, rows)).filter(|_| train.spikes * FEW <= all)
}

impl Population<'_> {
    /// Runs neurons to which few spikes come through all their steps; `None` where more come to a position in a step than
    /// words can hold.
    #[inline(always)]
    pub fn behind_few(&self, short: &Short, spikes: &Spikes, rows: &Rows) -> Result<Option<Ran>, FunctionalError> {
        let (grid, channels, inputs) = (self.grid, self.afferents.channels, short.inputs);
        let (mut codes, mut ends, mut firsts) = (vec![], vec![0], vec![0]);
        let half = inputs.div_ceil(WORD);
        let rows_of = |position: usize| spikes.rows(position, self.last_sent()).chunks_exact(2 * half);
        let signs = |row| <[u64]>::split_at(row, half);
        for position in 0..grid.positions() {
            firsts.push(firsts[position] + rows_of(position).len());
        }
        let all = (0..grid.positions()).flat_map(rows_of).map(signs).map(|(plus, minus)| (Signs { plus, minus }, 0));
        list(self.level, all, (inputs as u32, spikes.counts().0 as usize), (&mut codes, &mut ends));
        if ends.windows(2).any(|ends| ends[1] - ends[0] > BURST as u32) {
            return Ok(None);
        }
        let mut ran = Ran::new(grid, self.last_input, self.options.time_steps);
        let mut fired = Firing::of_steps(self.level, grid, self.most_steps());
        ran.values = Values::rest(grid.neurons(), self.options.time_steps);
        ran.operations = (codes.len() * short.outputs) as u64;
        let (mut sums, mut rests, delay) = (vec![], true, self.options.schedule.delay() as usize);
        for ((first, span), position) in
            rows.spans().flat_map(|span| (0..grid.positions()).map(move |position| (span, position)))
        {
            let ends = &ends[firsts[position]..=firsts[position + 1]];
            let count = ends.len() - 1;
            sums.resize(sums.len().max(count * span), 0);
            let sums = &mut sums[..count * span];
            rows.sum(self.level, (first, span), (&codes, ends), sums);
            let mut marks = fired.marks(position);
            for at in (first..channels.min(first + span)).step_by(WORD) {
                let numbers = Numbers::Words { rows: &sums[(at - first).min(sums.len())..], pitch: span, delay };
                let counts = (&mut ran.values, position * channels + at);
                let neurons = self.signed(at..channels.min(at + WORD).min(first + span));
                rests &= neurons.run_word(
                    self.level,
                    self.course((position, at), (count, numbers)),
                    counts,
                    (&mut marks, at),
                );
            }
            let done = marks.done();
            fired.raster().add(position, done);
        }
        self.finished(ran, fired, rests).map(Some)
    }
}
