//! Pickles, read as data: containers, texts, numbers, and PyTorch's description of a tensor. Nothing is ever called; a pickle that asks for
//! anything else is refused by name (opcodes: Python's `pickletools`, protocols 2 to 5).

use std::collections::BTreeMap;

/// Deepest nesting that is followed, and most values that are made.
const MAX_DEPTH: usize = 64;
const MAX_VALUES: usize = 1 << 22;

/// A value of a pickle.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// None, a truth value, a number, or anything else that no tensor depends on.
    Plain,
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// A list, a tuple or a dictionary, by its place among the containers.
    Container(usize),
    /// A function or class that is known to be harmless, by its name.
    Name(String),
    /// A storage: the type of its numbers, the file that holds them.
    Storage { dtype: String, key: String },
    /// A tensor: a storage, where it begins in it, its shape, and how far apart neighbours lie.
    Tensor { dtype: String, key: String, offset: usize, shape: Vec<usize>, strides: Vec<usize> },
}

/// A pickle's containers and its topmost value.
#[derive(Debug)]
pub struct Pickle {
    containers: Vec<Container>,
    top: Value,
}

#[derive(Debug)]
enum Container {
    Items(Vec<Value>),
    Pairs(Vec<(Value, Value)>),
}

/// Functions and classes that stand for data.
const NAMES: [&str; 4] =
    ["collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "torch Size"];

impl Pickle {
    /// Reads a pickle.
    ///
    /// # Errors
    /// A sentence that says what it wants that is not data, or where it stops making sense.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut machine =
            Machine { bytes, at: 0, stack: vec![], marks: vec![], memo: BTreeMap::new(), containers: vec![] };
        while let Some(op) = machine.byte() {
            if op == b'.' {
                let top = machine.pop()?;
                return Ok(Self { containers: machine.containers, top });
            }
            machine.step(op)?;
            if machine.stack.len() + machine.containers.len() + machine.memo.len() > MAX_VALUES {
                return Err("holds more values than any checkpoint".to_string());
            }
        }
        Err("is a pickle that is cut off".to_string())
    }

    /// The topmost value.
    pub fn top(&self) -> &Value {
        &self.top
    }

    /// The entry of a dictionary.
    pub fn get(&self, of: &Value, key: &str) -> Option<&Value> {
        self.entries(of).find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The entries of a dictionary that have texts for names; none of anything else.
    pub fn entries<'p>(&'p self, of: &Value) -> impl Iterator<Item = (&'p str, &'p Value)> {
        let container = if let Value::Container(at) = of { Some(&self.containers[*at]) } else { None };
        let pairs = if let Some(Container::Pairs(pairs)) = container { pairs.as_slice() } else { &[] };
        pairs
            .iter()
            .filter_map(|(key, value)| if let Value::Text(key) = key { Some((key.as_str(), value)) } else { None })
    }
}

struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value>,
    containers: Vec<Container>,
}

impl Machine<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let start = self.at;
        self.at = self.at.saturating_add(count);
        self.bytes.get(start..self.at).ok_or_else(|| "is a pickle that is cut off".to_string())
    }

    fn number(&mut self, bytes: usize) -> Result<usize, String> {
        let read = self.take(bytes)?.iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
        usize::try_from(read).map_err(|_| "is a pickle of impossible size".to_string())
    }

    fn text(&mut self, count: usize) -> Result<String, String> {
        Ok(String::from_utf8_lossy(self.take(count)?).into_owned())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or("is a pickle that is cut off")?;
        let line = self.text(end)?;
        self.at += 1;
        Ok(line)
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "is a pickle that takes more than it gave".to_string())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        mark.map(|mark| self.stack.split_off(mark)).ok_or_else(|| "is a pickle without its marks".to_string())
    }

    fn push(&mut self, container: Container) {
        self.stack.push(Value::Container(self.containers.len()));
        self.containers.push(container);
    }

    fn push_items(&mut self, count: usize) -> Result<(), String> {
        let from = self.stack.len().checked_sub(count).ok_or("is a pickle that takes more than it gave")?;
        let items = self.stack.split_off(from);
        self.push(Container::Items(items));
        Ok(())
    }

    fn remember(&mut self, place: usize) -> Result<(), String> {
        let value = self.stack.last().cloned().ok_or("is a pickle that takes more than it gave")?;
        let place = u32::try_from(place).map_err(|_| "is a pickle of impossible size")?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<(), String> {
        let value = u32::try_from(place).ok().and_then(|place| self.memo.get(&place).cloned());
        self.stack.push(value.ok_or("is a pickle that recalls what it never kept")?);
        Ok(())
    }

    /// One operation.
    fn step(&mut self, op: u8) -> Result<(), String> {
        match op {
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => {
                if self.marks.len() >= MAX_DEPTH {
                    return Err("is a pickle that is nested too deeply".to_string());
                }
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?),
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Plain),
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Plain);
            }
            b'K' | b'M' | b'J' | 0x8a => self.whole_number(op)?,
            b'X' | 0x8c | 0x8d => {
                let width = if op == b'X' {
                    4
                } else if op == 0x8c {
                    1
                } else {
                    8
                };
                let length = self.number(width)?;
                let text = self.text(length)?;
                self.stack.push(Value::Text(text));
            }
            b'}' => self.push(Container::Pairs(vec![])),
            b']' | 0x8f => self.push(Container::Items(vec![])),
            b')' => self.push(Container::Items(vec![])),
            b't' | b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Container::Items(items));
            }
            0x85..=0x87 => self.push_items(usize::from(op - 0x84))?,
            b'q' | b'r' => {
                let place = self.number(if op == b'q' { 1 } else { 4 })?;
                self.remember(place)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' | b'j' => {
                let place = self.number(if op == b'h' { 1 } else { 4 })?;
                self.recall(place)?;
            }
            b'a' | b'e' | b's' | b'u' | b'd' | 0x90 => self.fill(op)?,
            b'c' => {
                let name = format!("{} {}", self.line()?, self.line()?);
                self.name(name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (module, name) {
                    (Value::Text(module), Value::Text(name)) => self.name(format!("{module} {name}"))?,
                    _ => return Err("is a pickle whose names are no texts".to_string()),
                }
            }
            b'Q' => self.storage()?,
            b'R' | 0x81 => self.call()?,
            // the state of an object: attributes that no tensor depends on
            b'b' => drop(self.pop()?),
            other => return Err(format!("is a pickle with the operation {other:#04x}, which no checkpoint needs")),
        }
        Ok(())
    }

    fn whole_number(&mut self, op: u8) -> Result<(), String> {
        let value = match op {
            b'K' => self.number(1)? as i64,
            b'M' => self.number(2)? as i64,
            b'J' => i64::from(self.number(4)? as u32 as i32),
            _ => {
                let length = self.number(1)?;
                let bytes = self.take(length)?;
                let mut wide = [bytes.last().map_or(0, |&last| if last >= 128 { 255 } else { 0 }); 8];
                let kept = bytes.len().min(8);
                wide[..kept].copy_from_slice(&bytes[..kept]);
                i64::from_le_bytes(wide)
            }
        };
        self.stack.push(Value::Int(value));
        Ok(())
    }

    /// Puts what was made since the mark, or the last one or two values, into the container below.
    fn fill(&mut self, op: u8) -> Result<(), String> {
        let new = match op {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        if op == b'd' {
            self.push(Container::Pairs(vec![]));
        }
        let Some(Value::Container(at)) = self.stack.last() else {
            return Err("is a pickle that fills what is no container".to_string());
        };
        match &mut self.containers[*at] {
            Container::Items(items) => items.extend(new),
            Container::Pairs(pairs) => {
                let mut new = new.into_iter();
                while let (Some(key), Some(value)) = (new.next(), new.next()) {
                    pairs.push((key, value));
                }
            }
        }
        Ok(())
    }

    /// Pushes a name, where it stands for data.
    fn name(&mut self, name: String) -> Result<(), String> {
        let storage = name.strip_prefix("torch ").is_some_and(|rest| rest.ends_with("Storage"));
        if !storage && !NAMES.contains(&name.as_str()) {
            let (module, name) = name.split_once(' ').unwrap_or((&name, ""));
            return Err(format!("is a pickle that wants to run `{module}.{name}`, and no code is run here"));
        }
        self.stack.push(Value::Name(name));
        Ok(())
    }

    /// `("storage", type, key, device, count)` becomes a storage.
    fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let items = self.items(&id)?;
        match items.as_slice() {
            [Value::Text(kind), Value::Name(dtype), Value::Text(key), ..] if kind == "storage" => {
                let (dtype, key) = (dtype.trim_start_matches("torch ").to_string(), key.clone());
                self.stack.push(Value::Storage { dtype, key });
                Ok(())
            }
            _ => Err("is a pickle with something that PyTorch did not write".to_string()),
        }
    }

    fn items(&self, of: &Value) -> Result<Vec<Value>, String> {
        let Value::Container(at) = of else {
            return Err("is a pickle with a value where a list is wanted".to_string());
        };
        match &self.containers[*at] {
            Container::Items(items) => Ok(items.clone()),
            Container::Pairs(_) => Err("is a pickle with a dictionary where a list is wanted".to_string()),
        }
    }

    /// What one of the known names makes of its operands.
    fn call(&mut self) -> Result<(), String> {
        let (operands, name) = (self.pop()?, self.pop()?);
        let Value::Name(name) = name else {
            return Err("is a pickle that calls what is no name, and no code is run here".to_string());
        };
        let operands = self.items(&operands)?;
        match name.as_str() {
            "collections OrderedDict" => self.push(Container::Pairs(vec![])),
            "torch._utils _rebuild_tensor_v2" => {
                let tensor = self.tensor(&operands).ok_or("is a pickle with a tensor that PyTorch did not write")?;
                self.stack.push(tensor);
            }
            "torch._utils _rebuild_parameter" => {
                let tensor = operands.into_iter().next().ok_or("is a pickle with a parameter without a tensor")?;
                self.stack.push(tensor);
            }
            _ => self.stack.push(Value::Plain),
        }
        Ok(())
    }

    /// `(storage, offset, shape, strides, …)` becomes a tensor.
    fn tensor(&self, operands: &[Value]) -> Option<Value> {
        let sizes = |value: &Value| -> Option<Vec<usize>> {
            let sizes = self
                .items(value)
                .ok()?
                .into_iter()
                .map(|size| if let Value::Int(size) = size { usize::try_from(size).ok() } else { None });
            sizes.collect()
        };
        match operands {
            [Value::Storage { dtype, key }, Value::Int(offset), shape, strides, ..] => Some(Value::Tensor {
                dtype: dtype.clone(),
                key: key.clone(),
                offset: usize::try_from(*offset).ok()?,
                shape: sizes(shape)?,
                strides: sizes(strides)?,
            }),
            _ => None,
        }
    }
}
