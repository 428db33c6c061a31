//! Flags before file before defaults; the only place where defaults stand.

mod balancer;
mod overload;
mod picker;
mod transport;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use control::{ConfigError, ControllerConfig, PolicyConfig, PolicySpec, Preset, ShadowConfig, Victims, span};
use proxy::HealthCheck;
use serde_json::{Map, Value, json};

pub(crate) use self::picker::Origin;

use self::picker::Picker;
use super::file::{self, File};
use super::policy_file;
use super::{BalanceConfig, Config, Pool};
use crate::args::{BalanceArgs, RunArgs};
use crate::failure::{Hint, hint};
use crate::wiring::expectation::{self, DEFAULT};

/// A run, settled, with the origin of every value in the order in which they are shown.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) config: Config,
    pub(crate) origins: Vec<(String, String, Origin)>,
}

/// Settles a run. Every error says what is wrong and ends in a hint.
pub(crate) fn resolve(args: &RunArgs) -> anyhow::Result<Resolved> {
    let (mut picker, file) = Picker::open(&args.door)?;
    let control = control(args, &file, &mut picker)?;
    let pool = pool(args, &file, &mut picker)?;
    let balancer = balancer::balancer(&args.balancer, &args.door, &file.proxy, &file.ejection, &mut picker)?;
    if !file.proxy.backends.is_empty() {
        let backends = file.proxy.backends.into_iter().map(|backend| backend.0.address).collect();
        picker.list("proxy.backends", Vec::new(), backends, "");
        let problem = "this command starts its own workers";
        return Err(picker.refuse("proxy.backends", problem, "take them out, or use `autoscale balance`"));
    }
    let forecast = picker.plain("forecast", args.forecast.clone(), file.forecast, DEFAULT.to_owned());
    let forecast = expectation::model(&forecast).map_err(|error| {
        picker.refuse("forecast", error.to_string(), "see `autoscale forecast models kinds`")
    })?;
    let config = Config {
        forecast,
        admin: balancer::admin(&args.door, &file.admin, &mut picker)?,
        control,
        pool,
        balancer,
        record: args.record.clone().or(file.record),
        seed: args.seed.or(file.seed),
        dry_run: args.dry_run,
        plain: args.plain,
    };
    Ok(Resolved { config, origins: picker.origins })
}

/// Settles the balancer alone.
pub(crate) fn resolve_balance(args: &BalanceArgs) -> anyhow::Result<BalanceConfig> {
    let (mut picker, file) = Picker::open(&args.door)?;
    let mut balancer =
        balancer::balancer(&args.balancer, &args.door, &file.proxy, &file.ejection, &mut picker)?;
    let local = HealthCheck::local();
    balancer.proxy.health_check =
        balancer::health(&args.balancer.health, &file.health_check, local, &mut picker)?;
    balancer.proxy.seed = file.seed.unwrap_or_default();
    let backends = if args.backends.is_empty() {
        file.proxy.backends.into_iter().map(|backend| backend.0).collect()
    } else {
        args.backends.clone()
    };
    let admin = balancer::admin(&args.door, &file.admin, &mut picker)?;
    Ok(BalanceConfig { admin, balancer, backends })
}

fn control(args: &RunArgs, file: &File, picker: &mut Picker) -> anyhow::Result<ControllerConfig> {
    let default = "threshold".to_owned();
    let typed = picker.plain("policy.name", args.policy.clone(), file.policy.name.clone(), default);
    let origin = picker.origins.last().map_or(Origin::Default, |(.., origin)| *origin);
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
    let mut config = ControllerConfig {
        policy: PolicyConfig { name: named.policy.name, settings },
        min: picker.plain("pool.min_replicas", args.min, file.pool.min_replicas, named.bounds.0),
        max: picker.plain("pool.max_replicas", args.max, file.pool.max_replicas, named.bounds.1),
        interval,
        shadows: shadows(args, file, picker)?,
    };
    if args.dry_run {
        // On the real pool nothing changes, so each decision there starts from the same number: what
        // the policy would come to, cool-downs and all, shows on a pool of its own.
        let policy = config.policy.clone();
        config.shadows.insert(0, ShadowConfig { label: "dry run".to_owned(), policy });
    }
    config.check().map_err(|error| picker.refused(error))?;
    for (key, value) in control::policy::in_force(&config.policy).map_err(refused)? {
        let listed = format!("policy.{key}");
        if !picker.origins.iter().any(|(known, ..)| *known == listed) {
            let typed = config.policy.settings.contains_key(&key);
            picker.origins.push((listed, shown(&value), if typed { origin } else { Origin::Default }));
        }
    }
    Ok(config)
}

/// Policies that only watch: flags, or else the file.
fn shadows(args: &RunArgs, file: &File, picker: &mut Picker) -> anyhow::Result<Vec<ShadowConfig>> {
    let typed = (!args.shadow.is_empty()).then(|| args.shadow.join(","));
    let typed = picker.pick("shadow", typed, file.shadow.clone(), String::new(), |list| {
        if list.is_empty() { "(none)".to_owned() } else { list.clone() }
    });
    listed_shadows(&typed)
}

/// Policies that only watch, as on the command line.
pub(crate) fn listed_shadows(typed: &str) -> anyhow::Result<Vec<ShadowConfig>> {
    let mut all = Vec::new();
    let mut named: Vec<&str> = Vec::new();
    for item in typed.split(',').filter(|item| !item.trim().is_empty()) {
        if policy_file::is_file(item.trim()) {
            let policy = policy_file::read(Path::new(item.trim()))?.policy;
            all.push(ShadowConfig { label: item.trim().to_owned(), policy });
        } else {
            named.push(item);
        }
    }
    if !named.is_empty() {
        let specs = PolicySpec::parse_list(&named.join(",")).map_err(refused)?;
        let specs = specs.into_iter().map(|spec| ShadowConfig { label: spec.label, policy: spec.config });
        all.splice(0..0, specs);
    }
    Ok(all)
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
    let health = probes(args, file, picker)?;
    let pool = Pool {
        worker_port: picker.plain("pool.worker_port", args.worker_port, table.worker_port, 5000),
        worker_cpus: picker.plain("pool.worker_cpus", args.worker_cpus, table.worker_cpus, size),
        health,
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
        liveness_timeout: picker.some_time(
            "pool.liveness_timeout",
            args.liveness_timeout,
            table.liveness_timeout,
            Duration::from_secs(10),
        )?,
        victims: victims(args.victims.clone(), table.victims.clone(), picker)?,
        command,
    };
    if !(pool.worker_cpus.is_finite() && pool.worker_cpus > 0.0) {
        return Err(anyhow::anyhow!("worker_cpus must be above 0, not {}", pool.worker_cpus))
            .hint("0.25 is a quarter of a core, 2 are two cores");
    }
    if pool.command.first().is_some_and(String::is_empty) {
        return Err(anyhow::anyhow!("the command's first word is empty")).hint("it is the program to run");
    }
    Ok(pool)
}

/// Who goes at a scale-in.
fn victims(flag: Option<String>, file: Option<String>, picker: &mut Picker) -> anyhow::Result<Victims> {
    let typed = picker.plain("pool.victims", flag, file, Victims::default().name().to_owned());
    let names = || Victims::ALL.iter().map(|(_, name)| *name);
    Victims::named(&typed).ok_or_else(|| {
        let advice = match file::nearest(&typed, names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("try one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        picker.refuse("pool.victims", "is no way to choose who goes", advice)
    })
}

/// How workers that we start are probed: not being ready costs them their requests first, and their
/// lives later, so one more failure is forgiven than of backends that somebody else looks after.
fn probes(args: &RunArgs, file: &File, picker: &mut Picker) -> anyhow::Result<HealthCheck> {
    let local = HealthCheck { unhealthy_threshold: 3, ..HealthCheck::local() };
    let mut table = file.health_check.clone();
    table.path = table.path.or_else(|| file.pool.health_path.clone());
    balancer::health(&args.balancer.health, &table, local, picker)?.ok_or_else(|| {
        let problem = "workers that are started here are always probed";
        picker.refuse("health_check.preset", problem, "take local or alb")
    })
}

/// Reads the file and the flags again, for a reload.
pub(crate) fn reload(args: &RunArgs) -> anyhow::Result<Config> {
    resolve(args)
        .map(|resolved| resolved.config)
        .context("the new configuration is refused, the old one stays")
}
