//! Neurons behind a linear layer, each position of which reads itself only: panel of weights by panel, so that all positions
//! go through it while the first cache holds it, and from a product straight to the neurons.

use super::neurons::Population;
use super::spare::Spare;
use super::sparse::few;
use super::spikes::Firing;
use super::synapses::{Afferent, Short};
use super::train::Train;
use super::{FunctionalError, Ran};
use crate::functional::lanes::{Aligned, Course, Inflow, Lists, MOST_INPUTS, Numbers, Pairs, WORD};
use crate::units::{StageId, Window};
use std::ops::Range;

/// Positions whose dense rows are multiplied together: whole tiles of rows, whatever the number of steps, whose sums stay in
/// the first cache.
const BLOCK: usize = 6;

/// What some stages send together, each with its gain: a row of numbers for each step of each position. Layers that read the
/// same stages share it.
#[derive(Debug)]
pub(super) struct Stream {
    sources: Vec<(StageId, i32)>,
    form: Form,
    pairs: Pairs,
    words: Vec<u32>,
    pub lists: Lists,
    /// Where the rows of each position begin, and of the last one end.
    firsts: Vec<usize>,
    /// How many neurons send anything, over all steps and sources.
    pub senders: u64,
}

/// How rows of numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Without pairs of zeros.
    Pairs,
    /// As they are, where there are hardly any of those.
    Words,
    /// As lists of single spikes, each with the gain of its source.
    Lists,
}

impl Stream {
    /// Nothing so far, of so many inputs.
    fn new(inputs: usize) -> Self {
        let (sources, words, firsts) = (vec![], vec![], vec![]);
        Self {
            sources,
            form: Form::Pairs,
            pairs: Pairs::new(inputs),
            words,
            lists: Lists::default(),
            firsts,
            senders: 0,
        }
    }

    /// Whether it is what such a layer reads.
    fn is_of(&self, afferent: &Afferent, short: &Short) -> bool {
        self.sources == afferent.sources && (self.form != Form::Lists || short.rows.is_some())
    }

    /// How many rows come to a position, and how many to those before.
    pub fn rows(&self, position: usize) -> Range<usize> {
        self.firsts[position]..self.firsts[position + 1]
    }

    /// Nothing of what it holds is what stages send any more.
    pub fn forget(&mut self) {
        self.sources.clear();
    }
}

impl Population<'_> {
    /// The linear layer before the neurons, where there is nothing else.
    fn linear(&self) -> Option<(&Afferent<'_>, &Short)> {
        let [afferent] = &self.afferents.projections[..] else { return None };
        let kernel = afferent.kernel;
        let alone = kernel.pool.is_none() && kernel.window == Window::ONE;
        Some((afferent, afferent.short.as_ref()?)).filter(|_| alone)
    }

    /// Runs neurons behind a linear layer through all their steps; `None` where there is no such layer, or what arrives does
    /// not fit into words of 16 bits.
    #[inline(always)]
    pub fn behind_linear(&self, spare: &mut Spare) -> Result<Option<Ran>, FunctionalError> {
        let Some((afferent, short)) = self.linear() else { return Ok(None) };
        let sources: Vec<(&Train, i32)> = self.sources(afferent).collect();
        if let Some((spikes, rows)) = few(short, &sources)
            && let Some(ran) = self.behind_few(short, spikes, rows, spare)?
        {
            return Ok(Some(ran));
        }
        let mut stream = spare.stream.take();
        if stream.as_ref().is_none_or(|stream| !stream.is_of(afferent, short)) {
            let memory = stream.take().unwrap_or_else(|| Stream::new(short.inputs));
            stream = self.stream(afferent, short, memory);
        }
        let ran = match (&stream, &short.rows) {
            (Some(stream), Some(rows)) if stream.form == Form::Lists => {
                Ok(Some(self.behind_lists(short, rows, stream, spare)?))
            }
            (Some(stream), _) => Ok(Some(self.through(short, stream, spare)?)),
            (None, _) => Ok(None),
        };
        spare.stream = stream;
        ran
    }

    #[inline(always)]
    fn through(&self, short: &Short, stream: &Stream, spare: &mut Spare) -> Result<Ran, FunctionalError> {
        let (grid, time_steps, channels) = (self.grid, self.options.time_steps, self.afferents.channels);
        let delay = self.options.schedule.delay() as usize;
        let mut ran = Ran::new(grid, self.last_input, time_steps);
        let mut fired = Firing::of_steps(self.level, grid, self.most_steps());
        ran.values = spare.rest(grid.neurons(), time_steps);
        ran.operations = stream.senders * short.outputs as u64;
        let (mut sums, mut rests) = (Aligned::default(), true);
        let (groups, block) = (short.packed.groups(), if stream.form == Form::Words { BLOCK } else { 1 });
        for (strip, first) in
            short.packed.strips().flat_map(|strip| (0..grid.positions()).step_by(block).map(move |at| (strip, at)))
        {
            let block = first..grid.positions().min(first + block);
            let rows = stream.firsts[block.start]..stream.firsts[block.end];
            let (from, size) = (rows.start, rows.len() * strip.width());
            sums.make_room(strip.panels * size);
            let sums = sums.signed_mut();
            if stream.form == Form::Words {
                let words = &stream.words[rows.start * groups..rows.end * groups];
                short.packed.multiply_strip(self.level, strip, words, sums);
            } else {
                short.packed.multiply_pairs(self.level, strip, (&stream.pairs, rows), sums);
            }
            for position in block {
                let (rows, pitch) = (stream.rows(position), strip.width());
                let ends = [rows.start, rows.end].map(|row| (row - from) * pitch);
                let mut marks = fired.marks(position);
                for panel in 0..strip.panels {
                    let first = strip.first + panel * strip.width();
                    let neurons = first..channels.min(first + strip.width());
                    let numbers = Numbers::Sums { rows: &sums[panel * size..][ends[0]..ends[1]], pitch, delay };
                    let course = self.course((position, first), (rows.len(), numbers));
                    let counts = (&mut ran.values, position * channels + first);
                    rests &= self.signed(neurons).run_word(self.level, course, counts, (&mut marks, first));
                }
                let done = marks.done();
                fired.raster().add(position, done);
            }
        }
        self.finished(ran, fired, rests)
    }

    /// What neurons of a position go through to which so many rows of numbers come, from a channel on.
    #[inline(always)]
    pub fn course<'a>(
        &'a self,
        (position, first): (usize, usize),
        (rows, numbers): (usize, Numbers<'a>),
    ) -> Course<'a> {
        let last = if rows == 0 { 0 } else { rows as u32 + self.options.schedule.delay() };
        let bias = &self.afferents.registers_of_bias(position)[first..];
        let inflow = Inflow { numbers, bias, driven: self.driven() as usize };
        Course { inflow, steps: (self.least_steps(last) as usize, self.most_steps() as usize) }
    }

    /// What was fired, where all neurons have come to rest.
    pub fn finished(&self, mut ran: Ran, fired: Firing, rests: bool) -> Result<Ran, FunctionalError> {
        ran.train = Train::spikes(self.grid, fired);
        rests.then_some(ran).ok_or_else(|| self.restless())
    }

    /// What the sources of a projection send, as far as it arrives, in the memory of another stream; `None` where it does not fit.
    #[inline(always)]
    fn stream(&self, afferent: &Afferent, short: &Short, memory: Stream) -> Option<Stream> {
        let sources: Vec<(&Train, i32)> = self.sources(afferent).filter(|(train, _)| train.last_step > 0).collect();
        let singles: Option<Vec<_>> = sources.iter().map(|(train, _)| train.singles()).collect();
        let gains: Option<Vec<_>> = sources.iter().map(|&(_, gain)| i16::try_from(gain).ok()).collect();
        let largest = sources.iter().fold(0i32, |all, (_, gain)| all.saturating_add(gain.saturating_abs()));
        let singles = match singles.zip(gains) {
            Some(_) if largest > i16::MAX.into() => return None,
            Some((singles, gains)) => Some(singles.into_iter().zip(gains).collect::<Vec<_>>()),
            None => None,
        };
        let (inputs, mut stream) = (short.inputs, memory);
        stream.sources.clone_from(&afferent.sources);
        stream.senders = sources.iter().map(|(train, _)| train.sent_until(self.last_sent())).sum();
        stream.pairs.clear(inputs);
        stream.words.clear();
        stream.firsts.clear();
        stream.firsts.push(0);
        let last_of = |position| {
            let lasts = sources.iter().map(|(train, _)| train.last_of(position));
            lasts.fold(0, u32::max).min(self.last_sent())
        };
        let rows: u64 = self.grid.whole().positions.map(|position| u64::from(last_of(position))).sum();
        let work = (stream.senders, rows * sources.len() as u64);
        let lists = singles.is_some() && short.rows.is_some() && inputs <= MOST_INPUTS;
        stream.form = if lists && self.level.prefers_rows(work, rows * inputs as u64) {
            Form::Lists
        } else if singles.is_none() && sources.iter().any(|(train, _)| is_dense(train)) {
            Form::Words
        } else {
            Form::Pairs
        };
        if stream.form == Form::Lists {
            stream.lists.clear(inputs);
        }
        let (mut words, mut numbers, mut rows) = (vec![0u32; inputs.div_ceil(2)], vec![0; inputs], vec![]);
        for position in self.grid.whole().positions {
            let last = last_of(position);
            if let Some(singles) = &singles {
                rows.clear();
                rows.extend(singles.iter().map(|(spikes, gain)| (spikes.rows(position as usize, u32::MAX), *gain)));
                let size = (inputs.div_ceil(WORD), last as usize);
                if stream.form == Form::Lists {
                    stream.lists.push_signs(self.level, size, &rows);
                } else {
                    stream.pairs.push_signs(self.level, size, &rows);
                }
            } else {
                for step in 1..=last {
                    let row: &mut [i16] = &mut bytemuck::cast_slice_mut(&mut words)[..inputs];
                    if let [(train, 1)] = sources[..]
                        && train.word_levels().is_some()
                    {
                        // neither is negative, so that the difference of words is one
                        let (now, before) = train.word_changes(position, step);
                        let pairs = now.iter().zip(before);
                        row.iter_mut().zip(pairs).for_each(|(to, (now, before))| *to = now.wrapping_sub(*before));
                    } else {
                        numbers.fill(0);
                        for (train, gain) in &sources {
                            train.add_run((position, 1), step, *gain, &mut numbers);
                        }
                        narrow(&numbers, row).then_some(())?;
                    }
                    if stream.form == Form::Words {
                        stream.words.extend_from_slice(&words);
                    } else {
                        stream.pairs.push(self.level, &words);
                    }
                }
            }
            stream.firsts.push(match stream.form {
                Form::Pairs => stream.pairs.rows(),
                Form::Words => stream.words.len() / words.len().max(1),
                Form::Lists => stream.lists.rows(),
            });
        }
        Some(stream)
    }
}

/// Whether so much is sent that leaving out pairs of zeros takes longer than multiplying them, many rows at a time.
fn is_dense(train: &Train) -> bool {
    train.spikes * 5 >= train.grid.neurons() as u64 * u64::from(train.last_step) * 3
}

/// Numbers as words; whether they fit.
#[inline(always)]
fn narrow(numbers: &[i32], row: &mut [i16]) -> bool {
    row.iter_mut().zip(numbers).fold(true, |fits, (word, &number)| {
        *word = number as i16;
        fits & (i32::from(*word) == number)
    })
}
