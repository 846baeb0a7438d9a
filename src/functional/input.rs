//! From the bytes of an image to what the input stage injects in each of the steps 1..=T.

use super::FunctionalError;
use super::arithmetic::Arithmetic;
use crate::graph::{Graph, Input, StageKind};

/// What the input stage of `graph` sends in one step, neuron by neuron, for an image of `height · width · channels` bytes.
///
/// A graph that biases alone drive injects nothing, for the image of no bytes.
///
/// # Errors
/// If the image has another size.
pub fn injected<S: Arithmetic>(graph: &Graph<S>, image: &[u8]) -> Result<Vec<S>, FunctionalError> {
    check(graph, image)?;
    let Some(StageKind::Input(input)) = graph.stages.first().map(|stage| &stage.kind) else { return Ok(vec![]) };
    let mut pixels = vec![S::default(); image.len()];
    LookUp::new(input).all(image, &mut pixels);
    Ok(pixels)
}

/// As [`injected`], but without looking at the bytes.
pub(super) fn check<S: Arithmetic>(graph: &Graph<S>, image: &[u8]) -> Result<(), FunctionalError> {
    let (found, first) = (image.len(), graph.stages.first());
    match first.filter(|stage| matches!(stage.kind, StageKind::Input(_))).map(|stage| stage.grid) {
        None if found > 0 => Err(FunctionalError::NoInput { found }),
        Some(grid) if found != grid.neurons() => {
            Err(FunctionalError::ImageSize { grid, wanted: grid.neurons(), found })
        }
        _ => Ok(()),
    }
}

/// What every byte is injected as.
#[derive(Debug, Clone)]
pub(super) struct LookUp<S> {
    /// For each channel.
    known: Vec<[S; 256]>,
}

impl<S: Arithmetic> LookUp<S> {
    /// That of an input stage: as many bytes as there are need their arithmetic once.
    pub fn new(input: &Input) -> Self {
        let channels = input.mean.len().max(1);
        let bytes: Vec<u8> = (0..=u8::MAX).flat_map(|byte| std::iter::repeat_n(byte, channels)).collect();
        let mut known = vec![[S::default(); 256]; channels];
        for (at, pixel) in normalised(&input.mean, &input.std, &bytes).enumerate() {
            known[at % channels][at / channels] = S::pixel(pixel, input);
        }
        Self { known }
    }

    /// For each channel.
    pub fn tables(&self) -> &[[S; 256]] {
        &self.known
    }

    /// All bytes of an image.
    pub fn all(&self, image: &[u8], pixels: &mut [S]) {
        match &self.known[..] {
            [red, green, blue] => each([red, green, blue], image, pixels),
            known => {
                let places = pixels.iter_mut().zip(image).zip(known.iter().cycle());
                places.for_each(|((pixel, &byte), known)| *pixel = known[usize::from(byte)]);
            }
        }
    }
}

/// All bytes of an image of so many channels, whole pixels at a time.
fn each<S: Copy, const C: usize>(known: [&[S; 256]; C], image: &[u8], pixels: &mut [S]) {
    for (bytes, pixel) in image.as_chunks::<C>().0.iter().zip(pixels.as_chunks_mut::<C>().0) {
        for ((channel, &byte), known) in pixel.iter_mut().zip(bytes).zip(known) {
            *channel = known[usize::from(byte)];
        }
    }
}

/// `(byte / 255 − mean) / std` for each byte; `mean` and `std` hold one value for each channel.
pub(super) fn normalised<'a>(mean: &'a [f32], std: &'a [f32], image: &'a [u8]) -> impl Iterator<Item = f32> + 'a {
    image.chunks_exact(mean.len().max(1)).flat_map(move |pixel| {
        let statistics = mean.iter().zip(std);
        pixel.iter().zip(statistics).map(|(&byte, (mean, std))| (f32::from(byte) / 255.0 - mean) / std)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_rounded_and_clipped() {
        let input = Input { mean: vec![0.5], std: vec![0.25], fraction_bits: 6, bits: 9 };
        let pixel = |normalised: f32| <i32 as Arithmetic>::pixel(normalised, &input);
        assert_eq!([pixel(0.0), pixel(1.0), pixel(-0.51 / 64.0), pixel(5.0), pixel(-5.0)], [0, 64, -1, 255, -256]);
    }
}
