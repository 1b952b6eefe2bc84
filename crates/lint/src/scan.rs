//! Programs that a module starts, found in its instructions.
//!
//! Calls of the functions in [`STARTERS`] are looked for, and what the first argument register holds
//! there, as far as it was put together in the same stretch of code without a branch. What a call
//! starts is then a constant ([`What::Program`], [`What::Shell`]), or not known ([`What::Unknown`]).

use std::collections::BTreeMap;
use std::fmt;

use beam::code::{Instruction, Operand, op};
use beam::{AtomTable, Beam, BeamError, Import};
use release::term::Term;
use release::term::etf;

/// A call that starts a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spawn {
    /// The function that calls, as one writes it.
    pub(crate) caller: String,
    /// The function that is called, as one writes it.
    pub(crate) callee: String,
    /// What is started.
    pub(crate) what: What,
}

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// This program, without a shell.
    Program(String),
    /// The shell, with this command if that is known.
    Shell(Option<String>),
    /// A program whose name is not known.
    Unknown,
}

/// How a function takes the name of a program.
#[derive(Clone, Copy)]
enum Takes {
    /// A command for the shell.
    Command,
    /// The name of a program.
    Program,
    /// The first argument of `open_port/2`.
    PortName,
}

/// Functions that start programs: module, function, first argument (arities do not matter).
const STARTERS: [(&str, &str, Takes); 7] = [
    ("os", "cmd", Takes::Command),
    ("erlang", "open_port", Takes::PortName),
    ("Elixir.System", "cmd", Takes::Program),
    ("Elixir.System", "shell", Takes::Command),
    ("Elixir.Port", "open", Takes::PortName),
    ("Elixir.MuonTrap", "cmd", Takes::Program),
    ("Elixir.Rambo", "run", Takes::Program),
];

/// Drivers that are part of the emulator (erts/emulator/utils/make_driver_tab).
const DRIVERS: [&str; 6] = [
    "inet_gethost_native_drv",
    "ram_file_drv",
    "sctp_inet",
    "tcp_inet",
    "tty_sl",
    "udp_inet",
];

/// What a register holds.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Known(Term),
    Tuple(Vec<Option<Value>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Register {
    X(u64),
    Y(u64),
}

/// The calls in a module that start programs.
///
/// # Errors
/// A chunk is malformed.
pub(crate) fn spawns(module: &Beam<'_>) -> Result<Vec<Spawn>, BeamError> {
    let imports = module.imports()?;
    let interesting = |import: &Import| starter(import).is_some();
    // Most modules start nothing.
    if !imports.iter().any(interesting) {
        return Ok(Vec::new());
    }
    let mut scan = Scan {
        loads_drivers: imports.iter().any(|import| import.module == "erl_ddll"),
        imports,
        atoms: module.atoms()?,
        literals: module.literals()?.encoded,
        registers: BTreeMap::new(),
        function: String::new(),
        found: Vec::new(),
    };
    for instruction in module.code()?.instructions() {
        scan.step(&instruction?);
    }
    Ok(scan.found)
}

fn starter(import: &Import) -> Option<Takes> {
    let mut known = STARTERS.iter();
    let found = known
        .find(|(module, function, _)| import.module == *module && import.function == *function);
    found.map(|(_, _, takes)| *takes)
}

struct Scan {
    imports: Vec<Import>,
    /// Whether the module loads drivers, which it then opens by name.
    loads_drivers: bool,
    atoms: AtomTable,
    literals: Vec<Vec<u8>>,
    registers: BTreeMap<Register, Value>,
    function: String,
    found: Vec<Spawn>,
}

impl Scan {
    fn step(&mut self, instruction: &Instruction) {
        let operands = instruction.operands.as_slice();
        match (instruction.opcode, operands) {
            (op::LABEL, _) => self.registers.clear(),
            (op::FUNC_INFO, [module, function, arity]) => self.enter(module, function, arity),
            (op::MOVE, [from, to]) => {
                let value = self.value(from);
                self.set(to, value);
            }
            (op::PUT_TUPLE2, [to, Operand::List(elements)]) => {
                let elements = elements.iter().map(|element| self.value(element));
                let tuple = Value::Tuple(elements.collect());
                self.set(to, Some(tuple));
            }
            (
                op::CALL_EXT | op::CALL_EXT_ONLY | op::CALL_EXT_LAST,
                [_, Operand::Unsigned(import), ..],
            ) => {
                self.call(*import);
                self.forget_arguments();
            }
            (
                op::CALL | op::CALL_LAST | op::CALL_ONLY | op::CALL_FUN | op::CALL_FUN2 | op::APPLY,
                _,
            ) => {
                self.forget_arguments();
            }
            (op::TRIM, _) => self
                .registers
                .retain(|register, _| matches!(register, Register::X(_))),
            _ => operands.iter().for_each(|operand| self.forget(operand)),
        }
    }

    fn enter(&mut self, module: &Operand, function: &Operand, arity: &Operand) {
        self.registers.clear();
        let name = |operand: &Operand| match operand {
            Operand::Atom(number) => self.atom(*number).unwrap_or_default(),
            _ => String::new(),
        };
        let arity = match arity {
            Operand::Unsigned(arity) => *arity,
            _ => 0,
        };
        self.function = written(&name(module), &name(function), arity);
    }

    fn call(&mut self, import: u64) {
        let index = usize::try_from(import).ok();
        let Some(import) = index.and_then(|index| self.imports.get(index)) else {
            return;
        };
        let Some(takes) = starter(import) else {
            return;
        };
        let argument = self.registers.get(&Register::X(0));
        let Some(what) = what(takes, argument).filter(|what| !self.is_driver(what)) else {
            return;
        };
        self.found.push(Spawn {
            caller: self.function.clone(),
            callee: written(&import.module, &import.function, import.arity),
            what,
        });
    }

    /// Whether `{spawn, Name}` names a driver: one that is built in, or perhaps one that the module
    /// loads.
    fn is_driver(&self, what: &What) -> bool {
        match what {
            What::Shell(Some(command)) => {
                let word = command.split_whitespace().next().unwrap_or_default();
                DRIVERS.contains(&word) || self.loads_drivers
            }
            What::Shell(None) | What::Unknown => self.loads_drivers,
            What::Program(_) => false,
        }
    }

    /// The value of an operand, if it is known.
    fn value(&self, operand: &Operand) -> Option<Value> {
        let known = match operand.untyped() {
            Operand::Atom(0) => Term::List(Vec::new()),
            Operand::Atom(number) => Term::Atom(self.atom(*number)?),
            Operand::Integer(value) => Term::Integer(*value),
            Operand::Literal(number) => {
                let encoded = self.literals.get(usize::try_from(*number).ok()?)?;
                etf::decode(encoded).ok()?.0
            }
            other => return self.registers.get(&register(other)?).cloned(),
        };
        Some(Value::Known(known))
    }

    fn atom(&self, number: u64) -> Option<String> {
        let number = u32::try_from(number).ok()?;
        self.atoms.get(number).map(Into::into)
    }

    fn set(&mut self, to: &Operand, value: Option<Value>) {
        if let Some(register) = register(to.untyped()) {
            match value {
                Some(value) => self.registers.insert(register, value),
                None => self.registers.remove(&register),
            };
        }
    }

    /// Calls change all registers for arguments.
    fn forget_arguments(&mut self) {
        self.registers
            .retain(|register, _| matches!(register, Register::Y(_)));
    }

    /// Other instructions may write to each register that they name.
    fn forget(&mut self, operand: &Operand) {
        match operand.untyped() {
            Operand::List(operands) => operands.iter().for_each(|operand| self.forget(operand)),
            operand => {
                if let Some(register) = register(operand) {
                    self.registers.remove(&register);
                }
            }
        }
    }
}

fn register(operand: &Operand) -> Option<Register> {
    match operand {
        Operand::X(number) => Some(Register::X(*number)),
        Operand::Y(number) => Some(Register::Y(*number)),
        _ => None,
    }
}

/// A function as one writes it in its language.
fn written(module: &str, function: &str, arity: impl fmt::Display) -> String {
    match module.strip_prefix("Elixir.") {
        Some(module) => format!("{module}.{function}/{arity}"),
        None => format!("{module}:{function}/{arity}"),
    }
}

/// What a call with this argument starts; `None` if it starts no program at all.
fn what(takes: Takes, argument: Option<&Value>) -> Option<What> {
    match (takes, argument) {
        (Takes::Command, argument) => Some(What::Shell(argument.and_then(text))),
        (Takes::Program, argument) => {
            Some(argument.and_then(text).map_or(What::Unknown, What::Program))
        }
        (Takes::PortName, None) => Some(What::Unknown),
        (Takes::PortName, Some(name)) => port(name),
    }
}

/// What `open_port/2` starts for this name. `{fd, In, Out}` starts nothing.
fn port(name: &Value) -> Option<What> {
    let parts: Vec<Option<Value>> = match name {
        Value::Tuple(parts) => parts.clone(),
        Value::Known(Term::Tuple(parts)) => parts
            .iter()
            .map(|part| Some(Value::Known(part.clone())))
            .collect(),
        Value::Known(_) => return Some(What::Unknown),
    };
    let [Some(Value::Known(Term::Atom(kind))), target, ..] = parts.as_slice() else {
        return Some(What::Unknown);
    };
    let target = target.as_ref().and_then(text);
    match kind.as_str() {
        "spawn_executable" => Some(target.map_or(What::Unknown, What::Program)),
        // The first word is a driver, a program on the path, or something for the shell.
        "spawn" => Some(target.map_or(What::Unknown, command)),
        _ => None,
    }
}

/// A command of `{spawn, Command}`: the shell runs it (erts: sys_drivers.c, `spawn_start`, which runs
/// `/bin/sh -c "exec Command"`).
fn command(command: String) -> What {
    What::Shell(Some(command))
}

/// The text of a string or binary, or of nested ones (`iodata`).
fn text(value: &Value) -> Option<String> {
    let Value::Known(term) = value else {
        return None;
    };
    let text = match term {
        Term::Binary(bytes) => String::from_utf8(bytes.clone()).ok()?,
        Term::Atom(name) => name.clone(),
        term => term.to_text()?,
    };
    let printable = text.chars().all(|c| !c.is_control() || c.is_whitespace());
    (printable && !text.trim().is_empty()).then(|| text.trim().to_string())
}

/// At most three names, and how many more there are.
pub(crate) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<_> = names.collect();
    all.sort_unstable();
    all.dedup();
    let more = all.len().saturating_sub(3);
    all.truncate(3);
    match more {
        0 => all.join(", "),
        more => format!("{} and {more} more", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Takes, Value, What, names, what};
    use release::term::text;

    fn known(term: &str) -> Value {
        Value::Known(text::parse_one(term.as_bytes()).unwrap())
    }

    #[test]
    fn ports_have_kinds() {
        let port = |term: &str| what(Takes::PortName, Some(&known(term)));
        assert_eq!(port("{fd,0,1}."), None);
        let shell = Some(What::Shell(Some("cat -".into())));
        assert_eq!(port("{spawn,\"cat -\"}."), shell);
        let program = Some(What::Program("/bin/x".into()));
        assert_eq!(port("{spawn_executable,<<\"/bin/x\">>}."), program);
        let half = Value::Tuple(vec![Some(known("spawn_executable.")), None]);
        assert_eq!(what(Takes::PortName, Some(&half)), Some(What::Unknown));
        assert_eq!(what(Takes::PortName, None), Some(What::Unknown));
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(names(["b", "a", "b"].into_iter()), "a, b");
        assert_eq!(
            names(["d", "c", "b", "a", "e"].into_iter()),
            "a, b, c and 2 more"
        );
    }
}
