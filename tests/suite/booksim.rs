//! BookSim 2's way of measuring, over our routers: its random numbers, its sources, its sample periods.
//!
//! What is done here is what its sources say (github.com/booksim/booksim2: `trafficmanager.cpp`, `injection.cpp`,
//! `traffic.cpp`, `random_utils.hpp`). Each node has a clock of its own, which stands still while a packet waits; with each
//! cycle of that clock a fraction is drawn, and below the offered rate a packet is made, for which two whole numbers are
//! drawn: its destination, if that is not fixed, and the one network that there is. A packet counts if it is made while samples
//! are taken, even where its cycle lies before, or later with a cycle before their end. Three periods warm the network up. Of
//! those that follow at least three are samples, until three in succession change neither the mean latency nor the accepted
//! rate by more than a twentieth, and ten periods are the most. The run goes on until every packet that counts has arrived.

use spikemesh::engine::mesh::{Delivery, Mesh, Order, Packet, Wiring};
use spikemesh::traffic::Pattern;
use spikemesh::units::{Cycle, UnitId};

const LONG: usize = 100;
const SHORT: usize = 37;

/// The lagged sequences of Knuth (The Art of Computer Programming, volume 2, third edition, ninth printing, section 3.6), of
/// whole numbers below 2^30 or of fractions: each is made of those 100 and 37 places before it.
struct Lagged<T> {
    state: Vec<T>,
    drawn: std::vec::IntoIter<T>,
    step: fn(T, T) -> T,
}

impl<T: Copy> Lagged<T> {
    /// The sequence of a seed, from numbers of which only the second is odd.
    fn new(seed: u32, first: Vec<T>, zero: T, step: fn(T, T) -> T) -> Self {
        let mut x = first;
        x.resize(2 * LONG - 1, zero);
        let (mut seed, mut left) = (seed, 69);
        while left > 0 {
            for at in (1..LONG).rev() {
                (x[2 * at], x[2 * at - 1]) = (x[at], zero);
            }
            for at in (LONG..2 * LONG - 1).rev() {
                x[at - LONG + SHORT] = step(x[at - LONG + SHORT], x[at]);
                x[at - LONG] = step(x[at - LONG], x[at]);
            }
            if seed % 2 == 1 {
                x[..=LONG].rotate_right(1);
                x[0] = x[LONG];
                x[SHORT] = step(x[SHORT], x[LONG]);
            }
            if seed == 0 { left -= 1 } else { seed /= 2 }
        }
        x.truncate(LONG);
        x.rotate_left(SHORT);
        let mut sequence = Self { state: x, drawn: vec![].into_iter(), step };
        (0..10).for_each(|_| drop(sequence.take(2 * LONG - 1)));
        sequence
    }

    fn take(&mut self, count: usize) -> Vec<T> {
        let mut all = self.state.clone();
        for at in LONG..LONG + count {
            all.push((self.step)(all[at - LONG], all[at - SHORT]));
        }
        self.state = all.split_off(count);
        all
    }

    /// The next number: of 1,009 in succession the first 100 are used.
    fn draw(&mut self) -> T {
        if self.drawn.len() == 0 {
            let mut all = self.take(1009);
            all.truncate(LONG);
            self.drawn = all.into_iter();
        }
        self.drawn.next().unwrap()
    }
}

fn whole_numbers(seed: u32) -> Lagged<u32> {
    let modulus = 1u32 << 30;
    let mut shifted = (seed + 2) & (modulus - 2);
    let mut first: Vec<u32> = vec![];
    for _ in 0..LONG {
        first.push(shifted);
        shifted *= 2;
        shifted -= if shifted >= modulus { modulus - 2 } else { 0 };
    }
    first[1] += 1;
    Lagged::new(seed, first, 0, |a, b| a.wrapping_sub(b) % (1 << 30))
}

fn fractions(seed: u32) -> Lagged<f64> {
    let ulp = f64::EPSILON;
    let mut shifted = 2.0 * ulp * f64::from(seed + 2);
    let mut first = vec![];
    for _ in 0..LONG {
        first.push(shifted);
        shifted += shifted;
        shifted -= if shifted >= 1.0 { 1.0 - 2.0 * ulp } else { 0.0 };
    }
    first[1] += ulp;
    Lagged::new(seed, first, 0.0, |a, b| (a + b).fract())
}

#[test]
fn random_numbers_are_knuths() {
    let mut whole = whole_numbers(310_952);
    let last = (0..2010).map(|_| whole.take(1009)[0]).last();
    let mut fraction = fractions(310_952);
    (0..2009).for_each(|_| drop(fraction.take(1009)));
    // the figures that he gives to test a program with
    assert_eq!((last, fraction.state[0]), (Some(995_235_265), 0.364_105_143_775_696_8));
}

/// One run of traffic.
pub struct Run {
    pub pattern: Pattern,
    /// Offered rate, in packets for each node and cycle.
    pub rate: f64,
    pub seed: u32,
    /// Cycles of a sample period.
    pub period: Cycle,
}

#[derive(PartialEq, Clone, Copy)]
enum Phase {
    WarmUp,
    Samples,
    /// From this cycle on.
    Drain(Cycle),
}

struct State<'w> {
    mesh: Mesh<'w>,
    wiring: &'w Wiring,
    now: Cycle,
    phase: Phase,
    /// The clock of each node.
    clocks: Vec<Cycle>,
    /// By tag, when each packet was made, and whether it counts; tags to be used again.
    made: Vec<(Cycle, bool)>,
    free: Vec<u32>,
    /// Packets that count and are underway.
    underway: u64,
    latencies: u64,
    packets: u64,
    accepted: u64,
    fractions: Lagged<f64>,
    whole: Lagged<u32>,
}

impl State<'_> {
    fn cycle(&mut self, run: &Run) {
        let mut arrived = vec![];
        self.mesh.carry(self.now, &mut arrived);
        for node in 0..self.clocks.len() {
            if self.mesh.waiting(UnitId::at(node)) == 0 {
                self.run_clock(node, run);
            }
        }
        self.mesh.launch(self.now);
        for Delivery { tag, .. } in arrived {
            let (made, counts) = self.made[tag as usize];
            self.free.push(tag);
            self.accepted += u64::from(!matches!(self.phase, Phase::Drain(_)));
            self.underway -= u64::from(counts);
            if counts || self.phase == Phase::WarmUp {
                (self.latencies, self.packets) = (self.latencies + self.now - made, self.packets + 1);
            }
        }
        self.now += 1;
    }

    /// A node's clock goes on until a packet is made, or up to now.
    fn run_clock(&mut self, node: usize, run: &Run) {
        while self.clocks[node] <= self.now {
            let at = self.clocks[node];
            self.clocks[node] += 1;
            if self.fractions.draw() < run.rate {
                return self.make(node, at, run);
            }
        }
    }

    fn make(&mut self, node: usize, at: Cycle, run: &Run) {
        let nodes = self.clocks.len() as u32;
        let side = nodes.isqrt();
        let to = match run.pattern.target((node as u32 % side, node as u32 / side), (side, side)) {
            Some((x, y)) => y * side + x,
            None => self.whole.draw() % nodes,
        };
        self.whole.draw();
        let counts = match self.phase {
            Phase::WarmUp => false,
            Phase::Samples => true,
            Phase::Drain(since) => at < since,
        };
        self.underway += u64::from(counts);
        let tag = self.free.pop().unwrap_or_else(|| {
            self.made.push((0, false));
            self.made.len() as u32 - 1
        });
        self.made[tag as usize] = (at, counts);
        self.mesh.inject(UnitId::at(node), Packet { tag, way: self.wiring.toward(UnitId(to)), flits: 1 });
    }

    fn forget(&mut self) {
        (self.latencies, self.packets, self.accepted) = (0, 0, 0);
    }

    fn latency(&self) -> f64 {
        self.latencies as f64 / self.packets as f64
    }
}

/// The mean latency of the packets that count, source queueing included, in cycles, over a square mesh with a node on each tile.
pub fn latency(wiring: &Wiring, run: &Run) -> f64 {
    let mut state = State {
        mesh: Mesh::new(wiring, Order::Forward),
        wiring,
        now: 0,
        phase: Phase::WarmUp,
        clocks: vec![0; wiring.units()],
        made: vec![],
        free: vec![],
        underway: 0,
        latencies: 0,
        packets: 0,
        accepted: 0,
        fractions: fractions(run.seed),
        whole: whole_numbers(run.seed),
    };
    let chances = |cycles: Cycle| (cycles * wiring.units() as u64) as f64;
    let (mut before, mut steady, mut since) = ((0.0, 0.0), 0, 0);
    for period in 0..10 {
        if period == 0 || period == 2 || period == 3 {
            state.forget();
            since = state.now;
        }
        (0..run.period).for_each(|_| state.cycle(run));
        let (latency, accepted) = (state.latency(), state.accepted as f64 / chances(state.now - since));
        let alike = |now: f64, before: f64| ((now - before) / now).abs() <= 0.05;
        steady = if alike(latency, before.0) && alike(accepted, before.1) && period > 2 { steady + 1 } else { 0 };
        before = (latency, accepted);
        if steady == 3 {
            break;
        }
        if period == 2 {
            state.phase = Phase::Samples;
        }
    }
    state.phase = Phase::Drain(state.now);
    let end = state.now;
    while state.underway > 0 || state.clocks.iter().any(|&clock| clock <= end) {
        state.cycle(run);
    }
    state.latency()
}
