//! The balancer, settled: the same for `run`, `demo` and `balance`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use proxy::{HealthCheck, Rate};
use traffic::Ejection;

use super::picker::Picker;
use super::{overload, transport};
use crate::args::{BalancerArgs, DoorArgs, EjectionArgs, HealthArgs, HealthPreset, LogFormatArg};
use crate::config::file::balancer::{EjectionTable, HealthTable, Parsed, ProxyTable};
use crate::config::file::{self, AdminTable};
use crate::config::{AccessLogTo, Admin, Balancer};
use crate::failure::hint;

/// More threads than this are a slip of the finger.
const THREADS_MAX: u32 = 256;
const NO_LIMIT: &str = "no limit";

/// The admin API's address and token.
pub(super) fn admin(door: &DoorArgs, table: &AdminTable, picker: &mut Picker) -> anyhow::Result<Admin> {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 9900));
    let listen = picker.plain("admin.listen", door.admin, table.listen.map(|at| at.0), default);
    let token = door.admin_token.clone().or_else(|| table.token.clone()).filter(|token| !token.is_empty());
    if !listen.ip().is_loopback() && token.is_none() {
        let error = anyhow::anyhow!("the admin API would be open to others on {listen}");
        return Err(hint(error, "set a token with --admin-token, or keep it on 127.0.0.1"));
    }
    Ok(Admin { listen, token })
}

/// All of the balancer but its probes.
pub(super) fn balancer(
    args: &BalancerArgs,
    door: &DoorArgs,
    table: &ProxyTable,
    ejection_table: &EjectionTable,
    picker: &mut Picker,
) -> anyhow::Result<Balancer> {
    let algorithm = algorithm(args, table, picker)?;
    let split = picker.optional("proxy.split", args.split.clone(), table.split.clone(), "none");
    let split = split
        .map(|text| crate::args::parse::split(&text))
        .transpose()
        .map_err(|problem| picker.refuse("proxy.split", problem, "try 1=90,2=10"))?;
    let slow_start = picker.span("proxy.slow_start", args.slow_start, table.slow_start, Duration::ZERO);
    let max_in_flight =
        picker.optional("proxy.max_in_flight", args.max_in_flight, table.max_in_flight, NO_LIMIT);
    let max_in_flight = some_at_all("proxy.max_in_flight", max_in_flight, picker)?;
    let adaptive = overload::adaptive(&args.overload, table, picker)?;
    let circuit_breaker = overload::breaker(&args.overload, table, picker)?;
    let hedge_after = overload::hedge(&args.overload, table, picker)?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000));
    let mut proxy = proxy::Config::new(listen);
    threads(args, table, &mut proxy, picker)?;
    patience(args, table, &mut proxy, picker)?;
    clients(args, table, &mut proxy, picker)?;
    proxy.listen = picker.plain("proxy.listen", door.listen, table.listen.map(|at| at.0), listen);
    let ejection = ejection(&args.ejection, ejection_table, picker)?;
    let access_log = access_log(args, table, picker)?;
    let transport = transport::transport(&args.transport, table, picker)?;
    let split = split.unwrap_or_default();
    Ok(Balancer {
        proxy,
        algorithm,
        split,
        slow_start,
        max_in_flight,
        adaptive,
        circuit_breaker,
        hedge_after,
        ejection,
        transport,
        access_log,
    })
}

fn algorithm(args: &BalancerArgs, table: &ProxyTable, picker: &mut Picker) -> anyhow::Result<String> {
    let default = traffic::balance::DEFAULT.to_owned();
    let algorithm = picker.plain("proxy.algorithm", args.algorithm.clone(), table.algorithm.clone(), default);
    let names = || traffic::BALANCERS.iter().map(|entry| entry.name);
    if names().any(|name| name == algorithm) {
        return Ok(algorithm);
    }
    let advice = match file::nearest(&algorithm, names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(picker.refuse("proxy.algorithm", "there is no algorithm of that name", advice))
}

fn some_at_all(key: &str, count: Option<u32>, picker: &Picker) -> anyhow::Result<Option<NonZeroU32>> {
    let refused = || picker.refuse(key, "would let no request through", "leave it out for no limit");
    count.map(|count| NonZeroU32::new(count).ok_or_else(refused)).transpose()
}

/// A count that must not be zero.
fn at_least_one(
    key: &str,
    flag: Option<u32>,
    file: Option<u32>,
    default: usize,
    picker: &mut Picker,
) -> anyhow::Result<NonZeroUsize> {
    let wide = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let count = picker.plain(key, flag.map(wide), file.map(wide), default);
    NonZeroUsize::new(count)
        .ok_or_else(|| picker.refuse(key, "must be at least 1", "leave it out for the default"))
}

fn threads(
    args: &BalancerArgs,
    table: &ProxyTable,
    proxy: &mut proxy::Config,
    picker: &mut Picker,
) -> anyhow::Result<()> {
    let key = "proxy.threads";
    let threads = at_least_one(key, args.threads, table.threads, proxy.threads.get(), picker)?;
    if u32::try_from(threads.get()).map_or(true, |threads| threads > THREADS_MAX) {
        return Err(picker.refuse(key, format!("must be at most {THREADS_MAX}"), "one a core is enough"));
    }
    proxy.threads = threads;
    Ok(())
}

/// How long things may take.
fn patience(
    args: &BalancerArgs,
    table: &ProxyTable,
    proxy: &mut proxy::Config,
    picker: &mut Picker,
) -> anyhow::Result<()> {
    let (key, flag, file) = ("proxy.queue_timeout", args.queue_timeout, table.queue_timeout);
    proxy.queue_timeout = picker.span(key, flag, file, proxy.queue_timeout);
    let key = "proxy.request_timeout";
    let (flag, file) = (args.request_timeout.map(Some), table.request_timeout.map(|span| Some(span.0)));
    let show = |length: &Option<Duration>| length.map_or(NO_LIMIT.to_owned(), control::span::format);
    proxy.request_timeout = picker.pick(key, flag, file, proxy.request_timeout, show);
    if proxy.request_timeout.is_some_and(|length| length.is_zero()) {
        return Err(picker.refuse(key, "would let no request through", "leave it out for no limit"));
    }
    let rows = [
        (
            "proxy.first_byte_timeout",
            args.first_byte_timeout,
            table.first_byte_timeout,
            &mut proxy.first_byte_timeout,
        ),
        ("proxy.connect_timeout", args.connect_timeout, table.connect_timeout, &mut proxy.connect_timeout),
        ("proxy.header_timeout", args.header_timeout, table.header_timeout, &mut proxy.header_timeout),
        ("proxy.idle_timeout", args.idle_timeout, table.idle_timeout, &mut proxy.idle_timeout),
        ("proxy.send_timeout", args.send_timeout, table.send_timeout, &mut proxy.send_timeout),
    ];
    for (key, flag, file, length) in rows {
        *length = picker.some_time(key, flag, file, *length)?;
    }
    Ok(())
}

/// Who may ask for what, and how much of it.
fn clients(
    args: &BalancerArgs,
    table: &ProxyTable,
    proxy: &mut proxy::Config,
    picker: &mut Picker,
) -> anyhow::Result<()> {
    let wide = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    proxy.queue_max =
        picker.plain("proxy.queue", args.queue.map(wide), table.queue.map(wide), proxy.queue_max);
    let (key, flag, file) = ("proxy.max_connections", args.max_connections, table.max_connections);
    proxy.connections_max = at_least_one(key, flag, file, proxy.connections_max, picker)?.get();
    let (key, flag, file) = ("proxy.max_header", args.max_header, table.max_header);
    proxy.head_bytes_max = at_least_one(key, flag, file, proxy.head_bytes_max, picker)?.get();
    proxy.body_bytes_max = picker.optional("proxy.max_body", args.max_body, table.max_body, NO_LIMIT);
    proxy.rate_limit = rate(args, table, picker)?;
    let networks = |list: &[Parsed<proxy::Network>]| list.iter().map(|network| network.0).collect();
    proxy.allowed = picker.list("proxy.allow", args.allow.clone(), networks(&table.allow), "everybody");
    let (key, flags) = ("proxy.proxy_protocol", args.transport.proxy_protocol.clone());
    proxy.proxy_protocol = picker.list(key, flags, networks(&table.proxy_protocol), "nobody");
    let (key, flags) = ("proxy.trusted_proxies", args.trusted_proxy.clone());
    proxy.trusted_proxies = picker.list(key, flags, networks(&table.trusted_proxies), "nobody");
    let (key, flag, file) = ("proxy.server_timing", args.server_timing, table.server_timing);
    proxy.server_timing = picker.plain(key, flag, file, proxy.server_timing);
    Ok(())
}

fn rate(args: &BalancerArgs, table: &ProxyTable, picker: &mut Picker) -> anyhow::Result<Option<Rate>> {
    let key = "proxy.rate_limit";
    let Some(per_second) = picker.optional(key, args.rate_limit, table.rate_limit, NO_LIMIT) else {
        if args.rate_burst.or(table.rate_burst).is_some() {
            picker.optional("proxy.rate_burst", args.rate_burst, table.rate_burst, "");
            return Err(picker.refuse(
                "proxy.rate_burst",
                "means nothing without rate_limit",
                "set rate_limit too",
            ));
        }
        return Ok(None);
    };
    if !per_second.is_finite() || per_second <= 0.0 {
        return Err(picker.refuse(key, "lets nobody in", "try 100, or leave it out for no limit"));
    }
    let burst = picker.plain("proxy.rate_burst", args.rate_burst, table.rate_burst, per_second * 2.0);
    if !burst.is_finite() || burst < 1.0 {
        return Err(picker.refuse("proxy.rate_burst", "must be at least 1", "try twice the rate"));
    }
    Ok(Some(Rate { per_second, burst }))
}

fn access_log(
    args: &BalancerArgs,
    table: &ProxyTable,
    picker: &mut Picker,
) -> anyhow::Result<Option<AccessLogTo>> {
    let key = "proxy.access_log";
    let file = picker.optional(key, args.access_log.clone(), table.access_log.clone(), "none");
    let (key_format, flag, file_format) =
        ("proxy.access_log_format", args.access_log_format, table.access_log_format);
    let Some(file) = file else {
        if flag.or(file_format).is_some() {
            picker.optional(key_format, flag, file_format, "");
            let problem = "means nothing without access_log";
            return Err(picker.refuse(key_format, problem, "set access_log too"));
        }
        return Ok(None);
    };
    if file.is_empty() {
        return Err(picker.refuse(key, "is no file", "name one, or - for stdout"));
    }
    let format = match picker.plain(key_format, flag, file_format, LogFormatArg::default()) {
        LogFormatArg::Combined => proxy::LogFormat::Combined,
        LogFormatArg::Json => proxy::LogFormat::Json,
    };
    Ok(Some(AccessLogTo { file, format }))
}

fn ejection(args: &EjectionArgs, table: &EjectionTable, picker: &mut Picker) -> anyhow::Result<Ejection> {
    let default = Ejection::default();
    let (flag, file) = (args.consecutive, table.consecutive);
    let consecutive = picker.plain("ejection.consecutive", flag, file, default.consecutive);
    let (flag, file) = (args.failure_ratio, table.failure_ratio);
    let failure_ratio = picker.plain("ejection.failure_ratio", flag, file, default.failure_ratio);
    if !(failure_ratio > 0.0 && failure_ratio <= 1.0) {
        return Err(picker.refuse("ejection.failure_ratio", "must be above 0 and at most 1", "try 0.5"));
    }
    Ok(Ejection {
        consecutive,
        failure_ratio,
        volume_min: picker.plain(
            "ejection.volume_min",
            args.volume_min,
            table.volume_min,
            default.volume_min,
        ),
        window: picker.some_time("ejection.window", None, table.window, default.window)?,
        base: picker.some_time("ejection.base", args.base, table.base, default.base)?,
        longest: picker.some_time("ejection.longest", args.longest, table.longest, default.longest)?,
    })
}

/// How workers are probed. `local` is what the preset of that name means to this command; `None`
/// stands for not at all.
pub(super) fn health(
    args: &HealthArgs,
    table: &HealthTable,
    local: HealthCheck,
    picker: &mut Picker,
) -> anyhow::Result<Option<HealthCheck>> {
    let preset = picker.plain("health_check.preset", args.preset, table.preset, HealthPreset::default());
    let preset = match preset {
        HealthPreset::Off => return Ok(None),
        HealthPreset::Local => local,
        HealthPreset::Alb => HealthCheck::alb(),
    };
    let key = "health_check.path";
    let path = picker.plain(key, args.path.clone(), table.path.clone(), preset.path.to_string());
    let path = match path.parse() {
        Ok(uri) if path.starts_with('/') => uri,
        _ => return Err(picker.refuse(key, "must begin with / and be a path", "as in /healthz")),
    };
    let port = picker.optional("health_check.port", args.port, table.port, "the worker's");
    let interval =
        picker.some_time("health_check.interval", args.interval, table.interval, preset.interval)?;
    let timeout = picker.some_time("health_check.timeout", args.timeout, table.timeout, preset.timeout)?;
    let mut threshold = |key, flag, file, default| -> anyhow::Result<u32> {
        let count = picker.plain(key, flag, file, default);
        if count == 0 { Err(picker.refuse(key, "must be at least 1", "try 2")) } else { Ok(count) }
    };
    let (key, flag, file) =
        ("health_check.healthy_threshold", args.healthy_threshold, table.healthy_threshold);
    let healthy_threshold = threshold(key, flag, file, preset.healthy_threshold)?;
    let (flag, file) = (args.unhealthy_threshold, table.unhealthy_threshold);
    let key = "health_check.unhealthy_threshold";
    let unhealthy_threshold = threshold(key, flag, file, preset.unhealthy_threshold)?;
    let (flag, file) = (args.matcher.clone(), table.matcher.clone().map(|matcher| matcher.0));
    let matcher = picker.plain("health_check.matcher", flag, file, preset.matcher);
    let (flag, file) = (args.grace_period, table.grace_period);
    let grace_period = picker.span("health_check.grace_period", flag, file, preset.grace_period);
    Ok(Some(HealthCheck {
        path,
        port,
        interval,
        timeout,
        healthy_threshold,
        unhealthy_threshold,
        matcher,
        grace_period,
    }))
}
