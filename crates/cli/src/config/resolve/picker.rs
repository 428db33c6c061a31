//! Picks flag before file before default, and remembers where each value came from.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use control::{ConfigError, span};

use crate::args::DoorArgs;
use crate::config::file::{self, File, Span};
use crate::failure::hint;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    File,
    Default,
}

impl Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Flag => "flag",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// Picks values.
#[derive(Default)]
pub(super) struct Picker {
    pub(super) origins: Vec<(String, String, Origin)>,
    file: Option<PathBuf>,
}

impl Picker {
    /// One that has read the file that the arguments name, if they name one.
    pub(super) fn open(door: &DoorArgs) -> anyhow::Result<(Self, File)> {
        let file = match &door.config {
            Some(path) => file::read(path).map_err(|error| {
                let advice = error.hint();
                hint(error.into(), advice)
            })?,
            None => File::default(),
        };
        Ok((Self { origins: Vec::new(), file: door.config.clone() }, file))
    }

    pub(super) fn pick<T>(
        &mut self,
        key: &str,
        flag: Option<T>,
        file: Option<T>,
        default: T,
        show: impl Fn(&T) -> String,
    ) -> T {
        let (value, origin) = match (flag, file) {
            (Some(value), _) => (value, Origin::Flag),
            (None, Some(value)) => (value, Origin::File),
            (None, None) => (default, Origin::Default),
        };
        self.origins.push((key.to_owned(), show(&value), origin));
        value
    }

    pub(super) fn plain<T: ToString>(
        &mut self,
        key: &str,
        flag: Option<T>,
        file: Option<T>,
        default: T,
    ) -> T {
        self.pick(key, flag, file, default, T::to_string)
    }

    /// A value that there need not be; `absent` says what it means that there is none.
    pub(super) fn optional<T: ToString>(
        &mut self,
        key: &str,
        flag: Option<T>,
        file: Option<T>,
        absent: &str,
    ) -> Option<T> {
        let show = |value: &Option<T>| value.as_ref().map_or_else(|| absent.to_owned(), T::to_string);
        self.pick(key, flag.map(Some), file.map(Some), None, show)
    }

    /// Values of which there may be any number; `absent` says what none means.
    pub(super) fn list<T: ToString>(
        &mut self,
        key: &str,
        flags: Vec<T>,
        file: Vec<T>,
        absent: &str,
    ) -> Vec<T> {
        let some = |list: Vec<T>| (!list.is_empty()).then_some(list);
        self.pick(key, some(flags), some(file), Vec::new(), |list| {
            let words: Vec<String> = list.iter().map(T::to_string).collect();
            if words.is_empty() { absent.to_owned() } else { words.join(" ") }
        })
    }

    pub(super) fn span(
        &mut self,
        key: &str,
        flag: Option<Duration>,
        file: Option<Span>,
        default: Duration,
    ) -> Duration {
        self.pick(key, flag, file.map(|span| span.0), default, |length| span::format(*length))
    }

    /// A length of time that must pass at all.
    pub(super) fn some_time(
        &mut self,
        key: &str,
        flag: Option<Duration>,
        file: Option<Span>,
        default: Duration,
    ) -> anyhow::Result<Duration> {
        let length = self.span(key, flag, file, default);
        if length.is_zero() {
            return Err(self.refuse(key, "must be longer than 0s", "try 1s"));
        }
        Ok(length)
    }

    /// A refused policy, named with the file if its setting stands there.
    pub(super) fn refused(&self, error: ConfigError) -> anyhow::Error {
        let text = error.to_string();
        let named =
            |key: &str| text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == key);
        let from_file = self
            .origins
            .iter()
            .any(|(key, _, origin)| *origin == Origin::File && key.rsplit('.').next().is_some_and(named));
        let error = crate::config::refused(error);
        match &self.file {
            Some(path) if from_file => error.context(path.display().to_string()),
            _ => error,
        }
    }

    /// The error that the value picked for `key` cannot be, named as it was written.
    pub(super) fn refuse(
        &self,
        key: &str,
        problem: impl Display,
        advice: impl Into<String>,
    ) -> anyhow::Error {
        let picked = self.origins.iter().rev().find(|(picked, ..)| picked == key);
        let value = picked.map(|(_, value, _)| value.as_str()).unwrap_or_default();
        let place = match (picked.map(|(.., origin)| *origin), &self.file) {
            (Some(Origin::Flag), _) => flag_of(key),
            (Some(Origin::File), Some(path)) => format!("{}: {key}", path.display()),
            _ => key.to_owned(),
        };
        hint(anyhow::anyhow!("{place} {value}: {problem}"), advice)
    }
}

/// The flag that sets a key.
fn flag_of(key: &str) -> String {
    let (table, name) = key.split_once('.').unwrap_or(("", key));
    let name = name.replace('_', "-");
    match (table, name.as_str()) {
        ("health_check", "preset") => "--health-check".to_owned(),
        ("health_check", "path" | "port" | "interval" | "timeout" | "grace-period") => {
            format!("--health-{name}")
        }
        ("ejection", "consecutive") => "--eject-after".to_owned(),
        ("ejection", "failure-ratio") => "--eject-ratio".to_owned(),
        ("ejection", "volume-min") => "--eject-volume".to_owned(),
        ("ejection", _) => format!("--eject-{name}"),
        ("proxy", "trusted-proxies") => "--trusted-proxy".to_owned(),
        ("proxy", "backends") => "--backend".to_owned(),
        _ => format!("--{name}"),
    }
}
