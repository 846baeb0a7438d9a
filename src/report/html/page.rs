//! The page around the sections.

use super::parts::counted;
use super::{Findings, accuracy, agreement, chip, compare, constants, energy, layers, overview, waterfall};
use crate::report::markup::{Element, tag, text};
use crate::summary::RunSummary;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Nothing is loaded from anywhere: the browser is told so, too.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// The whole page.
pub(super) fn page(results: &[Findings]) -> String {
    let title = title(results);
    let head = tag("head")
        .put(tag("meta").set("charset", "utf-8"))
        .put(tag("meta").set("name", "viewport").set("content", "width=device-width, initial-scale=1"))
        .put(tag("meta").set("http-equiv", "Content-Security-Policy").set("content", POLICY))
        .put(tag("link").set("rel", "icon").set("href", "data:,"))
        .put(text("title", &title))
        .put(tag("style").raw(STYLE));
    let sections = body(results);
    let page = tag("html").set("lang", "en").put(head).put(
        tag("body")
            .put(tag("div").class("wrap").put(top(results)))
            .put(navigation(&sections))
            .put(tag("main").class("wrap").put_all(sections.into_iter().map(|section| section.body)))
            .put(tag("footer").class("wrap").text(footer(results)))
            .put(tag("div").set("id", "tip").set("role", "tooltip"))
            .put(tag("script").raw(SCRIPT)),
    );
    format!("<!doctype html>\n{page}\n")
}

/// A section, and its entry in the bar at the top.
pub(super) struct Entry {
    pub id: String,
    pub title: &'static str,
    pub body: Element,
}

fn body(results: &[Findings]) -> Vec<Entry> {
    let [only] = results else {
        let mut entries = compare::sections(results);
        entries.extend(results.iter().enumerate().map(|(at, result)| {
            let inside = of_one(result, &format!("run{at}-"));
            let details = tag("details").class("run").put(text("summary", format!("{}: all of it", result.label)));
            let body = details.put_all(inside.into_iter().map(|entry| entry.body));
            Entry { id: String::new(), title: "", body }
        }));
        return entries;
    };
    of_one(only, "")
}

/// The sections of one folder of results; ids begin with `prefix`.
fn of_one(result: &Findings, prefix: &str) -> Vec<Entry> {
    let mut entries = vec![];
    let mut add = |id: &str, title: &'static str, body: &dyn Fn(&str) -> Element| {
        let id = format!("{prefix}{id}");
        let body = body(&id);
        entries.push(Entry { id, title, body });
    };
    if let Some(run) = &result.run {
        add("glance", "At a glance", &|id| overview::section(id, run));
        add("energy", "Energy", &|id| energy::section(id, run));
        add("work", "Work", &|id| layers::work(id, run));
        if let Some(agreement) = &run.agreement {
            add("exact", "Exactness", &|id| agreement::section(id, agreement));
        }
    }
    if let Some(table) = &result.accuracy {
        add("accuracy", "Accuracy", &|id| accuracy::section(id, table));
    }
    if let Some(run) = &result.run {
        add("chip", "Chip", &|id| chip::section(id, run));
        add("steps", "Time steps", &|id| waterfall::section(id, run));
        add("layers", "All figures", &|id| layers::section(id, run));
        add("constants", "Constants", &|id| constants::section(id, run));
        add("again", "Reproduce", &|id| constants::reproduce(id, run));
    }
    entries
}

fn navigation(sections: &[Entry]) -> Element {
    let entry = |entry: &Entry| tag("li").put(text("a", entry.title).set("href", format!("#{}", entry.id)));
    let named = sections.iter().filter(|entry| !entry.title.is_empty());
    let list = tag("ul").put_all(named.map(entry));
    tag("nav").class("menu").set("aria-label", "Sections").put(tag("div").class("wrap").put(list))
}

fn title(results: &[Findings]) -> String {
    match results {
        [Findings { run: Some(run), .. }] => format!("{} on {}", run.network, run.chip),
        [only] => format!("{}: accuracy", only.label),
        several => format!("{} compared", counted(several.len() as u64, "run")),
    }
}

fn top(results: &[Findings]) -> Element {
    let theme = text("button", "Light / dark").set("id", "theme").set("type", "button").class("no-print");
    let heading = match results {
        [Findings { run: Some(run), .. }] => text("h1", &run.network).put(text("small", format!(" on {}", run.chip))),
        _ => text("h1", title(results)),
    };
    let brand = text("p", "spikemesh report").class("brand");
    let row = tag("div").class("row").put(tag("div").put(brand).put(heading)).put(theme);
    let top = tag("header").class("top").put(row);
    match results {
        [Findings { run: Some(run), .. }] => {
            top.put(text("p", &run.map.summary).class("lead")).put(pills(run)).put(overview::figures(run))
        }
        _ => top,
    }
}

fn pills(run: &RunSummary) -> Element {
    let pill = |name: &str, value: String| tag("li").text(format!("{name} ")).put(text("b", value));
    let units = run.map.units.iter().filter(|unit| unit.slice.is_some()).count();
    tag("ul").class("pills").put_all([
        pill("T =", run.time_steps.to_string()),
        pill("images", crate::report::whole(run.images)),
        pill("drive", run.drive.clone()),
        pill("units in use", format!("{units} of {}", run.map.units.len())),
        pill("clock", format!("{} MHz", run.map.mhz)),
    ])
}

fn footer(results: &[Findings]) -> String {
    let version = results.iter().filter_map(|result| result.run.as_ref()).map(|run| run.origin.version.as_str()).next();
    let by = version.map_or("spikemesh".to_string(), |version| format!("spikemesh {version}"));
    format!(
        "Made by {by} from summary.json. Energy comes from counted actions and the prices of the chip's description."
    )
}
