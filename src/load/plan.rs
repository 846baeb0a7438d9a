//! Plans of sweeps.

use super::fault::{Fault, LoadError, Place, did_you_mean};
use super::file::Source;
use super::outline::Outline;
use crate::constants::{ENERGY, prices, sections};
use crate::plan::{Choice, Level, MOST_POINTS, OWN_AXES, Plan};
use std::path::Path;

/// Reads a plan; files that it names are found from its folder.
///
/// # Errors
/// All faults together: axes that nothing is called, that come twice or have no values, lists of unequal length, too many
/// points, and networks that are not there or there twice.
pub fn plan(path: &Path) -> Result<Plan, LoadError> {
    let source = Source::open(path)?;
    let name = source.name.clone();
    let text = source.text()?;
    let mut plan: Plan = super::ron_text(&text).map_err(|fault| fault.of(&name))?;
    let faults = faults(&plan, &text);
    if !faults.is_empty() {
        return Err(LoadError { file: name, faults });
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let found = |file: &str| folder.join(file).display().to_string();
    for file in [&mut plan.arch, &mut plan.images, &mut plan.trace] {
        if !file.is_empty() {
            *file = found(file);
        }
    }
    if !plan.network.is_empty() && plan.network != "sample" {
        plan.network = found(&plan.network);
    }
    if super::preset(&plan.chip).is_none() {
        plan.chip = found(&plan.chip);
    }
    Ok(plan)
}

/// Paths of all constants of a hardware description that are numbers or words.
fn constants() -> Vec<String> {
    let fields = sections()
        .into_iter()
        .flat_map(|(path, fields)| fields.iter().map(move |field| format!("{path}.{}", field.key)));
    fields.chain(prices().into_iter().map(|(key, _)| format!("{ENERGY}.{key}"))).collect()
}

fn faults(plan: &Plan, text: &str) -> Vec<Fault> {
    let outline = Outline::new(text);
    let place = |path: &str| outline.get(path).map(|entry| outline.place(entry.start));
    let mut faults = subject(plan);
    let constants = constants();
    for (at, (name, span)) in plan.axes.iter().enumerate() {
        let at_name = place(&format!("axes.{at}.0"));
        faults.extend(unknown(name, &constants, at_name));
        if plan.axes[..at].iter().any(|(other, _)| other == name) {
            faults.push(Fault {
                place: at_name,
                ..Fault::new(format!("axis `{name}` stands there twice"), "keep one of them")
            });
        }
        if span.levels().is_empty() {
            let place = place(&format!("axes.{at}.1"));
            let what = format!("axis `{name}` has no values");
            let remedy =
                "give values([…]), range(first, last, step) with a step above 0, or doubling(first, last) from 1 on";
            faults.push(Fault { place, ..Fault::new(what, remedy) });
        }
        faults.extend(wrong_level(plan, at, place(&format!("axes.{at}.1"))));
    }
    if plan.axes.is_empty() {
        faults.push(Fault { place: place("axes"), ..Fault::new("the plan has no axes", "name what varies") });
    }
    faults.extend(count(plan, place("points").or_else(|| place("axes"))));
    faults
}

/// What runs must be said once.
fn subject(plan: &Plan) -> Vec<Fault> {
    let mut faults = vec![];
    let mut fault = |what: &str, remedy: &str| faults.push(Fault::new(what, remedy));
    let sample = plan.network == "sample";
    if plan.network.is_empty() && plan.trace.is_empty() {
        fault("the plan names neither a network nor a trace", "give network: \"sample\", or a file");
    }
    if plan.network.is_empty() && !(plan.images.is_empty() && plan.arch.is_empty()) {
        fault("images and layer lists belong to a network, and the plan names none", "name it, or leave them out");
    }
    if sample && !(plan.images.is_empty() && plan.arch.is_empty()) {
        fault("the embedded network has its own images and layers", "leave `images` and `arch` out");
    }
    if !plan.network.is_empty() && !sample && plan.images.is_empty() && plan.trace.is_empty() {
        fault("the plan names a network, but neither images nor a trace", "give images: \"…\"");
    }
    if plan.count == 0 {
        fault("count is 0", "give at least one image");
    }
    faults
}

fn unknown(name: &str, constants: &[String], place: Option<Place>) -> Option<Fault> {
    let ends = |known: &&String| *known == name || known.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    let found: Vec<&str> = constants.iter().filter(ends).map(String::as_str).collect();
    if OWN_AXES.contains(&name) || found.len() == 1 {
        return None;
    }
    let fault = if found.is_empty() {
        let parts = name.matches('.').count();
        let tails = constants
            .iter()
            .map(|known| known.rmatch_indices('.').nth(parts).map_or(known.as_str(), |(at, _)| &known[at + 1..]));
        let otherwise = format!("name one of {}, or a constant that `spikemesh chips` lists", OWN_AXES.join(", "));
        Fault::new(format!("nothing is called `{name}`"), did_you_mean(name, tails.chain(OWN_AXES), &otherwise))
    } else {
        Fault::new(
            format!("`{name}` could mean {} constants", found.len()),
            format!("choose one of {}", found.join(", ")),
        )
    };
    Some(Fault { place, ..fault })
}

/// A value that an axis of ours cannot take.
fn wrong_level(plan: &Plan, at: usize, place: Option<Place>) -> Option<Fault> {
    let (name, span) = &plan.axes[at];
    let words: &[&str] = match name.as_str() {
        "semantics" => &["exact", "reference"],
        "slicing" => &["fewest", "balanced"],
        "strategy" => &["row_major", "snake", "hilbert", "greedy", "multilevel", "force", "anneal"],
        _ => &[],
    };
    let of_network =
        ["slicing", "strategy", "seed", "effort"].iter().all(|own| own != name) && OWN_AXES.contains(&name.as_str());
    if of_network && plan.network.is_empty() {
        let what = format!("axis `{name}` changes the network, and the plan has a trace only");
        return Some(Fault { place, ..Fault::new(what, "name the network and its images, or leave the axis out") });
    }
    let own = OWN_AXES.contains(&name.as_str());
    let fits = |level: &Level| match level {
        Level::Word(word) => {
            if own {
                words.contains(&word.as_str())
            } else {
                true
            }
        }
        Level::Whole(value) => !own || (words.is_empty() && u32::try_from(*value).is_ok()),
        Level::Real(_) => !own,
    };
    let wrong = span.levels().into_iter().find(|level| !fits(level))?;
    let remedy = if words.is_empty() {
        "give whole numbers from 0".to_string()
    } else {
        format!("choose among {}", words.join(", "))
    };
    Some(Fault { place, ..Fault::new(format!("axis `{name}` cannot be `{wrong}`"), remedy) })
}

/// The number of points.
fn count(plan: &Plan, place: Option<Place>) -> Option<Fault> {
    let lengths: Vec<u64> = plan.axes.iter().map(|(_, span)| span.levels().len() as u64).collect();
    let points = match plan.points {
        Choice::Grid => lengths.iter().fold(1_u64, |product, length| product.saturating_mul(*length)),
        Choice::List => {
            if lengths.windows(2).any(|pair| pair[0] != pair[1]) {
                let lengths: Vec<String> = lengths.iter().map(u64::to_string).collect();
                let what = format!("a list takes its axes side by side, and they have {} values", lengths.join(", "));
                return Some(Fault { place, ..Fault::new(what, "give all axes as many, or take points: grid") });
            }
            lengths.first().copied().unwrap_or(0)
        }
        Choice::Random(count) | Choice::Latin(count) => u64::from(count),
    };
    let drawn = matches!(plan.points, Choice::Random(0) | Choice::Latin(0));
    if drawn || points > MOST_POINTS {
        let what = format!("the plan has {points} points");
        return Some(Fault { place, ..Fault::new(what, format!("ask for 1 to {MOST_POINTS}")) });
    }
    None
}
