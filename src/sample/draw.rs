//! Pictures of ten shapes with warps, colours and noise, drawn from a seed.

use super::SIZE;
use crate::images::Images;
use crate::random::Draws;
use crate::units::Grid;

/// How a pixel at `(x, y)`, both within -1..1 of a shape's own frame, belongs to it; one rule for each class.
const SHAPES: [fn(f32, f32) -> bool; 10] = [
    |x, y| x * x + y * y < 0.8,
    |x, y| (0.35..0.9).contains(&(x * x + y * y)),
    |x, y| x.abs().max(y.abs()) < 0.75,
    |x, y| (0.45..0.85).contains(&x.abs().max(y.abs())),
    |x, y| x.abs().min(y.abs()) < 0.22 && x.abs().max(y.abs()) < 0.9,
    |x, y| (x - y).abs().min((x + y).abs()) < 0.3 && x.abs().max(y.abs()) < 0.85,
    |x, y| y > -0.8 && y < 0.8 && x.abs() < (y + 0.8) * 0.55,
    |x, y| x.abs() + y.abs() < 0.85,
    |x, y| y.abs() < 0.85 && ((y + 1.0) * 2.5) as i32 % 2 == 0 && x.abs() < 0.85,
    |x, y| x.abs() < 0.85 && ((x + 1.0) * 2.5) as i32 % 2 == 0 && y.abs() < 0.85,
];

/// `count` pictures, classes in turn.
pub fn images(seed: u64, count: usize) -> Images {
    let mut random = Draws::new(seed ^ 0x1ae5);
    let labels: Vec<u32> = (0..count).map(|index| (index % SHAPES.len()) as u32).collect();
    let pixels = labels.iter().flat_map(|&label| picture(&mut random, label as usize)).collect();
    Images { grid: Grid { height: SIZE, width: SIZE, channels: 3 }, pixels, labels }
}

/// One picture, rows of pixels with three colours each.
fn picture(random: &mut Draws, class: usize) -> Vec<u8> {
    let mut between = |low: f32, high: f32| low + (high - low) * random.unit();
    let (size, shear, turn) = (between(0.6, 0.95), between(-0.3, 0.3), between(-0.25, 0.25));
    let (left, top) = (between(-0.2, 0.2), between(-0.2, 0.2));
    let paper: [f32; 3] = std::array::from_fn(|_| between(0.0, 0.4));
    let ink: [f32; 3] = std::array::from_fn(|_| between(0.6, 1.0));
    let mut pixels = vec![];
    for row in 0..SIZE {
        for column in 0..SIZE {
            let place = |at: u32, shift: f32| ((at as f32 + 0.5) / SIZE as f32 * 2.0 - 1.0 - shift) / size;
            let (x, y) = (place(column, left), place(row, top));
            let inside = SHAPES[class](x + shear * y + turn * y, y - turn * x);
            for colour in if inside { ink } else { paper } {
                let noise = 0.08 * random.normal();
                pixels.push(((colour + noise).clamp(0.0, 1.0) * 255.0) as u8);
            }
        }
    }
    pixels
}
