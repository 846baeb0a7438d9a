//! The chip's constants with their sources, and how to make the result again.

use super::parts::{head, section as new};
use crate::report::markup::{Element, tag, text};
use crate::summary::{ChipConstant, RunSummary};

/// Every constant, its section above it.
pub(super) fn section(id: &str, run: &RunSummary) -> Element {
    let lead = format!(
        "{} constants describe {}; none has a default, and each says where it comes from.",
        run.constants.len(),
        run.chip
    );
    let table_id = format!("{id}-table");
    let search = tag("input")
        .set("type", "search")
        .set("placeholder", "Find a constant")
        .set("aria-label", "Find a constant")
        .set("data-filter", &table_id);
    let mut rows = vec![];
    let mut last = "";
    for constant in &run.constants {
        let (path, _) = split(constant);
        if path != last {
            rows.push(
                tag("tr").class("group").put(text("th", path).set("colspan", 4).set("scope", "rowgroup").class("l")),
            );
            last = path;
        }
        rows.push(row(constant));
    }
    let table = tag("table")
        .set("id", &table_id)
        .put(head(&["<constant", "value", "<what it is", "<source"]))
        .put(tag("tbody").put_all(rows));
    let cited =
        run.references.iter().map(|(key, publication)| tag("li").put(text("b", format!("[{key}] "))).text(publication));
    new(id, "Constants and their sources", &lead)
        .put(tag("div").class("tools").put(search))
        .put(tag("div").class("scroll").put(table))
        .put(text("h3", "Publications"))
        .put(tag("ul").put_all(cited))
        .set("class", "long")
}

/// Section and key of a constant.
fn split(constant: &ChipConstant) -> (&str, &str) {
    constant.path.rsplit_once('.').unwrap_or(("", &constant.path))
}

fn row(constant: &ChipConstant) -> Element {
    let value = format!("{} {}", constant.value, constant.unit);
    tag("tr")
        .put(tag("th").set("scope", "row").class("l").put(text("code", split(constant).1)))
        .put(text("td", value.trim_end()))
        .put(text("td", &constant.sentence).class("text"))
        .put(text("td", &constant.source).class("text"))
}

/// How to make the result again.
pub(super) fn reproduce(id: &str, run: &RunSummary) -> Element {
    let lead =
        "The same command with the same files gives the same figures, on any machine and with any number of threads.";
    let origin = &run.origin;
    let mut body = new(id, "Reproduce", lead);
    if !origin.command.is_empty() {
        let command_id = format!("{id}-command");
        let copy = text("button", "Copy").set("type", "button").set("data-copy", &command_id).class("no-print");
        let command = origin.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        body = body.put(text("pre", command).set("id", &command_id)).put(copy);
    }
    let fact = |name: &str, value: String| [text("dt", name), text("dd", value)];
    let facts = [
        fact("spikemesh", origin.version.clone()),
        fact("chip", format!("{}: {}", run.chip, run.map.summary)),
        fact("network", run.network.clone()),
        fact("spiking graph", origin.fingerprint.clone()),
        fact("energy of all images", format!("{} fJ", crate::report::whole(run.energy_fj))),
        fact("simulator", format!("{:.2} s, {:.0} MiB", run.simulator.seconds, run.simulator.peak_memory_mib)),
    ];
    body.put(tag("dl").class("facts").put_all(facts.into_iter().flatten()))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=,:+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
