//! The 25 policies that AutoAugment found for CIFAR-10 (Cubuk, Zoph, Mané, Vasudevan and Le, CVPR 2019, table 7).
//!
//! Magnitudes 0..9 mean what they mean in the common implementation: shears up to 0.3, shifts up to 150/331 of the image,
//! turns up to 30°, blends by up to 0.9, either way.

use super::pixels::{self, Picture};
use crate::random::Draws;
use crate::units::Grid;

/// What a policy does to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Colour,
    Contrast,
    Sharpness,
    Posterise,
    Solarise,
    AutoContrast,
    Equalise,
    Invert,
}

/// A change, its probability in tenths, and its magnitude.
type Part = (Change, u8, u8);

use Change::{
    AutoContrast, Brightness, Colour, Contrast, Equalise, Invert, Posterise, Rotate, Sharpness, ShearY, Solarise,
    TranslateX, TranslateY,
};

const POLICIES: [[Part; 2]; 25] = [
    [(Invert, 1, 0), (Contrast, 2, 6)],
    [(Rotate, 7, 2), (TranslateX, 3, 9)],
    [(Sharpness, 8, 1), (Sharpness, 9, 3)],
    [(ShearY, 5, 8), (TranslateY, 7, 9)],
    [(AutoContrast, 5, 0), (Equalise, 9, 0)],
    [(ShearY, 2, 7), (Posterise, 3, 7)],
    [(Colour, 4, 3), (Brightness, 6, 7)],
    [(Sharpness, 3, 9), (Brightness, 7, 9)],
    [(Equalise, 6, 0), (Equalise, 5, 0)],
    [(Contrast, 6, 7), (Sharpness, 6, 5)],
    [(Colour, 7, 7), (TranslateX, 5, 8)],
    [(Equalise, 3, 0), (AutoContrast, 4, 0)],
    [(TranslateY, 4, 3), (Sharpness, 2, 6)],
    [(Brightness, 9, 6), (Colour, 2, 8)],
    [(Solarise, 5, 2), (Invert, 0, 0)],
    [(Equalise, 2, 0), (AutoContrast, 6, 0)],
    [(Equalise, 2, 0), (Equalise, 6, 0)],
    [(Colour, 9, 9), (Equalise, 6, 0)],
    [(AutoContrast, 8, 0), (Solarise, 2, 8)],
    [(Brightness, 1, 3), (Colour, 7, 0)],
    [(Solarise, 4, 5), (AutoContrast, 9, 0)],
    [(TranslateY, 9, 9), (TranslateY, 7, 9)],
    [(AutoContrast, 9, 0), (Solarise, 8, 3)],
    [(Equalise, 8, 0), (Invert, 1, 0)],
    [(TranslateY, 7, 9), (AutoContrast, 9, 0)],
];

/// Largest magnitude.
const TOP: f32 = 9.0;

/// The image after one of the policies; `ground` comes in from outside.
pub fn apply(random: &mut Draws, image: &[u8], grid: Grid, ground: &[u8]) -> Vec<u8> {
    let policy = POLICIES[random.below(POLICIES.len() as u64) as usize];
    let mut picture = Picture { pixels: image.to_vec(), grid };
    for (change, tenths, magnitude) in policy {
        let (drawn, negative) = (random.unit(), random.chance(0.5));
        if drawn * 10.0 < f32::from(tenths) {
            let share = f32::from(magnitude) / TOP;
            let signed = if negative { -share } else { share };
            picture = changed(&picture, change, (share, signed), ground);
        }
    }
    picture.pixels
}

fn changed(picture: &Picture, change: Change, (share, signed): (f32, f32), ground: &[u8]) -> Picture {
    let (height, width) = (picture.grid.height as f32, picture.grid.width as f32);
    let shift = |size: f32| (signed * size * 150.0 / 331.0) as i64 as f32;
    let factor = 1.0 + 0.9 * signed;
    match change {
        ShearY => pixels::placed(picture, ground, |x, y| (x, y + 0.3 * signed * x)),
        TranslateX => pixels::placed(picture, ground, |x, y| (x - shift(width), y)),
        TranslateY => pixels::placed(picture, ground, |x, y| (x, y - shift(height))),
        Rotate => {
            let (sine, cosine) = pixels::sine_and_cosine(30.0 * signed);
            let (middle_x, middle_y) = (width / 2.0, height / 2.0);
            pixels::placed(picture, ground, |x, y| {
                let (x, y) = (x - middle_x, y - middle_y);
                (cosine * x - sine * y + middle_x, sine * x + cosine * y + middle_y)
            })
        }
        Brightness => pixels::blended(picture, factor, |_, _| 0.0),
        Colour => pixels::blended(picture, factor, |_, luma| luma),
        Contrast => {
            let mean = pixels::mean_luma(picture);
            pixels::blended(picture, factor, |_, _| mean)
        }
        Sharpness => {
            let smooth = pixels::smoothed(picture);
            pixels::blended(picture, factor, |at, _| smooth[at])
        }
        Posterise => {
            let bits = 8 - (share * 4.0).round() as u32;
            let kept = (0xff_u32 << (8 - bits)) as u8;
            pixels::each(picture, |value| value & kept)
        }
        Solarise => {
            let threshold = 255.0 * (1.0 - share);
            pixels::each(picture, |value| if f32::from(value) >= threshold { 255 - value } else { value })
        }
        AutoContrast => pixels::by_plane(picture, pixels::stretched),
        Equalise => pixels::by_plane(picture, pixels::equalised),
        Invert => pixels::each(picture, |value| 255 - value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Grid = Grid { height: 6, width: 8, channels: 3 };
    const GROUND: [u8; 3] = [125, 123, 114];

    fn picture() -> Picture {
        let places = (0..6u32).flat_map(|y| (0..8u32).map(move |x| (x, y)));
        let colours = |(x, y): (u32, u32)| {
            [(37 * x + 11 * y + 20) % 200 + 20, (53 * y + 7 * x * x + 90) % 180 + 30, (29 * x * y + 140) % 220 + 10]
        };
        Picture { pixels: places.flat_map(colours).map(|value| value as u8).collect(), grid: GRID }
    }

    /// Sum of all bytes, and the pixels at (3, 2), (0, 0) and (7, 5).
    type Wanted = (i64, [[u8; 3]; 3]);

    /// What Pillow 12 gives, to one step of a colour.
    fn is_as_in_pillow(change: Change, signed: f32, (sum, pixels): Wanted) {
        let found = changed(&picture(), change, (signed.abs(), signed), &GROUND);
        let pixel = |x: usize, y: usize| &found.pixels[(y * 8 + x) * 3..][..3];
        for (found, wanted) in [pixel(3, 2), pixel(0, 0), pixel(7, 5)].into_iter().zip(pixels) {
            let near = found.iter().zip(wanted).all(|(&found, wanted)| found.abs_diff(wanted) <= 1);
            assert!(near, "{change:?} {signed}: {found:?} where {wanted:?} is wanted");
        }
        let total: i64 = found.pixels.iter().map(|&value| i64::from(value)).sum();
        assert!((total - sum).abs() <= 72, "{change:?} {signed}: sum {total} where {sum} is wanted");
    }

    #[test]
    fn blends_are_those_of_pillow() {
        let (less, more) = (-2.0 / 3.0, 2.0 / 3.0);
        let same = [[40, 120, 150], [154, 188, 65]];
        is_as_in_pillow(Brightness, less, (6740, [[69, 43, 41], [16, 48, 60], [61, 75, 26]]));
        is_as_in_pillow(Brightness, more, (25583, [[255, 174, 166], [64, 192, 240], [246, 255, 104]]));
        is_as_in_pillow(Colour, less, (16868, [[146, 120, 118], [76, 108, 120], [160, 173, 124]]));
        is_as_in_pillow(Colour, more, (16998, [[200, 97, 89], [4, 132, 180], [148, 202, 5]]));
        is_as_in_pillow(Contrast, less, (16847, [[139, 113, 111], [86, 118, 130], [131, 145, 96]]));
        is_as_in_pillow(Contrast, more, (17185, [[206, 104, 96], [0, 121, 169], [176, 230, 33]]));
        is_as_in_pillow(Sharpness, less, (17066, [[164, 110, 104], same[0], same[1]]));
        is_as_in_pillow(Sharpness, more, (16917, [[182, 107, 104], same[0], same[1]]));
    }

    #[test]
    fn tables_are_those_of_pillow() {
        let as_it_is = [[173, 109, 104], [40, 120, 150], [154, 188, 65]];
        is_as_in_pillow(Posterise, 0.75, (16464, [[168, 104, 104], [40, 120, 144], [152, 184, 64]]));
        is_as_in_pillow(Solarise, 2.0 / 3.0, (12879, [[82, 146, 151], [40, 135, 105], [101, 67, 65]]));
        is_as_in_pillow(AutoContrast, 0.0, (18389, [[205, 111, 112], [25, 127, 169], [179, 224, 64]]));
        is_as_in_pillow(Equalise, 0.0, (16976, as_it_is));
        is_as_in_pillow(Invert, 0.0, (19744, [[82, 146, 151], [215, 135, 105], [101, 67, 190]]));
    }

    #[test]
    fn places_are_those_of_pillow() {
        is_as_in_pillow(ShearY, 2.0 / 3.0, (16816, [[184, 162, 191], [40, 120, 150], GROUND]));
        is_as_in_pillow(TranslateX, -0.9, (16911, [[84, 118, 58], [151, 183, 150], GROUND]));
        is_as_in_pillow(Rotate, 2.0 / 3.0, (16578, [[173, 109, 104], GROUND, GROUND]));
    }

    #[test]
    fn each_policy_is_drawn_and_keeps_the_shape() {
        let mut draws: Vec<u64> = (0..1000).map(|seed| Draws::new(seed).below(25)).collect();
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), POLICIES.len());
        let before = picture().pixels;
        let after: Vec<_> = (0..1000).map(|seed| apply(&mut Draws::new(seed), &before, GRID, &GROUND)).collect();
        assert!(after.iter().all(|picture| picture.len() == before.len()));
        let changed = after.iter().filter(|picture| **picture != before).count() as f64 / 1000.0;
        let expected = POLICIES.iter().map(changes).sum::<f64>() / POLICIES.len() as f64;
        // three standard deviations of a thousand draws
        assert!((changed - expected).abs() < 0.047, "{changed} are changed, {expected} expected");
    }

    /// The probability that a policy changes the picture, by those of its parts that do so alone, either way.
    fn changes(policy: &[Part; 2]) -> f64 {
        let kept = policy.iter().map(|(change, tenths, magnitude)| {
            let share = f32::from(*magnitude) / TOP;
            let seen = [share, -share].map(|signed| changed(&picture(), *change, (share, signed), &GROUND));
            let visible = seen.iter().filter(|found| found.pixels != picture().pixels).count() as f64 / 2.0;
            1.0 - f64::from(*tenths) / 10.0 * visible
        });
        1.0 - kept.product::<f64>()
    }
}
