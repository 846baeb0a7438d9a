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
    /// All images of sets of one shape, one set after the other.
    ///
    /// # Panics
    /// If the sets have different shapes.
    #[must_use]
    pub fn joined(sets: Vec<Self>) -> Self {
        let mut sets = sets.into_iter();
        let mut all = sets.next().unwrap_or(Self {
            grid: Grid { height: 0, width: 0, channels: 0 },
            pixels: vec![],
            labels: vec![],
        });
        for set in sets {
            assert_eq!(set.grid, all.grid, "sets of one shape are joined");
            all.pixels.extend(set.pixels);
            all.labels.extend(set.labels);
        }
        all
    }

    /// The first `count` images, or all where there are fewer.
    #[must_use]
    pub fn first(mut self, count: usize) -> Self {
        self.labels.truncate(count);
        self.pixels.truncate(self.labels.len() * self.grid.neurons());
        self
    }

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

    /// Mean and standard deviation of each colour over all images, on the scale 0 to 1.
    #[must_use]
    pub fn moments(&self) -> (Vec<f32>, Vec<f32>) {
        let colours = self.grid.channels.max(1) as usize;
        let count = (self.pixels.len() / colours).max(1) as f64;
        let moment = |colour: usize| {
            let values = self.pixels.iter().skip(colour).step_by(colours);
            let (sum, squares) = values.fold((0u64, 0u64), |(sum, squares), &value| {
                (sum + u64::from(value), squares + u64::from(value) * u64::from(value))
            });
            let mean = sum as f64 / count;
            let deviation = (squares as f64 / count - mean * mean).max(0.0).sqrt();
            // pictures of one colour are left as they are
            ((mean / 255.0) as f32, if deviation > 0.0 { (deviation / 255.0) as f32 } else { 1.0 })
        };
        (0..colours).map(moment).unzip()
    }

    /// The bytes of one image.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.grid.neurons();
        &self.pixels[index * size..(index + 1) * size]
    }
}
