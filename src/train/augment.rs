//! Training images as they are met: cropped, mirrored, changed by a policy, normalised, with a square cut out.
//!
//! Every image of every epoch has a stream of random numbers of its own, so that a batch does not depend on the others.

use super::learner::Batch;
use super::policy;
use crate::experiment::Experiment;
use crate::images::Images;
use crate::network::Input;
use crate::random::Draws;
use crate::units::Grid;
use rayon::prelude::*;

/// What is done to training images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    /// Seed of the streams.
    pub seed: u64,
    /// Pixels around an image out of which it is cropped again.
    pub crop_padding: u32,
    /// Whether half of the images are mirrored.
    pub flip: bool,
    /// Side of the square that is cut out.
    pub cutout: u32,
    /// Whether a policy of AutoAugment is applied.
    pub auto_augment: bool,
}

/// Tells the streams of augmentation from those of weights and order.
const STREAM: u64 = 0xa06;

impl From<&Experiment> for Augmentation {
    fn from(experiment: &Experiment) -> Self {
        let Experiment { seed, crop_padding, flip, cutout, auto_augment, .. } = *experiment;
        Self { seed, crop_padding, flip, cutout, auto_augment }
    }
}

/// A batch of the images at `indices`, as they are met in `epoch`.
#[must_use]
pub fn training(images: &Images, input: &Input, indices: &[usize], epoch: u64, augmentation: Augmentation) -> Batch {
    let one = |&index: &usize| augmented(images, input, index, epoch, augmentation);
    let pixels: Vec<Vec<f32>> = indices.par_iter().map(one).collect();
    Batch { pixels: pixels.concat(), labels: indices.iter().map(|&index| images.labels[index]).collect() }
}

/// A batch of images as they are.
#[must_use]
pub fn plain(images: &Images, input: &Input, indices: std::ops::Range<usize>) -> Batch {
    let pixels: Vec<Vec<f32>> =
        indices.clone().into_par_iter().map(|index| normalised(images.image(index), input)).collect();
    Batch { pixels: pixels.concat(), labels: images.labels[indices].to_vec() }
}

/// `(pixel / 255 - mean) / std`, colours innermost.
fn normalised(image: &[u8], input: &Input) -> Vec<f32> {
    let colours = input.channels as usize;
    let value =
        |(at, &pixel): (usize, &u8)| (f32::from(pixel) / 255.0 - input.mean[at % colours]) / input.std[at % colours];
    image.iter().enumerate().map(value).collect()
}

fn augmented(images: &Images, input: &Input, index: usize, epoch: u64, how: Augmentation) -> Vec<f32> {
    let mut random = Draws::at(how.seed, &[STREAM, epoch, index as u64]);
    let grid = images.grid;
    // the padding is the mean colour, which is zero when normalised
    let ground: Vec<u8> = input.mean.iter().map(|mean| (mean * 255.0).round() as u8).collect();
    let mut image = cropped(images.image(index), grid, &ground, how.crop_padding, &mut random);
    if how.flip && random.chance(0.5) {
        mirror(&mut image, grid);
    }
    if how.auto_augment {
        image = policy::apply(&mut random, &image, grid, &ground);
    }
    let mut values = normalised(&image, input);
    if how.cutout > 0 {
        cut_out(&mut values, grid, how.cutout, &mut random);
    }
    values
}

/// The image moved by at most `padding` pixels in each direction; `ground` comes in from outside.
fn cropped(image: &[u8], grid: Grid, ground: &[u8], padding: u32, random: &mut Draws) -> Vec<u8> {
    let reach = i64::from(padding);
    let mut shift = || random.below(2 * u64::from(padding) + 1) as i64 - reach;
    let (down, right) = (shift(), shift());
    let colours = grid.channels as usize;
    let mut moved = Vec::with_capacity(image.len());
    for y in 0..i64::from(grid.height) {
        for x in 0..i64::from(grid.width) {
            let (row, column) = (y + down, x + right);
            let there = (0..i64::from(grid.height)).contains(&row) && (0..i64::from(grid.width)).contains(&column);
            let at = if there { (row * i64::from(grid.width) + column) as usize * colours } else { 0 };
            moved.extend_from_slice(if there { &image[at..at + colours] } else { ground });
        }
    }
    moved
}

fn mirror(image: &mut [u8], grid: Grid) {
    let (width, colours) = (grid.width as usize, grid.channels as usize);
    for row in image.chunks_exact_mut(width * colours) {
        for x in 0..width / 2 {
            for colour in 0..colours {
                row.swap(x * colours + colour, (width - 1 - x) * colours + colour);
            }
        }
    }
}

/// Sets a square to zero, its middle anywhere in the image (DeVries and Taylor 2017).
fn cut_out(values: &mut [f32], grid: Grid, side: u32, random: &mut Draws) {
    let (middle_y, middle_x) = (random.below(grid.height.into()) as i64, random.below(grid.width.into()) as i64);
    let within = |at: i64, middle: i64| {
        let start = middle - i64::from(side / 2);
        (start..start + i64::from(side)).contains(&at)
    };
    let colours = grid.channels as usize;
    for (position, pixel) in values.chunks_exact_mut(colours).enumerate() {
        let (y, x) = (position as i64 / i64::from(grid.width), position as i64 % i64::from(grid.width));
        if within(y, middle_y) && within(x, middle_x) {
            pixel.fill(0.0);
        }
    }
}
