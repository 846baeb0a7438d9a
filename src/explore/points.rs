//! From axes to points: which there are, which are wanted, and what each of them changes.

use super::ExploreError;
use super::expression::{Expression, Value};
use crate::compile::{Search, Slicing, Strategy};
use crate::convert::Precision;
use crate::functional::{Semantics, Settle};
use crate::hardware::Hardware;
use crate::load;
use crate::plan::{Choice, Level, OWN_AXES, Plan};
use crate::random::Draws;
use std::path::Path;

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its number, from 0, among the points that are wanted.
    pub number: u64,
    /// Its value on each axis.
    pub levels: Vec<Level>,
}

/// What a point says that is no constant of the chip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Setting {
    pub precision: Precision,
    pub time_steps: u32,
    pub semantics: Semantics,
    pub settle: Settle,
    pub slicing: Slicing,
    pub strategy: Strategy,
    pub search: Search,
}

/// The points that a plan wants, in order.
///
/// # Errors
/// If a condition cannot be read, names something unknown, or no point meets all of them.
pub fn points(plan: &Plan) -> Result<Vec<Point>, ExploreError> {
    let conditions = conditions(plan)?;
    let drawn = drawn(plan);
    let all = drawn.len() as u64;
    let mut failed = vec![0_u64; conditions.len()];
    let mut points: Vec<Point> = vec![];
    for levels in drawn {
        let mut point = Point { number: points.len() as u64, levels };
        let mut wanted = true;
        let hardware = if conditions.is_empty() { None } else { chip(plan, &point).ok() };
        for (condition, failed) in conditions.iter().zip(&mut failed) {
            let of_name = |name: &str| value_of(plan, &point, hardware.as_ref(), name);
            match condition.value(&of_name)? {
                Some(Value::Truth(true)) | None => {}
                Some(Value::Truth(false)) => {
                    *failed += 1;
                    wanted = false;
                }
                Some(Value::Number(_) | Value::Word(_)) => {
                    return Err(ExploreError::NoCondition { text: condition.to_string() });
                }
            }
        }
        if wanted {
            point.number = points.len() as u64;
            points.push(point);
        }
    }
    if points.is_empty() {
        let lines =
            conditions.iter().zip(failed).map(|(condition, failed)| format!("\n- `{condition}` fails on {failed}"));
        return Err(ExploreError::NothingLeft { points: all, conditions: lines.collect() });
    }
    Ok(points)
}

fn conditions(plan: &Plan) -> Result<Vec<Expression>, ExploreError> {
    let conditions: Vec<Expression> = plan.only.iter().map(|text| Expression::parse(text)).collect::<Result<_, _>>()?;
    let probe = Point { number: 0, levels: first(plan) };
    let hardware = chip(plan, &probe).or_else(|_| base(plan))?;
    for condition in &conditions {
        for name in condition.names() {
            if value_of(plan, &probe, Some(&hardware), name).is_none() {
                return Err(unknown(plan, &condition.to_string(), name, &[]));
            }
        }
    }
    Ok(conditions)
}

/// The error for a name that is neither an axis, nor a constant, nor one of `others`.
pub(super) fn unknown(plan: &Plan, expression: &str, name: &str, others: &[String]) -> ExploreError {
    let axes = plan.axes.iter().map(|(axis, _)| axis.as_str());
    let known = axes.chain(OWN_AXES).chain(others.iter().map(String::as_str));
    let otherwise = "name an axis, a constant of the chip by the end of its path, or a column of the results";
    let remedy = load::did_you_mean(name, known, otherwise);
    ExploreError::UnknownName { expression: expression.to_string(), name: name.to_string(), remedy }
}

fn first(plan: &Plan) -> Vec<Level> {
    plan.axes.iter().filter_map(|(_, span)| span.levels().into_iter().next()).collect()
}

/// The values of each point on all axes, before conditions.
fn drawn(plan: &Plan) -> Vec<Vec<Level>> {
    let axes: Vec<Vec<Level>> = plan.axes.iter().map(|(_, span)| span.levels()).collect();
    let mut draws = Draws::new(plan.seed);
    match plan.points {
        Choice::Grid => {
            let count: usize = axes.iter().map(Vec::len).product();
            let point = |number: usize| {
                let mut rest = number;
                let mut levels: Vec<Level> = axes
                    .iter()
                    .rev()
                    .map(|levels| {
                        let level = levels[rest % levels.len()].clone();
                        rest /= levels.len();
                        level
                    })
                    .collect();
                levels.reverse();
                levels
            };
            (0..count).map(point).collect()
        }
        Choice::List => {
            let count = axes.iter().map(Vec::len).min().unwrap_or(0);
            (0..count).map(|at| axes.iter().map(|levels| levels[at].clone()).collect()).collect()
        }
        Choice::Random(count) => {
            let mut level = |levels: &Vec<Level>| levels[draws.below(levels.len() as u64) as usize].clone();
            (0..count).map(|_| axes.iter().map(&mut level).collect()).collect()
        }
        Choice::Latin(count) => latin(&axes, count as usize, &mut draws),
    }
}

/// Each axis goes through its values evenly, in an order of its own.
fn latin(axes: &[Vec<Level>], count: usize, draws: &mut Draws) -> Vec<Vec<Level>> {
    let columns: Vec<Vec<Level>> = axes
        .iter()
        .map(|levels| {
            let mut strata: Vec<usize> = (0..count).collect();
            draws.shuffle(&mut strata);
            strata.into_iter().map(|stratum| levels[stratum * levels.len() / count].clone()).collect()
        })
        .collect();
    (0..count).map(|at| columns.iter().map(|column| column[at].clone()).collect()).collect()
}

/// The chip of a point.
pub(super) fn chip(plan: &Plan, point: &Point) -> Result<Hardware, load::LoadError> {
    let of_chip = plan.axes.iter().zip(&point.levels).filter(|((name, _), _)| !OWN_AXES.contains(&name.as_str()));
    let sets = of_chip.map(|((name, _), level)| format!("{name}={level}"));
    load::hardware(Path::new(&plan.chip), &plan.set.iter().cloned().chain(sets).collect::<Vec<_>>())
}

/// The chip of the plan, before any axis.
pub(super) fn base(plan: &Plan) -> Result<Hardware, load::LoadError> {
    load::hardware(Path::new(&plan.chip), &plan.set)
}

/// What a point says that is no constant of the chip.
pub(super) fn setting(plan: &Plan, point: &Point) -> Setting {
    let level = |name: &str| plan.axes.iter().position(|(axis, _)| axis == name).map(|at| &point.levels[at]);
    let number = |name: &str, default: u32| match level(name) {
        Some(Level::Whole(value)) => u32::try_from(*value).unwrap_or(u32::MAX),
        Some(Level::Real(_) | Level::Word(_)) | None => default,
    };
    let precision = Precision::default();
    let reference = level("semantics") == Some(&Level::Word("reference".to_string()));
    let search = Search::default();
    let strategy = level("strategy").and_then(|level| level.to_string().parse().ok()).unwrap_or_default();
    let slicing = level("slicing").and_then(|level| level.to_string().parse().ok()).unwrap_or_default();
    Setting {
        precision: Precision {
            weight_bits: number("weight_bits", precision.weight_bits),
            gain_bits: number("gain_bits", precision.gain_bits),
            probability_bits: number("probability_bits", precision.probability_bits),
            table_bits: number("table_bits", precision.table_bits),
            input_fraction_bits: number("input_fraction_bits", precision.input_fraction_bits),
            input_bits: number("input_bits", precision.input_bits),
        },
        time_steps: number("time_steps", 4),
        semantics: if reference { Semantics::REFERENCE } else { Semantics::EXACT },
        settle: match level("settle") {
            Some(_) => Settle::Steps(number("settle", 0)),
            None if reference => Settle::Steps(0),
            None => Settle::ToSilence,
        },
        slicing,
        strategy,
        search: Search {
            seed: u64::from(number("seed", search.seed as u32)),
            effort: number("effort", search.effort).max(1),
        },
    }
}

/// The value of a name at a point: an axis, what a point says where no axis does, or a constant of its chip.
pub(super) fn value_of(plan: &Plan, point: &Point, hardware: Option<&Hardware>, name: &str) -> Option<Value> {
    if let Some(at) = plan.axes.iter().position(|(axis, _)| axis == name) {
        return Some(match &point.levels[at] {
            Level::Whole(value) => Value::Number(*value as f64),
            Level::Real(value) => Value::Number(*value),
            Level::Word(word) => Value::Word(word.clone()),
        });
    }
    let setting = setting(plan, point);
    let Precision { weight_bits, gain_bits, probability_bits, table_bits, input_fraction_bits, input_bits } =
        setting.precision;
    let number = |value: u32| Some(Value::Number(f64::from(value)));
    match name {
        "weight_bits" => number(weight_bits),
        "gain_bits" => number(gain_bits),
        "probability_bits" => number(probability_bits),
        "table_bits" => number(table_bits),
        "input_fraction_bits" => number(input_fraction_bits),
        "input_bits" => number(input_bits),
        "time_steps" => number(setting.time_steps),
        "slicing" => Some(Value::Word(setting.slicing.key().to_string())),
        "strategy" => Some(Value::Word(setting.strategy.key().to_string())),
        "seed" => number(setting.search.seed as u32),
        "effort" => number(setting.search.effort),
        "semantics" => {
            Some(Value::Word(if setting.semantics == Semantics::EXACT { "exact" } else { "reference" }.into()))
        }
        _ => constant(hardware?, name),
    }
}

/// A constant by the end of its path, if there is exactly one.
fn constant(hardware: &Hardware, name: &str) -> Option<Value> {
    let ends = |path: &str| path == name || path.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    let mut found = hardware.constants().into_iter().filter(|constant| ends(&constant.path));
    let constant = found.next().filter(|_| found.next().is_none())?;
    Some(constant.value.parse().map_or(Value::Word(constant.value), Value::Number))
}
