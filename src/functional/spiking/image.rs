//! The input stage: what an image's bytes become is injected in each of the steps up to T.

use super::spare::Spare;
use super::train::Train;
use super::{Options, Ran};
use crate::functional::Values;
use crate::functional::input::LookUp;
use crate::functional::lanes::{ByteTables, Found, Level};
use crate::graph::Input;
use crate::units::Grid;

/// What every byte becomes.
#[derive(Debug)]
pub(super) struct Pixels {
    known: LookUp<i32>,
    /// The same in words, where all fit.
    tables: Option<ByteTables>,
}

impl Pixels {
    pub fn new(input: &Input) -> Self {
        let known = LookUp::new(input);
        Self { tables: ByteTables::new(known.tables()), known }
    }

    /// The stage for an image of its grid's size.
    pub fn run(&self, image: &[u8], (grid, level): (Grid, Level), spare: &mut Spare, options: &Options) -> Ran {
        let (mut ran, mut numbers) = (Ran::new(grid, 0, options.time_steps), std::mem::take(&mut spare.pixels));
        numbers.resize(image.len(), 0);
        let words = self.tables.as_ref().and_then(|tables| Some((tables, tables.times(options.time_steps)?)));
        let counts = if let Some((tables, times)) = words {
            let mut products = spare.values().into_words();
            products.resize(image.len(), 0);
            let mut found = Found { numbers: &mut numbers, products: &mut products, times };
            let counts = tables.look_up(level, image, &mut found);
            ran.values = Values::Words(products);
            counts
        } else {
            self.known.all(image, &mut numbers);
            let wide = numbers.iter().map(|&number| i64::from(number) * i64::from(options.time_steps));
            ran.values = Values::of(wide.collect());
            let count = |reason: fn(&i32) -> bool| numbers.iter().filter(|number| reason(number)).count() as u64;
            (count(|&number| number != 0), count(|&number| number < 0))
        };
        if options.record {
            ran.widths.rest(0, &numbers);
        }
        ran.train = Train::repeated(grid, numbers, counts, options.time_steps);
        ran
    }
}
