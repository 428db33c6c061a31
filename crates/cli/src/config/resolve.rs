//! Flags before file before defaults; the only place where defaults stand.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use control::{ConfigError, ControllerConfig, PolicyConfig, PolicySpec, Preset, span};
use serde_json::{Map, Value, json};

use super::file::{self, File};
use super::policy_file;
use super::{Config, Pool, Proxy};
use crate::args::RunArgs;
use crate::failure::{Hint, hint};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    File,
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Flag => "flag",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// A run, settled, with the origin of every value in the order in which they are shown.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) config: Config,
    pub(crate) origins: Vec<(String, String, Origin)>,
}

/// Picks values and remembers where each came from.
#[derive(Default)]
struct Picker {
    origins: Vec<(String, String, Origin)>,
}

impl Picker {
    fn pick<T>(
        &mut self,
        key: &str,
        flag: Option<T>,
        file: Option<T>,
        default: T,
        show: fn(&T) -> String,
    ) -> T {
        let (value, origin) = match (flag, file) {
            (Some(value), _) => (value, Origin::Flag),
            (None, Some(value)) => (value, Origin::File),
            (None, None) => (default, Origin::Default),
        };
        self.origins.push((key.to_owned(), show(&value), origin));
        value
    }

    fn plain<T: ToString>(&mut self, key: &str, flag: Option<T>, file: Option<T>, default: T) -> T {
        self.pick(key, flag, file, default, T::to_string)
    }

    fn span(
        &mut self,
        key: &str,
        flag: Option<Duration>,
        file: Option<file::Span>,
        default: Duration,
    ) -> Duration {
        self.pick(key, flag, file.map(|span| span.0), default, |length| span::format(*length))
    }
}

/// Settles a run. Every error says what is wrong and ends in a hint.
pub(crate) fn resolve(args: &RunArgs) -> anyhow::Result<Resolved> {
    let file = match &args.config {
        Some(path) => file::read(path).map_err(|error| {
            let advice = error.hint();
            hint(error.into(), advice)
        })?,
        None => File::default(),
    };
    let mut picker = Picker::default();
    let control = control(args, &file, &mut picker)?;
    let pool = pool(args, &file, &mut picker)?;
    let proxy = proxy(args, &file, &mut picker)?;
    let listen = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let config = Config {
        listen: picker.plain("proxy.listen", args.listen, file.proxy.listen.map(|at| at.0), listen(8000)),
        admin: picker.plain("admin.listen", args.admin, file.admin.listen.map(|at| at.0), listen(9900)),
        admin_token: args.admin_token.clone().or(file.admin.token).filter(|token| !token.is_empty()),
        control,
        pool,
        proxy,
        record: args.record.clone().or(file.record),
        seed: args.seed.or(file.seed),
        dry_run: args.dry_run,
        plain: args.plain,
    };
    if !config.admin.ip().is_loopback() && config.admin_token.is_none() {
        let error = anyhow::anyhow!("the admin API would be open to others on {}", config.admin);
        return Err(hint(error, "set a token with --admin-token, or keep it on 127.0.0.1"));
    }
    Ok(Resolved { config, origins: picker.origins })
}

fn control(args: &RunArgs, file: &File, picker: &mut Picker) -> anyhow::Result<ControllerConfig> {
    let default = "threshold".to_owned();
    let typed = picker.plain("policy.name", args.policy.clone(), file.policy.name.clone(), default);
    let interval =
        picker.span("policy.interval", args.interval, file.policy.interval, Duration::from_secs(1));
    let named = named_policy(&typed)?;
    let mut settings = named.policy.settings;
    let flags = flagged(args);
    for (key, value) in &file.policy.settings {
        if !flags.contains_key(key) {
            picker.origins.push((format!("policy.{key}"), shown(value), Origin::File));
        }
        settings.insert(key.clone(), value.clone());
    }
    for (key, value) in flags {
        picker.origins.push((format!("policy.{key}"), shown(&value), Origin::Flag));
        settings.insert(key, value);
    }
    let config = ControllerConfig {
        policy: PolicyConfig { name: named.policy.name, settings },
        min: picker.plain("pool.min_replicas", args.min, file.pool.min_replicas, named.bounds.0),
        max: picker.plain("pool.max_replicas", args.max, file.pool.max_replicas, named.bounds.1),
        interval,
    };
    config.check().map_err(refused)?;
    Ok(config)
}

/// A policy with the bounds that belong to it.
struct Named {
    policy: PolicyConfig,
    bounds: (u32, u32),
}

/// What `--policy` says: a name with settings, a preset, or a file.
fn named_policy(typed: &str) -> anyhow::Result<Named> {
    if policy_file::is_file(typed) {
        let config = policy_file::read(Path::new(typed))?;
        return Ok(Named { policy: config.policy, bounds: (config.min, config.max) });
    }
    let policy = PolicySpec::parse(typed).map_err(refused)?.config;
    let bounds = Preset::find(typed).map_or((1, 5), |preset| preset.bounds);
    Ok(Named { policy, bounds })
}

/// A policy by itself, for commands that run no pool.
pub(crate) fn policy(typed: &str) -> anyhow::Result<ControllerConfig> {
    if policy_file::is_file(typed) {
        return policy_file::read(Path::new(typed));
    }
    let named = named_policy(typed)?;
    let file = json!({"policy": named.policy.name, "settings": named.policy.settings,
                      "min": named.bounds.0, "max": named.bounds.1});
    control::decide::policy_file(file).map_err(refused)
}

/// The error with advice.
pub(crate) fn refused(error: ConfigError) -> anyhow::Error {
    let advice = advice(&error);
    hint(error.into(), advice)
}

/// The policy's settings among the flags.
fn flagged(args: &RunArgs) -> Map<String, Value> {
    let length = |length: Option<Duration>| length.map(|length| json!(span::format(length)));
    let flags = [
        ("signal", args.signal.as_ref().map(|name| json!(name))),
        ("up", args.up.map(|value| json!(value))),
        ("down", args.down.map(|value| json!(value))),
        ("cooldown_up", length(args.cooldown_up)),
        ("cooldown_down", length(args.cooldown_down)),
        ("warm_up", length(args.warm_up)),
    ];
    flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Where a value that cannot be is put right.
const LISTED: &str = "`autoscale run --help` lists each value with its default";

fn advice(error: &ConfigError) -> String {
    match error {
        ConfigError::UnknownPolicy(name) => {
            let presets = control::PRESETS.iter().map(|preset| preset.name);
            let names = control::POLICIES.iter().map(|entry| entry.name).chain(presets);
            match file::nearest(name, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`autoscale policy list` shows which there are".to_owned(),
            }
        }
        ConfigError::Settings { because, .. } => match file::meant(because) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => LISTED.to_owned(),
        },
        ConfigError::Value(_) => LISTED.to_owned(),
    }
}

fn pool(args: &RunArgs, file: &File, picker: &mut Picker) -> anyhow::Result<Pool> {
    let typed = (!args.command.is_empty()).then(|| args.command.clone());
    let command = picker.pick("pool.command", typed, file.pool.command.clone(), Vec::new(), |words| {
        if words.is_empty() { "(demo worker)".to_owned() } else { words.join(" ") }
    });
    // The demo worker is a small machine, so that capacity grows with workers on any laptop.
    let size = if command.is_empty() { 0.25 } else { 1.0 };
    let table = &file.pool;
    let health_path = (args.health_path.clone(), table.health_path.clone());
    let pool = Pool {
        worker_port: picker.plain("pool.worker_port", args.worker_port, table.worker_port, 5000),
        worker_cpus: picker.plain("pool.worker_cpus", args.worker_cpus, table.worker_cpus, size),
        health_path: picker.plain("pool.health_path", health_path.0, health_path.1, "/healthz".to_owned()),
        start_up_deadline: picker.span(
            "pool.start_up_deadline",
            args.start_up_deadline,
            table.start_up_deadline,
            Duration::from_secs(30),
        ),
        drain_timeout: picker.span(
            "pool.drain_timeout",
            args.drain_timeout,
            table.drain_timeout,
            Duration::from_secs(30),
        ),
        kill_deadline: picker.span(
            "pool.kill_deadline",
            args.kill_deadline,
            table.kill_deadline,
            Duration::from_secs(10),
        ),
        command,
    };
    if !(pool.worker_cpus.is_finite() && pool.worker_cpus > 0.0) {
        return Err(anyhow::anyhow!("worker_cpus must be above 0, not {}", pool.worker_cpus))
            .hint("0.25 is a quarter of a core, 2 are two cores");
    }
    if pool.command.first().is_some_and(String::is_empty) {
        return Err(anyhow::anyhow!("the command's first word is empty")).hint("it is the program to run");
    }
    if !pool.health_path.starts_with('/') {
        return Err(anyhow::anyhow!("health_path must begin with /, not `{}`", pool.health_path))
            .hint("as in /healthz");
    }
    Ok(pool)
}

fn proxy(args: &RunArgs, file: &File, picker: &mut Picker) -> anyhow::Result<Proxy> {
    let table = &file.proxy;
    let default = "least_connections".to_owned();
    let algorithm = picker.plain("proxy.algorithm", args.algorithm.clone(), table.algorithm.clone(), default);
    let names: Vec<&str> = traffic::BALANCERS.iter().map(|entry| entry.name).collect();
    if !names.contains(&algorithm.as_str()) {
        let listed = names.join(", ");
        let advice = match file::nearest(&algorithm, names.into_iter()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {listed}"),
        };
        return Err(anyhow::anyhow!("there is no algorithm `{algorithm}`")).hint(advice);
    }
    let max_in_flight = args.max_in_flight.or(table.max_in_flight);
    if max_in_flight == Some(0) {
        return Err(anyhow::anyhow!("max_in_flight 0 would let no request through"))
            .hint("leave it out for no limit");
    }
    let queue_timeout =
        picker.span("proxy.queue_timeout", args.queue_timeout, table.queue_timeout, Duration::from_secs(5));
    Ok(Proxy { algorithm, max_in_flight, queue_timeout })
}

/// Reads the file and the flags again, for a reload.
pub(crate) fn reload(args: &RunArgs) -> anyhow::Result<Config> {
    resolve(args)
        .map(|resolved| resolved.config)
        .context("the new configuration is refused, the old one stays")
}
