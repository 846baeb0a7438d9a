//! Neurons behind a linear layer to which single spikes come, one stage's few or lists of several: rows of weights in bytes, position
//! by position, and from their sums straight to the neurons.

use super::linear::Stream;
use super::neurons::Population;
use super::spare::Spare;
use super::spikes::{Firing, Spikes};
use super::synapses::Short;
use super::train::Train;
use super::{FunctionalError, Ran};
use crate::functional::lanes::{Aligned, BURST, Numbers, Rows, Signs, WORD, list};

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
    pub fn behind_few(
        &self,
        short: &Short,
        spikes: &Spikes,
        rows: &Rows,
        spare: &mut Spare,
    ) -> Result<Option<Ran>, FunctionalError> {
        let (grid, inputs) = (self.grid, short.inputs);
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
        ran.values = spare.rest(grid.neurons(), self.options.time_steps);
        ran.operations = (codes.len() * short.outputs) as u64;
        let (mut sums, mut rests, delay) = (vec![], true, self.options.schedule.delay() as usize);
        for ((first, span), position) in self.spans(rows) {
            let ends = &ends[firsts[position]..=firsts[position + 1]];
            let count = ends.len() - 1;
            sums.resize(sums.len().max(count * span), 0);
            let sums = &mut sums[..count * span];
            rows.sum(self.level, (first, span), (&codes, ends), sums);
            let numbers = |at| Numbers::Words { rows: sums.get(at..).unwrap_or_default(), pitch: span, delay };
            rests &= self.fire_span((position, first, span), (count, numbers), (&mut ran, &mut fired));
        }
        self.finished(ran, fired, rests).map(Some)
    }

    /// Runs neurons to which lists of single spikes come through all their steps.
    #[inline(always)]
    pub fn behind_lists(
        &self,
        short: &Short,
        rows: &Rows,
        stream: &Stream,
        spare: &mut Spare,
    ) -> Result<Ran, FunctionalError> {
        let mut ran = Ran::new(self.grid, self.last_input, self.options.time_steps);
        let mut fired = Firing::of_steps(self.level, self.grid, self.most_steps());
        ran.values = spare.rest(self.grid.neurons(), self.options.time_steps);
        ran.operations = stream.senders * short.outputs as u64;
        let (mut sums, mut rests, delay) = (Aligned::default(), true, self.options.schedule.delay() as usize);
        for ((first, span), position) in self.spans(rows) {
            let targets = stream.rows(position);
            let (count, size) = (targets.len(), targets.len() * span);
            sums.make_room(size);
            rows.weigh(self.level, (first, span), (&stream.lists, targets), sums.signed_mut());
            let sums = &sums.signed()[..size];
            let numbers = |at| Numbers::Sums { rows: sums.get(at..).unwrap_or_default(), pitch: span, delay };
            rests &= self.fire_span((position, first, span), (count, numbers), (&mut ran, &mut fired));
        }
        self.finished(ran, fired, rests)
    }

    /// Every span of columns, with all positions one after the other.
    fn spans(&self, rows: &Rows) -> impl Iterator<Item = ((usize, usize), usize)> + use<> {
        let positions = self.grid.positions();
        rows.spans().flat_map(move |span| (0..positions).map(move |position| (span, position)))
    }

    /// Runs the neurons of a span of columns of a position, to which so many rows of numbers come, each from a column of the span on;
    /// says whether they came to rest.
    #[inline(always)]
    fn fire_span<'a>(
        &'a self,
        (position, first, span): (usize, usize, usize),
        (count, numbers): (usize, impl Fn(usize) -> Numbers<'a>),
        (ran, fired): (&mut Ran, &mut Firing),
    ) -> bool {
        let (channels, mut marks, mut rests) = (self.afferents.channels, fired.marks(position), true);
        for at in (first..channels.min(first + span)).step_by(WORD) {
            let counts = (&mut ran.values, position * channels + at);
            let neurons = self.signed(at..channels.min(at + WORD).min(first + span));
            let course = self.course((position, at), (count, numbers(at - first)));
            rests &= neurons.run_word(self.level, course, counts, (&mut marks, at));
        }
        let done = marks.done();
        fired.raster().add(position, done);
        rests
    }
}
