//! Synthetic traffic as a table.

use super::table::{table, whole};
use crate::hardware::Direction;
use crate::traffic::{LoadCurve, Point};

/// One row for each run, and the busiest link of the last one.
#[must_use]
pub fn load_table(curve: &LoadCurve) -> String {
    let titles = [
        "rate",
        "seed",
        "offered",
        "accepted",
        "latency",
        "p50",
        "p99",
        "max",
        "unfinished",
        "mean link",
        "busiest link",
    ];
    let rows = curve.points.iter().map(|point| {
        let used: Vec<f64> = point.link_load.iter().copied().filter(|&load| load > 0.0).collect();
        let mean = used.iter().sum::<f64>() / used.len().max(1) as f64;
        [
            point.rate.to_string(),
            point.seed.to_string(),
            format!("{:.4}", point.offered),
            format!("{:.4}", point.accepted),
            format!("{:.2}", point.latency_mean),
            whole(point.latency_p50),
            whole(point.latency_p99),
            whole(point.latency_max),
            whole(point.unfinished),
            format!("{mean:.3}"),
            busiest(curve, point),
        ]
    });
    let (columns, rows_of_tiles) = curve.mesh;
    format!(
        "{}\n{} traffic on {}, {columns} × {rows_of_tiles} tiles, {} senders: rates in flits a sender and cycle, latencies \
         in cycles over {} after {} of warm-up{}",
        table(titles, 0, rows),
        curve.traffic.key(),
        curve.chip,
        whole(curve.senders),
        whole(curve.measure_cycles),
        whole(curve.warm_up_cycles),
        if curve.points.iter().any(|point| point.unfinished > 0) {
            ";\nwhere packets are unfinished the network is saturated, and the latency is that of the packets that came through"
        } else {
            ""
        }
    )
}

/// The load of the busiest link, and where it is.
fn busiest(curve: &LoadCurve, point: &Point) -> String {
    let most = point.link_load.iter().zip(0u32..).max_by(|a, b| a.0.total_cmp(b.0).then(b.1.cmp(&a.1)));
    let Some((load, link)) = most.filter(|(load, _)| **load > 0.0) else { return "none".to_string() };
    let (tile, side) = (link / 4, Direction::ALL[link as usize % 4].key());
    format!("{load:.3} ({}, {}) {side}", tile % curve.mesh.0, tile / curve.mesh.0)
}
