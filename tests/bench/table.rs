//! One measured figure.

use serde::Serialize;
use std::fmt;

/// A figure with its name and unit.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
        }
    }

    /// Bytes, shown in MiB.
    pub(crate) fn size(name: impl Into<String>, bytes: u64) -> Self {
        Self::new(name, bytes as f64 / f64::from(1 << 20), "MiB")
    }

    /// Nanoseconds of guest time, shown in millions of instructions.
    pub(crate) fn instructions(name: impl Into<String>, ns: u64) -> Self {
        Self::new(name, ns as f64 / 1e6, "M instructions")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<60} {:>10.2} {}", self.name, self.value, self.unit)
    }
}
