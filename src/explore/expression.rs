//! A small language for conditions and further columns: numbers, words in single quotes, names, `+ - * / ^`, comparisons,
//! `and or not`, and `min max abs sqrt log2 floor`.

use std::collections::BTreeSet;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    root: Term,
}

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A word.
    Word(String),
    /// Whether something holds.
    Truth(bool),
}

/// Why a text is no expression, or has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {what}")]
pub struct ExpressionError {
    /// The expression.
    pub text: String,
    /// What is wrong, where, and what would put it right.
    pub what: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Value(Value),
    Name(String),
    Apply(Operation, Vec<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Or,
    And,
    Not,
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Negate,
    Min,
    Max,
    Abs,
    Sqrt,
    Log2,
    Floor,
}

use Operation::{
    Abs, Add, And, AtLeast, AtMost, Divide, Equal, Floor, Less, Log2, Max, Min, More, Multiply, Negate, Not, Or, Power,
    Sqrt, Subtract, Unequal,
};

/// Operators between two terms, the loosest first.
const LEVELS: [&[(&str, Operation)]; 5] = [
    &[("or", Or)],
    &[("and", And)],
    &[("==", Equal), ("!=", Unequal), ("<=", AtMost), (">=", AtLeast), ("<", Less), (">", More)],
    &[("+", Add), ("-", Subtract)],
    &[("*", Multiply), ("/", Divide)],
];
const FUNCTIONS: [(&str, Operation, usize); 6] =
    [("min", Min, 2), ("max", Max, 2), ("abs", Abs, 1), ("sqrt", Sqrt, 1), ("log2", Log2, 1), ("floor", Floor, 1)];
/// Deepest nesting of brackets and signs.
const DEEPEST: usize = 64;

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// Where the text stops making sense.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let root = parser.binary(0)?;
        parser.skip();
        if parser.at < text.len() {
            return Err(parser.fault("goes on where it should end"));
        }
        Ok(Self { text: text.to_string(), root })
    }

    /// The names in it.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        fn of<'t>(term: &'t Term, names: &mut BTreeSet<&'t str>) {
            match term {
                Term::Value(_) => {}
                Term::Name(name) => drop(names.insert(name)),
                Term::Apply(_, terms) => terms.iter().for_each(|term| of(term, names)),
            }
        }
        let mut names = BTreeSet::new();
        of(&self.root, &mut names);
        names
    }

    /// Its value, where `value_of` gives those of names; `None` if one of them has none.
    ///
    /// # Errors
    /// If words and numbers meet where they do not belong.
    pub fn value(&self, value_of: &dyn Fn(&str) -> Option<Value>) -> Result<Option<Value>, ExpressionError> {
        value(&self.root, value_of).map_err(|what| ExpressionError { text: self.text.clone(), what })
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.text)
    }
}

fn value(term: &Term, value_of: &dyn Fn(&str) -> Option<Value>) -> Result<Option<Value>, String> {
    let (operation, terms) = match term {
        Term::Value(value) => return Ok(Some(value.clone())),
        Term::Name(name) => return Ok(value_of(name)),
        Term::Apply(operation, terms) => (*operation, terms),
    };
    let mut values = vec![];
    for term in terms {
        match value(term, value_of)? {
            Some(value) => values.push(value),
            None => return Ok(None),
        }
    }
    apply(operation, &values).map(Some)
}

fn apply(operation: Operation, values: &[Value]) -> Result<Value, String> {
    use Value::{Number, Truth, Word};
    match (operation, values) {
        (Or, [Truth(a), Truth(b)]) => Ok(Truth(*a || *b)),
        (And, [Truth(a), Truth(b)]) => Ok(Truth(*a && *b)),
        (Not, [Truth(a)]) => Ok(Truth(!a)),
        (Equal, [Word(a), Word(b)]) => Ok(Truth(a == b)),
        (Unequal, [Word(a), Word(b)]) => Ok(Truth(a != b)),
        (_, [Number(a)]) => one(operation, *a),
        (_, [Number(a), Number(b)]) => two(operation, *a, *b),
        (_, _) => {
            Err("words, numbers and conditions are mixed; compare words with words and numbers with numbers".into())
        }
    }
}

fn one(operation: Operation, a: f64) -> Result<Value, String> {
    let number = match operation {
        Negate => -a,
        Abs => a.abs(),
        Sqrt => a.sqrt(),
        Log2 => a.log2(),
        Floor => a.floor(),
        Or | And | Not | Equal | Unequal | Less | AtMost | More | AtLeast | Add | Subtract | Multiply | Divide
        | Power | Min | Max => {
            return Err("a condition is wanted where there is a number; compare it with something".into());
        }
    };
    Ok(Value::Number(number))
}

fn two(operation: Operation, a: f64, b: f64) -> Result<Value, String> {
    use Value::{Number, Truth};
    Ok(match operation {
        Equal => Truth(a == b),
        Unequal => Truth(a != b),
        Less => Truth(a < b),
        AtMost => Truth(a <= b),
        More => Truth(a > b),
        AtLeast => Truth(a >= b),
        Add => Number(a + b),
        Subtract => Number(a - b),
        Multiply => Number(a * b),
        Divide => Number(a / b),
        Power => Number(a.powf(b)),
        Min => Number(a.min(b)),
        Max => Number(a.max(b)),
        Or | And | Not | Negate | Abs | Sqrt | Log2 | Floor => {
            return Err("a condition is wanted where there is a number; compare it with something".into());
        }
    })
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn fault(&self, what: &str) -> ExpressionError {
        let found = self.rest().split_whitespace().next().map_or("the end".to_string(), |word| format!("`{word}`"));
        let column = self.text[..self.at].chars().count() + 1;
        ExpressionError { text: self.text.to_string(), what: format!("{what}, at {found} in column {column}") }
    }

    /// Takes `word` if it comes next; one of letters only where it ends.
    fn take(&mut self, word: &str) -> bool {
        self.skip();
        let goes_on = |rest: &str| rest.starts_with(|next: char| next.is_ascii_alphanumeric() || "_.".contains(next));
        let letters = word.as_bytes()[0].is_ascii_alphabetic();
        let found = self.rest().strip_prefix(word).is_some_and(|rest| !letters || !goes_on(rest));
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn binary(&mut self, level: usize) -> Result<Term, ExpressionError> {
        let Some(operators) = LEVELS.get(level) else { return self.power() };
        let mut left = self.binary(level + 1)?;
        while let Some((_, operation)) = operators.iter().find(|(sign, _)| self.take(sign)) {
            left = Term::Apply(*operation, vec![left, self.binary(level + 1)?]);
        }
        Ok(left)
    }

    fn power(&mut self) -> Result<Term, ExpressionError> {
        let base = self.unary()?;
        Ok(if self.take("^") { Term::Apply(Power, vec![base, self.deeper(Self::power)?]) } else { base })
    }

    fn unary(&mut self) -> Result<Term, ExpressionError> {
        if self.take("-") {
            return Ok(Term::Apply(Negate, vec![self.deeper(Self::power)?]));
        }
        if self.take("not") {
            return Ok(Term::Apply(Not, vec![self.deeper(|parser| parser.binary(2))?]));
        }
        self.atom()
    }

    fn deeper(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Term, ExpressionError>,
    ) -> Result<Term, ExpressionError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.fault("is nested too deeply"));
        }
        let term = inner(self);
        self.depth -= 1;
        term
    }

    fn atom(&mut self) -> Result<Term, ExpressionError> {
        if self.take("(") {
            let term = self.deeper(|parser| parser.binary(0))?;
            return if self.take(")") { Ok(term) } else { Err(self.fault("lacks a `)`")) };
        }
        if self.take("'") {
            let end = self.rest().find('\'').ok_or_else(|| self.fault("lacks a closing `'`"))?;
            let word = self.rest()[..end].to_string();
            self.at += end + 1;
            return Ok(Term::Value(Value::Word(word)));
        }
        let word_end = |c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c));
        let mut word = &self.rest()[..self.rest().find(word_end).unwrap_or(self.rest().len())];
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            // the sign of an exponent belongs to the number
            let tail = &self.rest()[word.len()..];
            if word.ends_with(['e', 'E']) && tail.starts_with(['-', '+']) {
                let digits = tail[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len() - 1);
                word = &self.rest()[..word.len() + 1 + digits];
            }
            let number = word.parse().map_err(|_| self.fault("has a number that is none"))?;
            self.at += word.len();
            return Ok(Term::Value(Value::Number(number)));
        }
        if word.is_empty() {
            return Err(self.fault("lacks a number, a name or a bracket"));
        }
        self.at += word.len();
        match FUNCTIONS.iter().find(|(name, ..)| *name == word) {
            Some((_, operation, count)) => self.arguments(*operation, *count),
            None => Ok(Term::Name(word.to_string())),
        }
    }

    fn arguments(&mut self, operation: Operation, count: usize) -> Result<Term, ExpressionError> {
        let mut terms = vec![];
        for at in 0..count {
            if !self.take(if at == 0 { "(" } else { "," }) {
                return Err(self.fault(&format!("lacks argument {} of {count} of a function", at + 1)));
            }
            terms.push(self.deeper(|parser| parser.binary(0))?);
        }
        if self.take(")") { Ok(Term::Apply(operation, terms)) } else { Err(self.fault("lacks a `)`")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let known = |name: &str| match name {
            "lanes" => Some(Value::Number(8.0)),
            "mesh.rows" => Some(Value::Number(16.0)),
            "strategy" => Some(Value::Word("hilbert".into())),
            _ => None,
        };
        match Expression::parse(text).and_then(|expression| expression.value(&known)) {
            Ok(Some(Value::Number(number))) => number.to_string(),
            Ok(Some(Value::Truth(truth))) => truth.to_string(),
            Ok(Some(Value::Word(word))) => word,
            Ok(None) => "nothing".to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn operators_bind_as_in_school() {
        assert_eq!(of("1 + 2 * 3 - 4 / 2"), "5");
        assert_eq!(of("-2 ^ 2 + 2 ^ 3 ^ 2"), "508");
        assert_eq!(of("(1 + 2) * 3 == 9 and not 1 > 2 or 1 == 2"), "true");
        assert_eq!(
            of("max(min(lanes, 3), mesh.rows / 4) + sqrt(16) + abs(-1) + log2(8) + floor(2.7) + 1.5e-1"),
            "14.15"
        );
        assert_eq!(of("strategy == 'hilbert' and lanes <= 8"), "true");
        assert_eq!(of("unknown + 1"), "nothing");
    }

    #[test]
    fn what_makes_no_sense_says_where() {
        assert_eq!(of("1 +"), "`1 +`: lacks a number, a name or a bracket, at the end in column 4");
        assert_eq!(of("(1 + 2"), "`(1 + 2`: lacks a `)`, at the end in column 7");
        assert_eq!(of("lanes 3"), "`lanes 3`: goes on where it should end, at `3` in column 7");
        assert_eq!(of("max(1)"), "`max(1)`: lacks argument 2 of 2 of a function, at `)` in column 6");
        assert_eq!(of("'ab"), "`'ab`: lacks a closing `'`, at `ab` in column 2");
        assert_eq!(of("1.2.3"), "`1.2.3`: has a number that is none, at `1.2.3` in column 1");
        assert!(of("lanes + strategy").contains("words, numbers and conditions are mixed"));
        assert!(of("lanes and 1 > 0").contains("mixed") && of("not lanes").contains("compare it with something"));
        assert!(of(&"(".repeat(100_000)).contains("nested too deeply"));
        assert!(of(&"-".repeat(100_000)).contains("nested too deeply"));
    }
}
