//! Bits of what neurons fire, while they fire it.

use super::WORD;
use super::fire::Course;

/// What the neurons of all positions fire, one position after the other: rows of bits, one for each step.
#[derive(Debug, Default)]
pub(in crate::functional) struct Raster {
    /// For each row words of positive spikes, then as many of negative ones.
    pub bits: Vec<u64>,
    /// How many rows there are before each position.
    pub firsts: Vec<usize>,
    /// The last step of each position in which it fires, from 1; or 0.
    pub lasts: Vec<u32>,
    /// How many spikes there are, and how many of them are negative.
    pub spikes: u64,
    pub negative: u64,
}

/// Rows of bits of one position while it fires; those to come are zeros.
pub(in crate::functional) struct Marks<'a> {
    bits: &'a mut [u64],
    /// Words of a row.
    row: usize,
    /// The last step in which anything is fired, from 1; or 0.
    pub last: usize,
    spikes: u32,
    negative: u32,
}

impl<'a> Marks<'a> {
    /// Rows of so many words each, in which nothing is fired yet.
    #[inline(always)]
    pub fn new(bits: &'a mut [u64], row: usize) -> Self {
        Self { bits, row, last: 0, spikes: 0, negative: 0 }
    }

    /// Notes what is fired in a step, from 0, `at` bits beyond the beginning.
    #[inline(always)]
    pub fn note(&mut self, step: usize, at: usize, (plus, minus): (u64, u64)) {
        let row = &mut self.bits[step * self.row..][..self.row];
        row[at / WORD] |= plus << (at % WORD);
        row[at / WORD + self.row / 2] |= minus << (at % WORD);
        self.spikes += plus.count_ones() + minus.count_ones();
        self.negative += minus.count_ones();
        self.last = self.last.max(step + 1);
    }
}

impl Raster {
    /// Lets each course fire its rows, of so many words.
    #[inline(always)]
    pub fn each<'c>(
        &mut self,
        row: usize,
        courses: impl ExactSizeIterator<Item = Course<'c>>,
        mut fire: impl FnMut(Course<'c>, &mut Marks),
    ) {
        let (mut end, mut rows) = (self.bits.len(), self.bits.len() / row);
        for (left, course) in (1..=courses.len()).rev().zip(courses) {
            let most = course.steps.1 * row;
            if self.bits.len() < end + most {
                self.bits.resize(end + left * most, 0);
            }
            let mut marks = Marks::new(&mut self.bits[end..end + most], row);
            fire(course, &mut marks);
            let Marks { last, spikes, negative, .. } = marks;
            self.firsts.push(rows);
            self.lasts.push(last as u32);
            self.spikes += u64::from(spikes);
            self.negative += u64::from(negative);
            rows += last;
            end += last * row;
        }
        self.bits.truncate(end);
    }
}
