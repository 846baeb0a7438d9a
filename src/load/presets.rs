//! Hardware descriptions that are built in, so that a chip can be named without a path.

/// Name and text of each.
pub const PRESETS: [(&str, &str); 6] = [
    ("mesh28", include_str!("../../hwmodels/mesh28.ron")),
    ("loihi", include_str!("../../hwmodels/loihi.ron")),
    ("loihi-sanafe", include_str!("../../hwmodels/loihi-sanafe.ron")),
    ("truenorth", include_str!("../../hwmodels/truenorth.ron")),
    ("elsa28", include_str!("../../hwmodels/elsa28.ron")),
    ("seneca22", include_str!("../../hwmodels/seneca22.ron")),
];

/// The text of a built-in hardware description.
#[must_use]
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
