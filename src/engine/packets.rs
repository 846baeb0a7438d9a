//! What travels: spikes in packets, tokens, acknowledgements, and how long they are.

use super::EngineError;
use crate::graph::Graph;
use crate::hardware::{Multicast, Noc};
use crate::units::{RouteId, SliceId};

/// A spike, or the value of a graded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spike {
    pub position: u32,
    pub channel: u32,
    pub value: i32,
}

/// What a parcel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Spikes of one step and one route.
    Spikes,
    /// The end of a step, with the number of packets that the sender has sent to the receiver in it.
    Token { packets: u64 },
    /// The receiver of a token has ended the step itself.
    Acknowledgement,
}

/// The content of a packet, until its last copy has been taken.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub kind: Kind,
    pub sender: SliceId,
    /// The sender's step.
    pub step: u32,
    pub spikes: Vec<Spike>,
    /// Deliveries to come.
    copies: u64,
}

/// All parcels underway; places and their memory are used again.
#[derive(Debug, Default)]
pub(super) struct Parcels {
    all: Vec<Parcel>,
    free: Vec<u32>,
}

impl Parcels {
    /// Adds a parcel without spikes that will be taken `copies` times.
    pub fn add(&mut self, kind: Kind, sender: SliceId, step: u32, copies: u64) -> u32 {
        if let Some(tag) = self.free.pop() {
            let parcel = &mut self.all[tag as usize];
            *parcel = Parcel { kind, sender, step, copies, spikes: std::mem::take(&mut parcel.spikes) };
            return tag;
        }
        self.all.push(Parcel { kind, sender, step, copies, spikes: vec![] });
        (self.all.len() - 1) as u32
    }

    /// One of them.
    pub fn get(&self, tag: u32) -> &Parcel {
        &self.all[tag as usize]
    }

    /// One of them, to be filled.
    pub fn get_mut(&mut self, tag: u32) -> &mut Parcel {
        &mut self.all[tag as usize]
    }

    /// One copy has been taken.
    pub fn taken(&mut self, tag: u32) {
        let parcel = &mut self.all[tag as usize];
        parcel.copies = parcel.copies.saturating_sub(1);
        if parcel.copies == 0 {
            parcel.spikes.clear();
            self.free.push(tag);
        }
    }
}

/// Consecutive spikes of one route, as many as fit a packet.
pub(super) fn groups<'f>(
    fired: &'f [Spike],
    route_of: impl Fn(&Spike) -> RouteId,
    noc: &Noc,
) -> impl Iterator<Item = (RouteId, &'f [Spike])> {
    let (most, mut rest) = (noc.spikes_per_packet as usize, fired);
    std::iter::from_fn(move || {
        let route = route_of(rest.first()?);
        let alike = rest.iter().take(most).take_while(|spike| route_of(spike) == route).count();
        let (group, others) = rest.split_at(alike);
        rest = others;
        Some((route, group))
    })
}

/// Flits of a packet of spikes.
pub(super) fn spike_flits(noc: &Noc, spikes: usize, graded: bool) -> u32 {
    let payload = if graded { noc.graded_bits } else { 1 };
    let bits = u64::from(noc.header_bits) + spikes as u64 * u64::from(noc.position_bits + payload);
    bits.div_ceil(u64::from(noc.flit_bits)).max(1) as u32
}

/// Whether a value is wider than a packet's field for graded spikes.
pub(super) fn is_wide(noc: &Noc, value: i32) -> bool {
    33 - (value ^ (value >> 31)).leading_zeros() > noc.graded_bits
}

/// Flits of a token or an acknowledgement: a header and one number as wide as a graded spike's.
pub(super) fn control_flits(noc: &Noc) -> u16 {
    (noc.header_bits + noc.graded_bits).div_ceil(noc.flit_bits).max(1) as u16
}

/// The kinds of packet that a graph sends, and the flits of the longest one of each.
fn longest_of_kinds(noc: &Noc, graph: &Graph<i32>) -> impl Iterator<Item = (&'static str, u32)> {
    let sends = |graded| graph.stages.iter().any(|stage| stage.kind.is_graded() == graded);
    let spikes = noc.spikes_per_packet as usize;
    let kinds = [
        ("graded spikes", sends(true), spike_flits(noc, spikes, true)),
        ("spikes", sends(false), spike_flits(noc, spikes, false)),
        ("a token", true, u32::from(control_flits(noc))),
    ];
    kinds.into_iter().filter(|(_, sent, _)| *sent).map(|(what, _, flits)| (what, flits))
}

/// Flits of the longest packet that a graph sends.
pub(super) fn longest(noc: &Noc, graph: &Graph<i32>) -> u16 {
    longest_of_kinds(noc, graph).map(|(_, flits)| flits as u16).max().unwrap_or(1)
}

/// Whether every packet can pass the chip's routers.
pub(super) fn check(noc: &Noc, graph: &Graph<i32>) -> Result<(), EngineError> {
    for (what, flits) in longest_of_kinds(noc, graph) {
        if noc.multicast == Multicast::Tree && flits > noc.buffer_flits {
            return Err(EngineError::LongPacket { what, flits, buffer: noc.buffer_flits });
        }
        if flits > u32::from(u16::MAX) {
            return Err(EngineError::Misfit(format!(
                "a packet of {what} has {flits} flits, more than 65535: raise flit_bits"
            )));
        }
    }
    Ok(())
}
