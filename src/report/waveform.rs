//! `routers.vcd`: chosen routers as a value change dump (IEEE 1364), for wave viewers.
//!
//! For each port of a router, `in_…` and `out_…` are 1 in every cycle in which a flit is sent toward it or leaves it, and
//! `…_flits` counts them. One time unit is one cycle.

use super::file::{WriteError, write};
use crate::events::{Change, Events};
use crate::program::Direction;
use crate::units::Cycle;
use std::fmt::Write;
use std::path::Path;

/// Writes the waveform of the routers that were watched; `columns` are the tiles in a row.
///
/// # Errors
/// If the file cannot be written.
pub fn write_waveform(path: &Path, events: &Events, columns: u32) -> Result<(), WriteError> {
    write(path, waveform(events, columns).as_bytes())
}

/// The waveform of the routers that were watched.
#[must_use]
pub fn waveform(events: &Events, columns: u32) -> String {
    let mut out = String::from(
        "$version spikemesh $end\n$comment one time unit is one cycle of the chip $end\n$timescale 1 ns $end\n$scope module mesh $end\n",
    );
    for (router, &(tile, units)) in events.routers.iter().enumerate() {
        let _ = writeln!(out, "$scope module router_{}_{} $end", tile.0 % columns.max(1), tile.0 / columns.max(1));
        for port in 0..Direction::ALL.len() + units {
            for (nth, way) in ["in", "out"].into_iter().enumerate() {
                let name = port_name(port);
                let _ = writeln!(out, "$var wire 1 {} {way}_{name} $end", id(router, port, nth * 2));
                let _ = writeln!(out, "$var integer 32 {} {way}_{name}_flits $end", id(router, port, nth * 2 + 1));
            }
        }
        out.push_str("$upscope $end\n");
    }
    out.push_str("$upscope $end\n$enddefinitions $end\n");
    values(&mut out, events);
    out
}

/// The name of a port.
fn port_name(port: usize) -> String {
    let sides = Direction::ALL;
    sides.get(port).map_or_else(|| format!("unit{}", port - sides.len()), |side| side.key().to_string())
}

/// The short name of a signal: printable, without a space.
fn id(router: usize, port: usize, signal: usize) -> String {
    let mut number = (router * 64 + port) * 4 + signal;
    let mut id = String::new();
    loop {
        id.push((33 + (number % 94) as u8) as char);
        number /= 94;
        if number == 0 {
            return id;
        }
    }
}

/// The changes in order. A strobe falls in the cycle after its flit, where no other flit follows.
fn values(out: &mut String, events: &Events) {
    let mut last: Vec<Option<&Change>> = vec![None; events.routers.len()];
    let mut high: Vec<(usize, usize, usize)> = vec![];
    let mut now: Option<Cycle> = None;
    let mut index = 0;
    while index < events.changes.len() {
        let cycle = events.changes[index].cycle;
        if let Some(before) = now.filter(|_| !high.is_empty())
            && before + 1 < cycle
        {
            let _ = writeln!(out, "#{}", before + 1);
            high.drain(..).for_each(|(router, port, signal)| {
                let _ = writeln!(out, "0{}", id(router, port, signal));
            });
        }
        let _ = writeln!(out, "#{cycle}");
        let mut rising = vec![];
        while let Some(change) = events.changes.get(index).filter(|change| change.cycle == cycle) {
            let router = change.router;
            for (nth, counts) in [&change.inputs, &change.outputs].into_iter().enumerate() {
                for (port, &count) in counts.iter().enumerate() {
                    let before = last[router].map(|last| [&last.inputs, &last.outputs][nth][port]);
                    if before != Some(count) {
                        let _ = writeln!(out, "b{count:b} {}", id(router, port, nth * 2 + 1));
                        match before {
                            Some(_) => rising.push((router, port, nth * 2)),
                            None => {
                                let _ = writeln!(out, "0{}", id(router, port, nth * 2));
                            }
                        }
                    }
                }
            }
            last[router] = Some(change);
            index += 1;
        }
        for signal in high.drain(..).filter(|signal| !rising.contains(signal)) {
            let _ = writeln!(out, "0{}", id(signal.0, signal.1, signal.2));
        }
        rising.iter().for_each(|&(router, port, signal)| {
            let _ = writeln!(out, "1{}", id(router, port, signal));
        });
        high = rising;
        now = Some(cycle);
    }
    if let Some(now) = now {
        let _ = writeln!(out, "#{}", now + 1);
        high.drain(..).for_each(|(router, port, signal)| {
            let _ = writeln!(out, "0{}", id(router, port, signal));
        });
    }
}
