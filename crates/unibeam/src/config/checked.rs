//! Texts of the configuration that are checked as the values of flags are, while the file is read:
//! so that errors have a place in it.

use crate::cli::{CompressArg, EnvVar};
use clap::ValueEnum;
use image::Format;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

/// A text that is a `T`.
#[derive(Debug)]
pub(crate) struct Checked<T> {
    /// The text.
    pub(super) text: String,
    kind: PhantomData<T>,
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Checked<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        // In a list, the place is that of the list: the text says which element it is.
        T::from_str(&text).map_err(|error| D::Error::custom(format_args!("`{text}`: {error}")))?;
        Ok(Self {
            text,
            kind: PhantomData,
        })
    }
}

/// A text that is one of the possible values of a flag.
#[derive(Debug)]
pub(crate) struct Choice<T> {
    /// The text.
    pub(super) text: String,
    kind: PhantomData<T>,
}

impl<'de, T: ValueEnum> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        let choices = T::value_variants().iter();
        let values = choices.filter_map(ValueEnum::to_possible_value);
        let names: Vec<_> = values.map(|value| value.get_name().to_owned()).collect();
        if !names.contains(&text) {
            let names = names.join(", ");
            let problem = format_args!("`{text}` is not possible; possible are {names}");
            return Err(D::Error::custom(problem));
        }
        Ok(Self {
            text,
            kind: PhantomData,
        })
    }
}

/// Name of a format.
#[derive(Debug)]
pub(crate) struct FormatName(pub(super) &'static str);

impl<'de> Deserialize<'de> for FormatName {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        let format = Format::named(&text).ok_or_else(|| {
            let names = Format::ALL.map(Format::name).join(", ");
            D::Error::custom(format_args!(
                "there is no format `{text}`; there are {names}"
            ))
        })?;
        Ok(Self(format.name()))
    }
}

/// Name of an environment variable.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EnvName(pub(super) String);

impl<'de> Deserialize<'de> for EnvName {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let name = String::deserialize(source)?;
        EnvVar::from_str(&format!("{name}=")).map_err(D::Error::custom)?;
        Ok(Self(name))
    }
}

/// Value of an environment variable.
#[derive(Debug)]
pub(crate) struct EnvText(pub(super) String);

impl<'de> Deserialize<'de> for EnvText {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        EnvVar::from_str(&format!("NAME={text}")).map_err(D::Error::custom)?;
        Ok(Self(text))
    }
}

/// Whether and how to compress.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(untagged))]
pub(crate) enum Compression {
    /// Whether.
    Any(bool),
    /// How.
    Method(String),
}

impl<'de> Deserialize<'de> for Compression {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(CompressionVisitor)
    }
}

struct CompressionVisitor;

impl Visitor<'_> for CompressionVisitor {
    type Value = Compression;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, \"best\", \"zstd\" or \"deflate\"")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Compression, E> {
        Ok(Compression::Any(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Compression, E> {
        let known = CompressArg::from_str(text, false).is_ok();
        let method = known.then(|| Compression::Method(text.into()));
        method.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}
