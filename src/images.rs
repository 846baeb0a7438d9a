//! Images with their labels.

use crate::units::Grid;

/// A set of images of one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Shape of an image: height, width, colours.
    pub grid: Grid,
    /// Bytes of all images, one after the other; within an image as in [`Grid`], colours innermost.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u32>,
}

impl Images {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The bytes of one image.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.grid.neurons();
        &self.pixels[index * size..(index + 1) * size]
    }
}
