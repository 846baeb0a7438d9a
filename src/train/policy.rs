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
