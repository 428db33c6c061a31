//! Policies as users write them, the same everywhere: `hpa`, `hpa:target=80`,
//! `threshold:up=80,down=20`, a preset, several with commas.
//!
//! A comma parts policies and settings alike: what follows one is the next setting of the
//! policy before it if it reads `key=value`, and the next policy otherwise.

use serde_json::{Map, Value};

use super::{ConfigError, POLICIES, PolicyConfig};

/// A policy with the settings of a known source.
pub struct Preset {
    /// What users type.
    pub name: &'static str,
    /// One line for lists.
    pub about: &'static str,
    /// A row of the registry.
    pub policy: &'static str,
    /// Its settings as JSON.
    settings: &'static str,
    /// Bounds that belong to it: fewest and most replicas.
    pub bounds: (u32, u32),
}

/// Every preset, in the order in which they are listed.
pub static PRESETS: &[Preset] = &[
    Preset {
        name: "seed001",
        about: "one more above 35 % CPU, one fewer below 15 %, 1 to 5",
        policy: "threshold",
        settings: r#"{"up": 35, "down": 15}"#,
        bounds: (1, 5),
    },
    Preset {
        name: "seed003",
        about: "70 % CPU: one more above +10, one fewer below -20, cool-down 300 s, 2 to 10",
        policy: "threshold",
        settings: r#"{"up": 80, "down": 50, "cooldown_up": "300s", "cooldown_down": "300s"}"#,
        bounds: (2, 10),
    },
    Preset {
        name: "seed004",
        about: "one more above 80 % CPU, one fewer below 20 %, two periods of 5 min, 1 to 4",
        policy: "threshold",
        settings: r#"{"up": 80, "down": 20, "period": "5m", "evaluation_periods": 2, "datapoints_to_alarm": 2,
                      "cooldown_up": "300s", "cooldown_down": "300s"}"#,
        bounds: (1, 4),
    },
];

impl Preset {
    /// The policy that it stands for.
    pub fn config(&self) -> PolicyConfig {
        let settings = serde_json::from_str(self.settings).unwrap_or_default();
        PolicyConfig { name: self.policy.to_owned(), settings }
    }

    /// The preset of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }
}

/// One policy of a list, with what the user wrote for it.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySpec {
    /// As written, for tables and charts.
    pub label: String,
    /// What it means.
    pub config: PolicyConfig,
}

impl PolicySpec {
    /// Reads a list of policies and checks each. Errors name the policy or the setting.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ConfigError> {
        let mut specs: Vec<Self> = Vec::new();
        for item in split(text) {
            let item = item.trim();
            let setting = item.split_once('=').filter(|(key, _)| !is_head(key));
            match (setting, specs.last_mut()) {
                (Some((key, value)), Some(spec)) => {
                    spec.label.push(',');
                    spec.label.push_str(item);
                    set(&mut spec.config.settings, key, value);
                }
                _ => specs.push(Self::head(item)?),
            }
        }
        for spec in &specs {
            super::build(&spec.config)?;
        }
        Ok(specs)
    }

    /// Reads exactly one policy.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut specs = Self::parse_list(text)?;
        match (specs.pop(), specs.is_empty()) {
            (Some(spec), true) => Ok(spec),
            _ => Err(ConfigError::Value(format!("`{text}` is not one policy"))),
        }
    }

    /// `name` or `name:key=value`.
    fn head(item: &str) -> Result<Self, ConfigError> {
        let (name, first) = item.split_once(':').map_or((item, None), |(name, rest)| (name, Some(rest)));
        let name = name.trim();
        let mut config = match Preset::find(name) {
            Some(preset) => preset.config(),
            None if POLICIES.iter().any(|entry| entry.name == name) => {
                PolicyConfig { name: name.to_owned(), settings: Map::new() }
            }
            None => return Err(ConfigError::UnknownPolicy(name.to_owned())),
        };
        if let Some(first) = first.filter(|first| !first.trim().is_empty()) {
            let (key, value) = first.split_once('=').ok_or_else(|| {
                ConfigError::Value(format!("`{first}` in `{item}` is no setting (key=value)"))
            })?;
            set(&mut config.settings, key, value);
        }
        Ok(Self { label: item.to_owned(), config })
    }
}

/// Whether what stands before an equals sign begins a policy: `hpa:target`.
fn is_head(key: &str) -> bool {
    key.split_once(':').is_some_and(|(name, _)| {
        let name = name.trim();
        Preset::find(name).is_some() || POLICIES.iter().any(|entry| entry.name == name)
    })
}

/// Parts at commas outside brackets and quotes.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut quoted) = (0_i32, false);
    text.split(move |letter| {
        match letter {
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => depth -= 1,
            _ => {}
        }
        letter == ',' && depth <= 0 && !quoted
    })
}

/// Sets `key` (dots nest, dashes are underscores) to `value`: JSON if it is such, a percentage
/// as a number, text otherwise.
fn set(settings: &mut Map<String, Value>, key: &str, value: &str) {
    let value = value.trim();
    let percent = value.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let value = percent
        .map(Value::from)
        .or_else(|| serde_json::from_str(value).ok())
        .unwrap_or_else(|| Value::from(value));
    let key = key.trim().replace('-', "_");
    let mut table = settings;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            table.insert(part.to_owned(), value);
            return;
        }
        let inner = table.entry(part).or_insert_with(|| Value::Object(Map::new()));
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
        }
        let Value::Object(next) = inner else { return };
        table = next;
    }
}

#[cfg(test)]
#[path = "spec/tests.rs"]
mod tests;
