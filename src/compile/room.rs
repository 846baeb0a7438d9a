//! The units of a chip while the slices of a mapping take their seats.

use super::error::{Fault, FreeUnit, Location};
use crate::hardware::{Topology, Unit, UnitKind};
use crate::program::Mapping;
use crate::units::UnitId;

/// The units of a chip, who sits on them, and what was wrong with those who came.
pub(super) struct Room<'a> {
    topology: &'a Topology,
    units: Vec<Unit>,
    /// First unit of each tile, and one past the last tile's.
    starts: Vec<usize>,
    guests: Vec<Option<Location>>,
    /// Units on which no line of the mapping puts a slice, those to be named last first.
    free: Vec<(UnitKind, FreeUnit)>,
    pub(super) faults: Vec<Fault>,
}

impl<'a> Room<'a> {
    pub(super) fn new(topology: &'a Topology, mapping: &Mapping) -> Self {
        let units = topology.units();
        let mut starts = vec![0; topology.mesh.tiles() + 1];
        units.iter().for_each(|unit| starts[unit.tile.index() + 1] += 1);
        (0..topology.mesh.tiles()).for_each(|tile| starts[tile + 1] += starts[tile]);
        let guests = vec![None; units.len()];
        let mut room = Self { topology, units, starts, guests, free: vec![], faults: vec![] };
        room.free = room.untouched(mapping);
        room
    }

    fn untouched(&self, mapping: &Mapping) -> Vec<(UnitKind, FreeUnit)> {
        let mut taken = vec![false; self.units.len()];
        for placement in &mapping.slices {
            if let (Some(unit), _) = self.find(placement.tile, placement.unit) {
                taken[unit] = true;
            }
        }
        let free = self.units.iter().zip(taken).rev().filter(|(_, taken)| !taken);
        let named = |unit: &Unit| FreeUnit { tile: self.topology.mesh.place(unit.tile), unit: unit.port };
        free.map(|(unit, _)| (unit.kind, named(unit))).collect()
    }

    /// The unit at a place, and how many units its tile has: none outside the mesh.
    fn find(&self, (x, y): (u32, u32), unit: u32) -> (Option<usize>, usize) {
        let mesh = self.topology.mesh;
        if x >= mesh.columns || y >= mesh.rows {
            return (None, 0);
        }
        let tile = (y * mesh.columns + x) as usize;
        let count = self.starts[tile + 1] - self.starts[tile];
        (((unit as usize) < count).then(|| self.starts[tile] + unit as usize), count)
    }

    /// Gives the unit at `at` to a region that needs one of `kind`, or notes why not; regions of one stage share a core.
    pub(super) fn seat(&mut self, kind: UnitKind, at: &Location) -> Option<UnitId> {
        let (unit, units) = self.find(at.tile, at.unit);
        let at = at.clone();
        let Some(unit) = unit else {
            let (columns, rows) = (self.topology.mesh.columns, self.topology.mesh.rows);
            let free = self.name_free(kind);
            self.faults.push(Fault::NoSuchUnit { at, columns, rows, units, kind, free });
            return None;
        };
        let found = self.units[unit].kind;
        if found != kind {
            let free = self.name_free(kind);
            self.faults.push(Fault::WrongUnit { at, found, kind, free });
            return None;
        }
        if let Some(other) = self.guests[unit].clone() {
            if kind == UnitKind::Core && other.stage == at.stage {
                return Some(UnitId::at(unit));
            }
            let free = self.name_free(kind);
            self.faults.push(Fault::SharedUnit { at, other, kind, free });
            return None;
        }
        self.guests[unit] = Some(at);
        Some(UnitId::at(unit))
    }

    /// A free unit of `kind`, a different one for each fault that names one.
    pub(super) fn name_free(&mut self, kind: UnitKind) -> Option<FreeUnit> {
        let at = self.free.iter().rposition(|(other, _)| *other == kind)?;
        Some(self.free.remove(at).1)
    }
}
