//! Changes of a picture, byte by byte.

use crate::units::Grid;

/// A picture: rows of pixels, colours innermost.
pub struct Picture {
    /// Its bytes.
    pub pixels: Vec<u8>,
    /// Its shape.
    pub grid: Grid,
}

impl Picture {
    fn colours(&self) -> usize {
        self.grid.channels as usize
    }

    fn like(&self, pixels: Vec<u8>) -> Self {
        Self { pixels, grid: self.grid }
    }
}

/// Sine and cosine of an angle of at most 45 degrees, the same on every machine.
pub fn sine_and_cosine(degrees: f32) -> (f32, f32) {
    let angle = f64::from(degrees) * std::f64::consts::PI / 180.0;
    let square = angle * angle;
    let sine = angle * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))));
    let cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)));
    (sine as f32, cosine as f32)
}

/// The picture whose pixel at `(x, y)` is the one that `from` names (its middle, to the nearest); `ground` lies outside.
pub fn placed(picture: &Picture, ground: &[u8], from: impl Fn(f32, f32) -> (f32, f32)) -> Picture {
    let Grid { height, width, .. } = picture.grid;
    let mut pixels = Vec::with_capacity(picture.pixels.len());
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let (column, row) = from(x as f32 + 0.5, y as f32 + 0.5);
        let there = (0.0..width as f32).contains(&column) && (0.0..height as f32).contains(&row);
        let at = if there { (row as usize * width as usize + column as usize) * picture.colours() } else { 0 };
        pixels.extend_from_slice(if there { &picture.pixels[at..at + picture.colours()] } else { ground });
    }
    picture.like(pixels)
}

/// Each byte by itself.
pub fn each(picture: &Picture, change: impl Fn(u8) -> u8) -> Picture {
    picture.like(picture.pixels.iter().map(|&value| change(value)).collect())
}

/// `other + factor · (value - other)`, where `other` is given the place of the byte and the luma of its pixel.
pub fn blended(picture: &Picture, factor: f32, other: impl Fn(usize, f32) -> f32) -> Picture {
    let colours = picture.colours();
    let mut pixels = Vec::with_capacity(picture.pixels.len());
    for (position, pixel) in picture.pixels.chunks_exact(colours).enumerate() {
        let luma = luma(pixel);
        pixels.extend(pixel.iter().enumerate().map(|(colour, &value)| {
            let other = other(position * colours + colour, luma);
            (other + factor * (f32::from(value) - other)).clamp(0.0, 255.0) as u8
        }));
    }
    picture.like(pixels)
}

/// Brightness of a pixel (ITU-R BT.601), whole; of anything but three colours, their mean.
fn luma(pixel: &[u8]) -> f32 {
    match *pixel {
        [red, green, blue] => ((299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue)) / 1000) as f32,
        ref other => other.iter().map(|&value| f32::from(value)).sum::<f32>() / other.len().max(1) as f32,
    }
}

/// Mean brightness, rounded.
pub fn mean_luma(picture: &Picture) -> f32 {
    let sum: f32 = picture.pixels.chunks_exact(picture.colours()).map(luma).sum();
    (sum / picture.grid.positions().max(1) as f32).round()
}

/// Each inner byte as the mean of its neighbourhood, itself counted five times; the rim as it is.
pub fn smoothed(picture: &Picture) -> Vec<f32> {
    let (height, width, colours) = (picture.grid.height as usize, picture.grid.width as usize, picture.colours());
    let value = |y: usize, x: usize, colour: usize| f32::from(picture.pixels[(y * width + x) * colours + colour]);
    let mut smooth: Vec<f32> = picture.pixels.iter().map(|&value| f32::from(value)).collect();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            for colour in 0..colours {
                let around = (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| (y, x)));
                let sum: f32 = around.map(|(y, x)| value(y, x, colour)).sum();
                smooth[(y * width + x) * colours + colour] = ((sum + 4.0 * value(y, x, colour)) / 13.0).round();
            }
        }
    }
    smooth
}

/// Each colour plane through a table made from its histogram.
pub fn by_plane(picture: &Picture, table: impl Fn(&[u32; 256]) -> [u8; 256]) -> Picture {
    let colours = picture.colours();
    let mut histograms = vec![[0u32; 256]; colours];
    for (at, &value) in picture.pixels.iter().enumerate() {
        histograms[at % colours][usize::from(value)] += 1;
    }
    let tables: Vec<[u8; 256]> = histograms.iter().map(table).collect();
    let changed = picture.pixels.iter().enumerate().map(|(at, &value)| tables[at % colours][usize::from(value)]);
    picture.like(changed.collect())
}

fn identity() -> [u8; 256] {
    std::array::from_fn(|value| value as u8)
}

/// The darkest value becomes 0, the lightest 255.
pub fn stretched(histogram: &[u32; 256]) -> [u8; 256] {
    let low = histogram.iter().position(|&count| count > 0).unwrap_or(0);
    let high = histogram.iter().rposition(|&count| count > 0).unwrap_or(0);
    if high <= low {
        return identity();
    }
    let scale = 255.0 / (high - low) as f32;
    std::array::from_fn(|value| ((value as f32 - low as f32) * scale).clamp(0.0, 255.0) as u8)
}

/// All values become about equally frequent.
pub fn equalised(histogram: &[u32; 256]) -> [u8; 256] {
    let last = histogram.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
    let step = (histogram.iter().sum::<u32>() - last) / 255;
    if step == 0 {
        return identity();
    }
    let mut sum = step / 2;
    std::array::from_fn(|value| {
        let level = (sum / step).min(255) as u8;
        sum += histogram[value];
        level
    })
}
