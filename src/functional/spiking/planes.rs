//! What is sent, laid out as windows see it: for each step a byte for each channel, or a word where the image sends numbers,
//! position by position, with as much padding around the grid as windows reach beyond it. The rows of a window are then
//! inputs of a product as they stand.

use super::spikes::Spikes;
use crate::functional::lanes::{Inputs, Level, Packed, Row, Spread, Width, spread};
use crate::graph::{Kernel, Taps};
use crate::units::{Grid, Window};

/// Where windows find what they see.
#[derive(Debug)]
pub(super) struct Planes {
    /// Weights of all taps, for signs or words.
    packed: Packed,
    width: Width,
    window: Window,
    source: Grid,
    /// Groups of channels of a position, of a row of positions, and of a plane.
    channels: usize,
    row: usize,
    size: usize,
    /// Where each position of the source lies, and where each window begins.
    places: Vec<u32>,
    firsts: Vec<u32>,
    /// How many windows see each position.
    reached: Vec<u32>,
}

/// What a source sends, plane after plane.
#[derive(Debug)]
pub(super) struct Plane {
    groups: Vec<u32>,
    /// The last step that is laid out, and the last one of each window in which anything is sent to it, or 0.
    pub steps: u32,
    pub lasts: Vec<u32>,
    pub gain: i32,
}

/// A byte of no spike, four times.
const NONE: u32 = 0x0101_0101;

impl Planes {
    /// For signs or for words; `None` where windows are summed up first, weights do not fit, or bytes are no whole groups.
    pub fn new(kernel: &Kernel<i32>, width: Width, (taps, source): (&Taps, Grid), positions: usize) -> Option<Self> {
        let (window, inputs, each) = (kernel.window, kernel.in_channels as usize, width.inputs());
        let fits = |weight: &i32| match width {
            Width::Words => *weight == i32::from(*weight as i16),
            Width::Bytes | Width::Signs => *weight == i32::from(*weight as i8),
        };
        let whole = width == Width::Words || inputs.is_multiple_of(each);
        if !whole || kernel.groups > 1 || kernel.pool.is_some() || !kernel.weights.iter().all(fits) {
            return None;
        }
        let (channels, outputs) = (inputs.div_ceil(each), kernel.out_channels as usize);
        let row = (source.width + 2 * window.padding) as usize * channels;
        let size = (source.height + 2 * window.padding) as usize * row;
        let across = ((source.width + 2 * window.padding - window.width) / window.stride + 1) as usize;
        let first = |at: usize| (at / across * row + at % across * channels) * window.stride as usize;
        let padded = channels * each;
        let packed = Packed::new(width, window.area() as usize * padded, outputs, |input| {
            let (tap, channel) = (input / padded, input % padded);
            if channel < inputs { &kernel.weights[(tap * inputs + channel) * outputs..][..outputs] } else { &[] }
        });
        let firsts = (0..positions).map(|at| first(at) as u32).collect();
        let place = |(y, x): (u32, u32)| (y + window.padding) * row as u32 + (x + window.padding) * channels as u32;
        let places = (0..source.height).flat_map(|y| (0..source.width).map(move |x| (y, x))).map(place).collect();
        let reached = source.whole().positions.map(|position| taps.of(position).len() as u32).collect();
        Some(Self { packed, width, window, source, channels, row, size, places, firsts, reached })
    }

    /// Whether planes are of single spikes.
    pub fn of_signs(&self) -> bool {
        self.width == Width::Signs
    }

    /// Whether so many spikes in so many steps are better taken as products of all inputs than one by one.
    pub fn pay(&self, level: Level, spikes: u64, steps: u32) -> bool {
        let inputs = u64::from(steps) * self.source.neurons() as u64;
        spikes * level.products_for_weight() as u64 > inputs
    }

    /// Lays out what is sent in the first steps; gives the synaptic operations for each output channel.
    #[inline(always)]
    pub fn lay(&self, spikes: &Spikes, steps: u32, gain: i32) -> (Plane, u64) {
        let mut groups = vec![NONE; self.size * steps as usize];
        let each = Width::Signs.inputs();
        let positions = self
            .places
            .iter()
            .enumerate()
            .map(|(position, &place)| Spread { rows: spikes.rows(position, steps), first: each * place as usize });
        let (size, bytes) = ((each * self.channels, each * self.size), bytemuck::cast_slice_mut(&mut groups));
        spread(spikes.level(), positions, size, bytes);
        let landed = spikes.weighed(&self.reached, steps);
        (Plane { groups, steps, lasts: lasts(self.window, self.source, (spikes.lasts(), steps)), gain }, landed)
    }

    /// Lays out numbers, of which the same are sent in every step; gives the synaptic operations of a step for each output
    /// channel. `None` where they do not fit into words.
    #[inline(always)]
    pub fn lay_numbers(&self, numbers: &[i32], gain: i32) -> Option<(Plane, u64)> {
        let mut groups = vec![0; self.size];
        let words: &mut [i16] = bytemuck::cast_slice_mut(&mut groups);
        let (mut fits, mut landed) = (true, 0);
        let positions = numbers.chunks_exact(self.source.channels as usize).zip(&self.places).zip(&self.reached);
        for ((numbers, &place), &reached) in positions {
            let mut senders = 0;
            for (to, &number) in words[place as usize * self.width.inputs()..].iter_mut().zip(numbers) {
                *to = number as i16;
                fits &= i32::from(*to) == number;
                senders += u32::from(number != 0);
            }
            landed += u64::from(senders * reached);
        }
        Some((Plane { groups, steps: 1, lasts: vec![], gain }, landed)).filter(|_| fits)
    }

    /// The row of a product of a position and a step, from 0, into `to`.
    #[inline(always)]
    pub fn view(&self, plane: &Plane, (position, step): (usize, usize), to: usize) -> Row {
        let from = step * self.size + self.firsts[position] as usize;
        Row { from, to, factor: plane.gain }
    }

    /// Adds the products of rows to sums, or replaces sums by them.
    #[inline(always)]
    pub fn multiply(&self, level: Level, (plane, fresh): (&Plane, bool), rows: &[Row], sums: &mut [i32]) {
        let part = self.window.width as usize * self.channels;
        let inputs = Inputs { groups: &plane.groups, part, pitch: self.row, fresh };
        self.packed.multiply_parts(level, inputs, rows, sums);
    }
}

/// The last of the first steps of each window over a grid in which anything is sent to it, or 0, where positions send for the last
/// time.
#[inline(always)]
pub(super) fn lasts(window: Window, source: Grid, (lasts, steps): (&[u32], u32)) -> Vec<u32> {
    let Window { height, width, stride, padding } = window;
    let [edge, stride, across] = [padding, stride, source.width].map(|number| number as usize);
    let [down, beside] = [source.height, source.width].map(|length| (length + 2 * padding) as usize);
    let mut padded = vec![0; down * beside];
    let rows = padded[edge * beside..].chunks_exact_mut(beside).zip(lasts.chunks_exact(across));
    rows.for_each(|(to, from)| to[edge..edge + across].copy_from_slice(from));
    let [rows, columns] = [(down, height), (beside, width)].map(|(length, of)| (length - of as usize) / stride + 1);
    let mut all = vec![0; rows * columns];
    for (y, row) in all.chunks_exact_mut(columns).enumerate() {
        for (down, right) in (0..height as usize).flat_map(|down| (0..width as usize).map(move |right| (down, right))) {
            let seen = &padded[(y * stride + down) * beside + right..];
            let pairs = row.iter_mut().zip(seen.iter().step_by(stride));
            pairs.for_each(|(last, &seen)| *last = seen.min(steps).max(*last));
        }
    }
    all
}
