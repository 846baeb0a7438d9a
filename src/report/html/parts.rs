//! What every section is made of.

use crate::action::Component;
use crate::report::figures::at;
use crate::report::markup::{Element, tag, text};

/// Key of static power among the components of a summary.
pub(super) const STATIC: &str = "static";

/// The keys of all components in the order of reports, static power last.
pub(super) fn components() -> impl Iterator<Item = &'static str> {
    Component::ALL.iter().map(|component| component.key()).chain([STATIC])
}

/// What a component is, for legends.
pub(super) fn title(component: &str) -> String {
    if component == STATIC { "static power".to_string() } else { component.replace('_', "-") }
}

/// A section with its heading and a sentence about what it shows.
pub(super) fn section(id: &str, heading: &str, lead: &str) -> Element {
    tag("section").set("id", id).put(text("h2", heading)).put(text("p", lead).class("lead"))
}

/// A table in a box that scrolls sideways where it is too wide. Columns marked with `<` are words.
pub(super) fn table(titles: &[&str], rows: impl IntoIterator<Item = Element>) -> Element {
    tag("div").class("scroll").put(tag("table").put(head(titles)).put(tag("tbody").put_all(rows)))
}

/// The titles of a table.
pub(super) fn head(titles: &[&str]) -> Element {
    let cell = |title: &&str| {
        let words = title.strip_prefix('<');
        let cell = text("th", words.unwrap_or(title)).set("scope", "col");
        if words.is_some() { cell.class("l") } else { cell }
    };
    tag("thead").put(tag("tr").put_all(titles.iter().map(cell)))
}

/// The first cell of a row: its name.
pub(super) fn name(name: &str) -> Element {
    text("th", name).set("scope", "row").class("l")
}

/// A cell of words.
pub(super) fn kind(kind: &str) -> Element {
    text("td", kind.replace('_', "-")).class("l kind")
}

/// A cell with a bar of `part` (0 to 1) of its width.
pub(super) fn bar_cell(part: f64, classes: &str, width: &str, tip: &str) -> Element {
    tag("td").class(width).put(bar(part, classes).set("data-t", tip))
}

/// A bar of `part` (0 to 1) of the width around it.
pub(super) fn bar(part: f64, classes: &str) -> Element {
    let class = format!("bar {classes}");
    let bar = tag("span").class(class.trim_end());
    if part > 0.0 { bar.set("style", format!("width:{}%", at(part.min(1.0) * 100.0))) } else { bar.set("hidden", "") }
}

/// A part of a whole, 0 where there is no whole.
pub(super) fn part(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// The largest of some numbers, 0 where there is none.
pub(super) fn most(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, f64::max)
}

/// What can be opened to read a drawing as a table.
pub(super) fn as_table(summary: &str, table: Element) -> Element {
    tag("details").put(text("summary", summary)).put(table)
}

/// The colours of the components that occur.
pub(super) fn legend(occurring: impl Iterator<Item = &'static str>) -> Element {
    let entry = |key: &'static str| tag("li").put(tag("i").class(key)).text(title(key));
    tag("ul").class("legend").set("aria-label", "Components").put_all(occurring.map(entry))
}

/// So many of a thing.
pub(super) fn counted(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", crate::report::whole(count), if count == 1 { "" } else { "s" })
}
