//! Pictures of handwritten-looking digits: strokes with jitter, warped, on coloured paper, with noise and clutter.
//!
//! No transcendental function is used: the pictures are the same on every machine.

use super::SIZE;
use super::glyphs::{self, Point};
use crate::images::Images;
use crate::random::Draws;
use crate::units::Grid;
use rayon::prelude::*;

/// Straight pieces of which a curve is made, between two of its points.
const PIECES: usize = 6;
/// Pixels over which the edge of a stroke fades.
const FADE: f32 = 1.0;

/// A set of pictures: each from a stream of its own, classes in turn.
///
/// `set` tells independent sets of one seed apart, such as training and test pictures.
#[must_use]
pub fn digits(seed: u64, set: u64, count: usize) -> Images {
    let labels: Vec<u32> = (0..count).map(|index| (index % 10) as u32).collect();
    let draw = |(index, label): (usize, &u32)| picture(&mut Draws::at(seed, &[set, index as u64]), *label as usize);
    let pixels: Vec<Vec<u8>> = labels.par_iter().enumerate().map(draw).collect();
    Images { grid: Grid { height: SIZE, width: SIZE, channels: 3 }, pixels: pixels.concat(), labels }
}

/// A straight piece of a stroke, its ends in pixels.
type Piece = (Point, Point);

/// One picture, rows of pixels with three colours each.
fn picture(random: &mut Draws, digit: usize) -> Vec<u8> {
    let hand = Hand::new(random);
    let width = random.between(1.1, 2.0);
    let strokes: Vec<Piece> = glyphs::strokes(random, digit)
        .iter()
        .flat_map(|stroke| pieces(&stroke.iter().map(|&point| hand.place(point)).collect::<Vec<_>>()))
        .collect();
    let clutter: Vec<Piece> = (0..random.below(4)).map(|_| scratch(random)).collect();
    let paper = Paper::new(random);
    let [ink, other] = paper.inks(random);
    let noise = random.between(0.02, 0.09);
    let pixels = (0..SIZE).flat_map(|row| (0..SIZE).map(move |column| (column as f32 + 0.5, row as f32 + 0.5)));
    pixels
        .flat_map(|point| {
            let (scratched, inked) = (cover(&clutter, point, 1.0), cover(&strokes, point, width));
            let ground = paper.colour(point);
            std::array::from_fn::<u8, 3, _>(|colour| {
                let below = ground[colour] + (other[colour] - ground[colour]) * scratched;
                let value = below + (ink[colour] - below) * inked + noise * random.normal();
                (value.clamp(0.0, 1.0) * 255.0) as u8
            })
        })
        .collect()
}

/// How a writer's hand places the unit square on the picture: a turn, a shear, sizes, a shift and a bend.
struct Hand {
    matrix: [f32; 4],
    shift: [f32; 2],
    bend: [f32; 4],
}

impl Hand {
    fn new(random: &mut Draws) -> Self {
        let turn = random.between(-0.16, 0.16);
        // the rational parametrisation of the circle: sine and cosine of an angle near 2 · turn
        let (cosine, sine) = ((1.0 - turn * turn) / (1.0 + turn * turn), 2.0 * turn / (1.0 + turn * turn));
        let (wide, high, shear) = (random.between(0.55, 0.85), random.between(0.65, 0.92), random.between(-0.3, 0.3));
        let size = SIZE as f32;
        let matrix = [cosine * wide, cosine * shear - sine * high, sine * wide, sine * shear + cosine * high];
        Self {
            matrix: matrix.map(|entry| entry * size),
            shift: std::array::from_fn(|_| random.between(0.42, 0.58) * size),
            bend: std::array::from_fn(|_| random.between(-0.3, 0.3)),
        }
    }

    fn place(&self, (x, y): Point) -> Point {
        let (x, y) = (x - 0.5, y - 0.5);
        let [a, b, c, d] = self.bend;
        let (x, y) = (x + a * y * y + b * x * y, y + c * x * x + d * x * y);
        let [xx, xy, yx, yy] = self.matrix;
        (xx * x + xy * y + self.shift[0], yx * x + yy * y + self.shift[1])
    }
}

/// The smooth curve through points, in straight pieces (Catmull and Rom 1974).
fn pieces(points: &[Point]) -> Vec<Piece> {
    let last = points.len() - 1;
    let on_curve = |at: usize, t: f32| {
        let [p, q, r, s] = [at.saturating_sub(1), at, at + 1, (at + 2).min(last)].map(|index| points[index]);
        let blend = |p: f32, q: f32, r: f32, s: f32| {
            let (linear, square, cube) = (r - p, 2.0 * p - 5.0 * q + 4.0 * r - s, 3.0 * (q - r) + s - p);
            q + 0.5 * t * (linear + t * (square + t * cube))
        };
        (blend(p.0, q.0, r.0, s.0), blend(p.1, q.1, r.1, s.1))
    };
    let along = (0..last).flat_map(|at| (0..PIECES).map(move |step| (at, step as f32 / PIECES as f32)));
    let mut curve: Vec<Point> = along.map(|(at, t)| on_curve(at, t)).collect();
    curve.push(points[last]);
    curve.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// A stray line near an edge of the picture.
fn scratch(random: &mut Draws) -> Piece {
    let size = SIZE as f32;
    let (along, depth) = (random.between(0.0, size), random.between(0.0, 0.16) * size);
    let (run, rise) = (random.between(-6.0, 6.0), random.between(-1.5, 1.5));
    let (from, to) = ((along, depth), (along + run, depth + rise));
    let turned = |(x, y): Point, side: u64| match side {
        0 => (x, y),
        1 => (x, size - y),
        2 => (y, x),
        _ => (size - y, x),
    };
    let side = random.below(4);
    (turned(from, side), turned(to, side))
}

/// How much of a pixel is covered by strokes of this width, 0 to 1.
fn cover(pieces: &[Piece], point: Point, width: f32) -> f32 {
    let nearest = pieces.iter().map(|&piece| distance_squared(piece, point)).fold(f32::INFINITY, f32::min);
    ((width / 2.0 - nearest.sqrt()) / FADE + 0.5).clamp(0.0, 1.0)
}

fn distance_squared(((ax, ay), (bx, by)): Piece, (x, y): Point) -> f32 {
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { (((x - ax) * dx + (y - ay) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    let (ex, ey) = (ax + along * dx - x, ay + along * dy - y);
    ex * ex + ey * ey
}

/// Paper of one colour that grows lighter or darker towards one side.
struct Paper {
    colour: [f32; 3],
    slope: [f32; 2],
}

impl Paper {
    fn new(random: &mut Draws) -> Self {
        Self {
            colour: std::array::from_fn(|_| random.unit()),
            slope: std::array::from_fn(|_| random.between(-0.15, 0.15)),
        }
    }

    fn colour(&self, (x, y): Point) -> [f32; 3] {
        let centred = |at: f32| at / SIZE as f32 * 2.0 - 1.0;
        let shade = self.slope[0] * centred(x) + self.slope[1] * centred(y);
        self.colour.map(|value| value + shade)
    }

    /// Colours of the writing and of the clutter, lighter or darker than the paper.
    fn inks(&self, random: &mut Draws) -> [[f32; 3]; 2] {
        let away = |value: f32, by: f32, lighter: bool| if lighter { value + by } else { value - by };
        let lighter = self.colour.iter().sum::<f32>() < 1.5;
        let ink = self.colour.map(|value| away(value, random.between(0.35, 0.7), lighter));
        let other = self.colour.map(|value| away(value, random.between(0.1, 0.5), random.chance(0.5)));
        [ink, other]
    }
}
