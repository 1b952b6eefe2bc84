//! Writing a configuration.

use std::net::IpAddr;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{
    Address, Blk, CONFIG_MAX, ConfigError, Configuration, MountKind, Net, Program, RunMode, Source,
    Step, words,
};

impl Configuration {
    /// Writes the configuration in one line; [`Configuration::parse`] reads it back.
    ///
    /// # Errors
    /// Something in it that rumprun does not take, or too much of it.
    pub fn emit(&self) -> Result<String, ConfigError> {
        self.check()?;
        let text = serde_json::to_string(self)?;
        match text.len() {
            found if found > CONFIG_MAX => Err(ConfigError::TooLong { found }),
            _ => Ok(text),
        }
    }
}

impl Serialize for Configuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for step in &self.steps {
            match step {
                Step::Cmdline(line) => map.serialize_entry("cmdline", &words::join(line))?,
                Step::Programs(programs) => map.serialize_entry("rc_TESTING", programs)?,
                Step::Env(variable) => map.serialize_entry("env", variable)?,
                Step::Hostname(name) => map.serialize_entry("hostname", name)?,
                Step::Net(net) => map.serialize_entry("net", net)?,
                Step::Blk(blk) => map.serialize_entry("blk", blk)?,
            }
        }
        map.end()
    }
}

impl Serialize for Program {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("bin", &self.bin)?;
        map.serialize_entry("argv", &self.argv)?;
        match self.mode {
            RunMode::Wait => {}
            RunMode::Background => map.serialize_entry("runmode", "&")?,
            RunMode::Pipe => map.serialize_entry("runmode", "|")?,
        }
        map.end()
    }
}

impl Serialize for Net {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("if", &self.interface)?;
        if self.cloner {
            map.serialize_entry("cloner", "true")?;
        }
        let (kind, method) = match self.address {
            Address::Dhcp => ("inet", "dhcp"),
            Address::Auto => ("inet6", "auto"),
            Address::Static {
                addr: IpAddr::V4(_),
                ..
            } => ("inet", "static"),
            Address::Static {
                addr: IpAddr::V6(_),
                ..
            } => ("inet6", "static"),
        };
        map.serialize_entry("type", kind)?;
        map.serialize_entry("method", method)?;
        if let Address::Static {
            addr,
            prefix,
            gateway,
        } = &self.address
        {
            map.serialize_entry("addr", &addr.to_string())?;
            map.serialize_entry("mask", &prefix.to_string())?;
            if let Some(gateway) = gateway {
                map.serialize_entry("gw", &gateway.to_string())?;
            }
        }
        map.end()
    }
}

impl Serialize for Blk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let source = match self.source {
            Source::Dev => "dev",
            Source::Vnd => "vnd",
            Source::Etfs => "etfs",
        };
        map.serialize_entry("source", source)?;
        map.serialize_entry("path", &self.path)?;
        if let Some(mount) = &self.mount {
            let kind = match mount.kind {
                MountKind::Blk => "blk",
                MountKind::Kernfs => "kernfs",
            };
            map.serialize_entry("fstype", kind)?;
            map.serialize_entry("mountpoint", &mount.point)?;
        }
        map.end()
    }
}
