//! What this machine can do at best in the inner loops of the functional run, one thread, measured as they run.
#![allow(unsafe_code, reason = "instructions beyond the baseline are called after the processor was asked for them")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use multiversion::multiversion;
use std::hint::black_box;
use std::time::Instant;

/// Billions of operations a second.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Products of bytes, added up, of operands that the first cache holds.
    pub products: f64,
    /// Weights of 8 bits of single spikes, added to potentials of 32 bits, rows of 384 from a table that fits into the second
    /// cache: `V[j] += W[i][j]`.
    pub rows: f64,
    /// The same where two weights to a word are summed up in words first, rows of 128, which is what the spiking run does.
    pub paired: f64,
    /// Neurons that take what arrived, fire, and are reset.
    pub neurons: f64,
    /// Counts in bytes that are compared with others, in the first cache.
    pub counts: f64,
    /// Numbers that are looked up in a small table.
    pub look_ups: f64,
}

/// Numbers that begin where a line of the cache does, so that the limit does not depend on where they happen to lie.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Lined<T>(T);

/// Weights of a row.
const ROW: usize = 384;
/// Words of a row, each of two weights.
const WORDS: usize = 64;

impl Limits {
    /// The best of what is known and of what is measured now.
    pub fn measure(known: Option<Self>) -> Self {
        let nothing = Self { products: 0.0, rows: 0.0, paired: 0.0, neurons: 0.0, counts: 0.0, look_ups: 0.0 };
        let known = known.unwrap_or(nothing);
        let weights: Vec<Lined<[i8; ROW]>> =
            (0..1024).map(|row| Lined(std::array::from_fn(|at| ((row * ROW + at) * 7919 % 255) as i8))).collect();
        let word = |row: usize, at: usize| ((row * WORDS + at) * 7919 % 65521) as u16;
        let table: Vec<Lined<[u16; WORDS]>> =
            (0..1024).map(|row| Lined(std::array::from_fn(|at| word(row, at)))).collect();
        let order: Vec<usize> = (0..1024).map(|n| n * 397 % 1024).collect();
        Self {
            products: best(known.products, products),
            rows: best(known.rows, || rows(&weights, &order)),
            paired: best(known.paired, || paired(&table, &order)),
            neurons: best(known.neurons, neurons),
            counts: best(known.counts, counts),
            look_ups: best(known.look_ups, look_ups),
        }
    }
}

/// The best of many short measurements of `operations()` a second, in billions: others who use the machine spoil most long ones.
fn best(known: f64, mut operations: impl FnMut() -> u64) -> f64 {
    (0..400).fold(known, |most, _| {
        let begin = Instant::now();
        let done = operations();
        most.max(done as f64 / begin.elapsed().as_secs_f64() * 1e-9)
    })
}

fn products() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the processor has the instructions
            return unsafe { products_of_512_bits() };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the instructions
            return unsafe { products_of_256_bits() };
        }
    }
    products_plain()
}

/// Six rows of 256 bytes with 64 columns, whose weights the first cache holds.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn products_of_512_bits() -> u64 {
    use std::arch::x86_64::{_mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi32};
    let weights = black_box([Lined([0x0506_0708u32; 64]); 64]);
    let inputs = black_box([[0x0102_0304; 6]; 64]);
    let (rounds, mut sums) = (200, [[_mm512_set1_epi32(0); 4]; 6]);
    for _ in 0..rounds {
        for (weights, inputs) in weights.iter().zip(&inputs) {
            // SAFETY: there are four registers
            let columns: [_; 4] =
                std::array::from_fn(|at| unsafe { _mm512_loadu_si512(weights.0.as_ptr().add(16 * at).cast()) });
            for (sums, &input) in sums.iter_mut().zip(inputs) {
                let input = _mm512_set1_epi32(input);
                sums.iter_mut().zip(columns).for_each(|(sum, column)| *sum = _mm512_dpbusd_epi32(*sum, input, column));
            }
        }
        black_box(&inputs);
    }
    black_box(sums.as_flattened().iter().map(|&sum| _mm512_reduce_add_epi32(sum)).fold(0, i32::wrapping_add));
    rounds * 6 * 256 * 64
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn products_of_256_bits() -> u64 {
    use std::arch::x86_64::{
        _mm256_add_epi32, _mm256_extract_epi32, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16,
        _mm256_set1_epi32,
    };
    let (rounds, mut sums) = (20_000, [_mm256_set1_epi32(0); 8]);
    let (b, one) = (_mm256_set1_epi32(black_box(0x0506_0708)), _mm256_set1_epi16(1));
    for round in 0..rounds {
        let a = _mm256_set1_epi32(round);
        for sum in &mut sums {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), one));
        }
    }
    black_box(_mm256_extract_epi32::<0>(sums.into_iter().fold(b, |all, sum| _mm256_add_epi32(all, sum))));
    rounds as u64 * 8 * 32
}

fn products_plain() -> u64 {
    let (inputs, weights, mut sums) = (black_box([3i32; 256]), black_box([5i32; 256]), [0i32; 256]);
    for _ in 0..1_000 {
        sums.iter_mut().zip(inputs).zip(weights).for_each(|((sum, input), weight)| *sum += black_box(input) * weight);
    }
    black_box(sums);
    1_000 * 256
}

/// Rows of weights in bytes, four at a time, whose sums of 16 bits go to potentials of 32 bits, in an order that no prefetcher
/// knows.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn rows(table: &[Lined<[i8; ROW]>], order: &[usize]) -> u64 {
    let mut potentials = Lined([0i32; ROW]);
    for four in black_box(order).chunks_exact(4) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| &table[four[at]].0);
        for (at, potential) in potentials.0.iter_mut().enumerate() {
            let sum = i16::from(a[at]) + i16::from(b[at]) + i16::from(c[at]) + i16::from(d[at]);
            *potential = potential.wrapping_add(sum.into());
        }
        black_box(&potentials);
    }
    (order.len() / 4 * 4 * ROW) as u64
}

/// Rows of 128 weights in bytes, two to a word whose parts are added up together: sixteen rows at a time, which then go to sums
/// of 32 bits, in an order that no prefetcher knows.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn paired(table: &[Lined<[u16; WORDS]>], order: &[usize]) -> u64 {
    let mut sums = [0u32; 2 * WORDS];
    for order in order.chunks(16) {
        let (mut both, mut upper) = ([0u16; WORDS], [0u16; WORDS]);
        for &row in black_box(order) {
            let row = &table[row].0;
            for at in 0..WORDS {
                both[at] = both[at].wrapping_add(row[at]);
                upper[at] = upper[at].wrapping_add(row[at] >> 8);
            }
        }
        for at in 0..WORDS {
            sums[at] = sums[at].wrapping_add(both[at].wrapping_sub(upper[at] << 8).into());
            sums[WORDS + at] = sums[WORDS + at].wrapping_add(upper[at].into());
        }
    }
    black_box(sums);
    (order.len() * 2 * WORDS) as u64
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn neurons() -> u64 {
    const NEURONS: usize = 128;
    let (mut potentials, mut counts, mut signs) =
        (Lined([7i32; NEURONS]), Lined([0i32; NEURONS]), Lined([0i8; NEURONS]));
    let (thresholds, arriving) = (black_box(Lined([100i32; NEURONS])), black_box(Lined([31i32; NEURONS])));
    for _ in 0..2_000 {
        let neurons = potentials.0.iter_mut().zip(&mut counts.0).zip(&mut signs.0);
        let states = neurons.zip(&thresholds.0).zip(&black_box(&arriving).0);
        for ((((potential, count), sign), &threshold), &arrives) in states {
            let now = potential.wrapping_add(arrives);
            let spike = i32::from((now >= threshold) & (*count < 4)) - i32::from((now < 0) & (*count > 0));
            *potential = now.wrapping_sub(spike.wrapping_mul(threshold));
            *count += spike;
            *sign = spike as i8;
        }
        black_box(&signs);
    }
    2_000 * NEURONS as u64
}

/// Counts beside others, the larger of which stay. They lie so far apart that no load looks like one of what was just stored,
/// whose last twelve bits of the address a processor compares first.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx2", "x86_64+avx2", "aarch64+neon"))]
fn counts() -> u64 {
    const COUNTS: usize = 8192;
    const APART: usize = 2048;
    let mut all = black_box(Lined([3i8; 2 * COUNTS + APART]));
    for _ in 0..50 {
        let (largest, counts) = black_box(&mut all).0.split_at_mut(COUNTS);
        let counts = &counts[APART..];
        for at in 0..COUNTS {
            largest[at] = if counts[at] > largest[at] { counts[at] } else { largest[at] };
        }
        black_box(largest);
    }
    50 * COUNTS as u64
}

fn look_ups() -> u64 {
    let table: [i32; 256] = std::array::from_fn(|n| (n * n) as i32);
    let (places, mut found) = (black_box(Lined([7u8; 4096])), Lined([0i32; 4096]));
    for _ in 0..10 {
        for (found, &place) in found.0.iter_mut().zip(&black_box(&places).0) {
            *found = table[usize::from(place)];
        }
        black_box(&found);
    }
    10 * 4096
}
