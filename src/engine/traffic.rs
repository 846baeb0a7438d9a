//! Synthetic traffic over the engine's own routers.

use super::EngineError;
use super::mesh::{Delivery, Mesh, Order, Packet, Wiring};
use crate::hardware::{NocTiming, Topology, Unit};
use crate::traffic::{Measured, Pattern, Traffic};
use crate::units::{Cycle, TileId, UnitId};

/// Cycles between two calls of a watcher.
const WATCHED_EVERY: Cycle = 1024;

/// Runs traffic on a chip's network. `watch` hears the cycle from time to time, and ends the run by returning false.
///
/// # Errors
/// [`EngineError`] if the network cannot be wired, if the pattern does not fit it, or if it comes to a standstill.
pub fn traffic(
    topology: &Topology,
    timing: &NocTiming,
    traffic: &Traffic,
    mut watch: impl FnMut(Cycle) -> bool,
) -> Result<Measured, EngineError> {
    let wiring = Wiring::new(topology, timing)?;
    let mut run = Run::new(&wiring, topology, traffic)?;
    let (mut now, mut deliveries) = (0, vec![]);
    while now < run.ends() && (now % WATCHED_EVERY != 0 || watch(now)) {
        run.cycle(now, &mut deliveries);
        if run.mesh.next(now).is_none() && !run.mesh.is_empty() {
            return Err(EngineError::standstill(now, &run.mesh));
        }
        now += 1;
    }
    Ok(run.measured(now))
}

/// A unit that sends.
struct Sender {
    unit: UnitId,
    /// The only one that it sends to.
    target: Option<UnitId>,
    /// Where its packets go, and when they are made.
    targets: Dice,
    times: Dice,
    /// When its next packet is made.
    next: Cycle,
}

impl Sender {
    /// Packets that are made up to `now`, the next one included.
    fn behind(&self, now: Cycle, plan: &Traffic) -> u64 {
        let (mut times, mut next, mut count) = (self.times, self.next, 0);
        while next <= now {
            count += u64::from(next >= plan.warm_up);
            next = times.next(next + 1, plan);
        }
        count
    }
}

/// Whole numbers that look random (SplitMix64: Steele, Lea and Flood, OOPSLA 2014).
#[derive(Debug, Clone, Copy)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64, stream: u64) -> Self {
        let mut seeds = Self(seed);
        let mut dice = Self(seeds.roll() ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        dice.0 = dice.roll();
        dice
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number below `count`.
    fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(count)) >> 64) as u64
    }

    /// The first cycle from `from` on in which a packet is made; far away if that is after the end of the run.
    fn next(&mut self, from: Cycle, plan: &Traffic) -> Cycle {
        let mut cycles = from..plan.warm_up + 2 * plan.measure;
        cycles.find(|_| self.roll() >> 32 < plan.rate).unwrap_or(Cycle::MAX)
    }
}

/// The unit that another sends to, where that is always the same.
fn target(topology: &Topology, units: &[Unit], pattern: Pattern, unit: &Unit) -> Option<UnitId> {
    let mesh = topology.mesh;
    let (x, y) = pattern.target(mesh.place(unit.tile), (mesh.columns, mesh.rows))?;
    let tile = TileId(y * mesh.columns + x);
    let first = units.partition_point(|unit| unit.tile < tile);
    let count = units[first..].iter().take_while(|unit| unit.tile == tile).count();
    let port = if pattern == Pattern::Hotspot { 0 } else { unit.port as usize % count.max(1) };
    (count > 0).then(|| UnitId::at(first + port))
}

struct Run<'w> {
    mesh: Mesh<'w>,
    wiring: &'w Wiring,
    plan: Traffic,
    senders: Vec<Sender>,
    /// When each packet underway was made, by its tag, and tags that are free.
    made_at: Vec<Cycle>,
    free: Vec<u32>,
    measured: Measured,
    /// Measured packets that have arrived.
    timed: u64,
    /// Flits over each link before the measurement.
    before: Vec<u64>,
}

impl<'w> Run<'w> {
    fn new(wiring: &'w Wiring, topology: &Topology, plan: &Traffic) -> Result<Self, EngineError> {
        let mut senders = vec![];
        let units = topology.units();
        for (unit, place) in units.iter().enumerate() {
            let target = target(topology, &units, plan.pattern, place);
            if target.is_none() && plan.pattern != Pattern::Uniform {
                continue;
            }
            let stream = 2 * unit as u64;
            let (targets, times) = (Dice::new(plan.seed, stream), Dice::new(plan.seed, stream + 1));
            let mut sender = Sender { unit: UnitId::at(unit), target, targets, times, next: 0 };
            sender.next = sender.times.next(0, plan);
            senders.push(sender);
        }
        if senders.is_empty() {
            let (columns, rows) = (topology.mesh.columns, topology.mesh.rows);
            return Err(EngineError::Misfit(format!(
                "no unit of the {columns} × {rows} mesh has a partner in {} traffic; choose another pattern, or put units on \
                 its tiles",
                plan.pattern.key()
            )));
        }
        let measured = Measured { senders: senders.len() as u64, ..Measured::default() };
        let mesh = Mesh::new(wiring, Order::Forward);
        let before = mesh.link_flits();
        Ok(Self { mesh, wiring, plan: *plan, senders, made_at: vec![], free: vec![], measured, timed: 0, before })
    }

    /// When the run is over: once all measured packets have arrived, or have had as long again as was measured.
    fn ends(&self) -> Cycle {
        let Traffic { warm_up, measure, .. } = self.plan;
        if self.timed == self.measured.made { warm_up + measure } else { warm_up + 2 * measure }
    }

    fn is_measured(&self, cycle: Cycle) -> bool {
        (self.plan.warm_up..self.plan.warm_up + self.plan.measure).contains(&cycle)
    }

    fn cycle(&mut self, now: Cycle, deliveries: &mut Vec<Delivery>) {
        if now == self.plan.warm_up {
            self.before = self.mesh.link_flits();
        }
        self.mesh.carry(now, deliveries);
        for Delivery { tag, .. } in deliveries.drain(..) {
            self.arrive(tag, now);
        }
        for sender in 0..self.senders.len() {
            if self.senders[sender].next <= now && self.mesh.waiting(self.senders[sender].unit) == 0 {
                self.make(sender);
            }
        }
        self.mesh.launch(now);
        if now + 1 == self.plan.warm_up + self.plan.measure {
            let flits = self.mesh.link_flits().into_iter().zip(&self.before);
            self.measured.link_flits = flits.map(|(flits, before)| flits - before).collect();
            // Packets that wait behind others in their units have been made, too.
            for sender in 0..self.senders.len() {
                self.measured.made += self.senders[sender].behind(now, &self.plan);
            }
        }
    }

    fn make(&mut self, sender: usize) {
        let Sender { unit, target, targets, times, next } = &mut self.senders[sender];
        let made = *next;
        let to = target.unwrap_or_else(|| UnitId(targets.below(self.wiring.units() as u64) as u32));
        *next = times.next(made + 1, &self.plan);
        let tag = self.free.pop().unwrap_or_else(|| {
            self.made_at.push(0);
            (self.made_at.len() - 1) as u32
        });
        self.made_at[tag as usize] = made;
        self.mesh.inject(*unit, Packet { tag, way: self.wiring.toward(to), flits: 1 });
        self.measured.made += u64::from(self.is_measured(made) && self.measured.link_flits.is_empty());
    }

    fn arrive(&mut self, tag: u32, now: Cycle) {
        let made = self.made_at[tag as usize];
        self.free.push(tag);
        self.measured.arrived += u64::from(self.is_measured(now));
        if self.is_measured(made) {
            let latency = (now - made) as usize;
            let latencies = &mut self.measured.latencies;
            latencies.resize(latencies.len().max(latency + 1), 0);
            latencies[latency] += 1;
            self.timed += 1;
        }
    }

    fn measured(self, now: Cycle) -> Measured {
        let cycles = now.saturating_sub(self.plan.warm_up).min(self.plan.measure);
        Measured { cycles, flit_hops: self.mesh.moves(), ..self.measured }
    }
}
