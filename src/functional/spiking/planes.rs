//! Single spikes laid out as windows see them: for each step a byte for each channel, position by position, with as much
//! padding around the grid as windows reach beyond it. The rows of a window are then inputs of a product as they stand.

use super::spikes::Spikes;
use crate::functional::lanes::{Inputs, Level, Packed, Row, Spread, Width, spread};
use crate::graph::{Kernel, Taps};
use crate::units::{Grid, Window};

/// Where windows find what they see.
#[derive(Debug)]
pub(super) struct Planes {
    /// Weights of all taps, for signs.
    packed: Packed,
    window: Window,
    source: Grid,
    /// Groups of four channels of a position, of a row of positions, and of a plane.
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
    /// `None` where channels are no whole groups, windows are summed up first, or weights do not fit into 8 bits.
    pub fn new(kernel: &Kernel<i32>, (taps, source): (&Taps, Grid), positions: usize) -> Option<Self> {
        let (window, inputs) = (kernel.window, kernel.in_channels as usize);
        let small = kernel.weights.iter().all(|&weight| weight == i32::from(weight as i8));
        let whole = inputs.is_multiple_of(Width::Signs.inputs());
        if !small || !whole || kernel.groups > 1 || kernel.pool.is_some() {
            return None;
        }
        let channels = inputs / Width::Signs.inputs();
        let outputs = kernel.out_channels as usize;
        let row = (source.width + 2 * window.padding) as usize * channels;
        let size = (source.height + 2 * window.padding) as usize * row;
        let width = ((source.width + 2 * window.padding - window.width) / window.stride + 1) as usize;
        let first = |at: usize| (at / width * row + at % width * channels) * window.stride as usize;
        let packed = Packed::new(Width::Signs, window.area() as usize * inputs, outputs, |input| {
            &kernel.weights[input * outputs..][..outputs]
        });
        let firsts = (0..positions).map(|at| first(at) as u32).collect();
        let place = |(y, x): (u32, u32)| (y + window.padding) * row as u32 + (x + window.padding) * channels as u32;
        let places = (0..source.height).flat_map(|y| (0..source.width).map(move |x| (y, x))).map(place).collect();
        let reached = source.whole().positions.map(|position| taps.of(position).len() as u32).collect();
        Some(Self { packed, window, source, channels, row, size, places, firsts, reached })
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
        let places = self.places.iter().zip(&self.reached).enumerate();
        let positions = places.map(|(position, (&place, &times))| Spread {
            rows: spikes.rows(position, steps),
            first: each * place as usize,
            times,
        });
        let (size, bytes) = ((each * self.channels, each * self.size), bytemuck::cast_slice_mut(&mut groups));
        let landed = spread(spikes.level(), positions, size, bytes);
        (Plane { groups, steps, lasts: self.lasts(spikes.lasts(), steps), gain }, landed)
    }

    /// The last of the first steps of each window in which anything is sent to it.
    #[inline(always)]
    fn lasts(&self, lasts: &[u32], steps: u32) -> Vec<u32> {
        let Window { height, width, stride, padding } = self.window;
        let (edge, beside) = (padding as usize, (self.source.width + 2 * padding) as usize);
        let mut padded = vec![0; beside * (self.source.height + 2 * padding) as usize];
        let rows = padded[edge * beside..].chunks_exact_mut(beside).zip(lasts.chunks_exact(self.source.width as usize));
        rows.for_each(|(to, from)| to[edge..edge + from.len()].copy_from_slice(from));
        let across = (beside - width as usize) / stride as usize + 1;
        let mut all = vec![0; self.firsts.len()];
        for (y, row) in all.chunks_exact_mut(across).enumerate() {
            for (down, right) in
                (0..height as usize).flat_map(|down| (0..width as usize).map(move |right| (down, right)))
            {
                let seen = &padded[(y * stride as usize + down) * beside + right..];
                let pairs = row.iter_mut().zip(seen.iter().step_by(stride as usize));
                pairs.for_each(|(last, &seen)| *last = seen.min(steps).max(*last));
            }
        }
        all
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
