//! Reading a configuration.

use std::net::IpAddr;
use std::str::FromStr;

use super::json::Json;
use super::{
    Address, BLK_KEYS, Blk, ConfigError, Configuration, KEYS, Mount, MountKind, NET_KEYS, Net,
    PROGRAM_KEYS, Program, RunMode, Source, Step, words,
};

impl Configuration {
    /// Reads a configuration, which is stricter than rumprun: what makes that end the guest, or go on
    /// otherwise than one would think, is refused.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        let entries = object("the configuration", serde_json::from_slice(text)?)?;
        let steps = entries.into_iter().map(|(key, value)| step(&key, value));
        let configuration = Self {
            steps: steps.collect::<Result<_, _>>()?,
        };
        configuration.check()?;
        Ok(configuration)
    }
}

fn step(key: &str, value: Json) -> Result<Step, ConfigError> {
    Ok(match key {
        "cmdline" => Step::Cmdline(words::split(&string(key, value)?)?),
        "rc_TESTING" => {
            let programs = array(key, value)?.into_iter().map(program);
            Step::Programs(programs.collect::<Result<_, _>>()?)
        }
        "env" => Step::Env(string(key, value)?),
        "hostname" => Step::Hostname(string(key, value)?),
        "net" => Step::Net(net(value)?),
        "blk" => Step::Blk(blk(value)?),
        "rc" => return Err(ConfigError::Rc),
        _ => {
            return Err(ConfigError::UnknownKey {
                key: key.into(),
                place: "the configuration",
                known: &KEYS,
            });
        }
    })
}

fn program(value: Json) -> Result<Program, ConfigError> {
    let mut fields = Fields::new("a program of `rc_TESTING`", &PROGRAM_KEYS, value)?;
    let argv = array("argv", fields.take("argv")?)?;
    let argv = argv.into_iter().map(|argument| string("argv", argument));
    let mode = fields.optional("runmode")?;
    Ok(Program {
        bin: fields.text("bin")?,
        argv: argv.collect::<Result<_, _>>()?,
        mode: match mode.as_deref() {
            None => RunMode::Wait,
            Some("&") => RunMode::Background,
            Some("|") => RunMode::Pipe,
            Some(found) => return Err(wrong("runmode", found, "`&` or `|`")),
        },
    })
}

fn net(value: Json) -> Result<Net, ConfigError> {
    let mut fields = Fields::new("`net`", &NET_KEYS, value)?;
    let cloner = match fields.optional("cloner")?.as_deref() {
        None => false,
        Some("true") => true,
        Some(found) => {
            let expected = "`true`, or no such key: rumprun takes any value for true";
            return Err(wrong("cloner", found, expected));
        }
    };
    Ok(Net {
        interface: fields.text("if")?,
        cloner,
        address: address(&mut fields)?,
    })
}

fn address(fields: &mut Fields) -> Result<Address, ConfigError> {
    let (kind, method) = (fields.text("type")?, fields.text("method")?);
    match (kind.as_str(), method.as_str()) {
        ("inet", "dhcp") => Ok(Address::Dhcp),
        ("inet6", "auto") => Ok(Address::Auto),
        ("inet" | "inet6", "static") => fixed(fields, kind == "inet"),
        ("inet", found) => Err(wrong(
            "method",
            found,
            "`dhcp` or `static` for the type `inet`",
        )),
        ("inet6", found) => Err(wrong(
            "method",
            found,
            "`auto` or `static` for the type `inet6`",
        )),
        (found, _) => Err(wrong("type", found, "`inet` or `inet6`")),
    }
}

fn fixed(fields: &mut Fields, is_v4: bool) -> Result<Address, ConfigError> {
    let expected = if is_v4 {
        "an IPv4 address"
    } else {
        "an IPv6 address"
    };
    let read = |key, text: String| match IpAddr::from_str(&text) {
        Ok(address) if address.is_ipv4() == is_v4 => Ok(address),
        _ => Err(wrong(key, &text, expected)),
    };
    let mask = fields.text("mask")?;
    let prefix = mask.parse();
    let gateway = fields.optional("gw")?;
    Ok(Address::Static {
        addr: read("addr", fields.text("addr")?)?,
        prefix: prefix.map_err(|_| wrong("mask", &mask, "the number of bits of the network"))?,
        gateway: gateway.map(|gateway| read("gw", gateway)).transpose()?,
    })
}

fn blk(value: Json) -> Result<Blk, ConfigError> {
    let mut fields = Fields::new("`blk`", &BLK_KEYS, value)?;
    let source = match fields.text("source")?.as_str() {
        "dev" => Source::Dev,
        "vnd" => Source::Vnd,
        "etfs" => Source::Etfs,
        found => return Err(wrong("source", found, "`dev`, `vnd` or `etfs`")),
    };
    let kind = match fields.optional("fstype")?.as_deref() {
        None => None,
        Some("blk") => Some(MountKind::Blk),
        Some("kernfs") => Some(MountKind::Kernfs),
        Some(found) => return Err(wrong("fstype", found, "`blk` or `kernfs`")),
    };
    let mount = match (kind, fields.optional("mountpoint")?) {
        (None, None) => None,
        (Some(kind), Some(point)) => Some(Mount { kind, point }),
        (None, Some(_)) => return Err(fields.missing("fstype")),
        (Some(_), None) => return Err(fields.missing("mountpoint")),
    };
    let path = fields.text("path")?;
    Ok(Blk {
        source,
        path,
        mount,
    })
}

fn wrong(key: &'static str, found: &str, expected: &'static str) -> ConfigError {
    let found = found.into();
    ConfigError::Value {
        key,
        found,
        expected,
    }
}

/// The fields of an object, each of which comes once at most.
struct Fields {
    place: &'static str,
    entries: Vec<(String, Json)>,
}

impl Fields {
    /// Of an object with these keys only.
    fn new(
        place: &'static str,
        known: &'static [&'static str],
        value: Json,
    ) -> Result<Self, ConfigError> {
        let entries = object(place, value)?;
        for (at, (key, _)) in entries.iter().enumerate() {
            let key = key.clone();
            if !known.contains(&key.as_str()) {
                return Err(ConfigError::UnknownKey { key, place, known });
            }
            if entries.iter().skip(at + 1).any(|(other, _)| *other == key) {
                return Err(ConfigError::Repeated { key, place });
            }
        }
        Ok(Self { place, entries })
    }

    fn missing(&self, key: &'static str) -> ConfigError {
        let place = self.place;
        ConfigError::Missing { key, place }
    }

    fn find(&mut self, key: &str) -> Option<Json> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.swap_remove(at).1)
    }

    fn take(&mut self, key: &'static str) -> Result<Json, ConfigError> {
        self.find(key).ok_or_else(|| self.missing(key))
    }

    fn text(&mut self, key: &'static str) -> Result<String, ConfigError> {
        string(key, self.take(key)?)
    }

    fn optional(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        self.find(key).map(|value| string(key, value)).transpose()
    }
}

fn string(key: &str, value: Json) -> Result<String, ConfigError> {
    match value {
        Json::String(text) => Ok(text),
        other => Err(wrong_type(key, &other, "a string")),
    }
}

fn array(key: &str, value: Json) -> Result<Vec<Json>, ConfigError> {
    match value {
        Json::Array(items) => Ok(items),
        other => Err(wrong_type(key, &other, "an array")),
    }
}

fn object(key: &str, value: Json) -> Result<Vec<(String, Json)>, ConfigError> {
    match value {
        Json::Object(entries) => Ok(entries),
        other => Err(wrong_type(key.trim_matches('`'), &other, "an object")),
    }
}

fn wrong_type(key: &str, value: &Json, expected: &'static str) -> ConfigError {
    let (key, found) = (key.into(), value.kind());
    ConfigError::Type {
        key,
        found,
        expected,
    }
}
