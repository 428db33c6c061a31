//! Reads from a query what a request to `/` shall cost.

use std::time::Duration;

/// Most CPU time one request may ask for, so that one typo does not hold the queue for hours.
pub(crate) const CPU_MS_MAX: f64 = 10_000.0;
/// Longest sleep one request may ask for.
pub(crate) const SLEEP_MS_MAX: f64 = 60_000.0;
/// Largest answer one request may ask for.
pub(crate) const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What one request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// CPU time to burn.
    pub(crate) cpu: Duration,
    /// Time to wait without using CPU, as for a database.
    pub(crate) sleep: Duration,
    /// Size of the answer's body; `None` answers with the times taken.
    pub(crate) bytes: Option<u64>,
}

/// Reads `cpu_ms`, `sleep_ms` and `bytes`; other keys are left alone, as clients add their own.
/// The error says which value is wrong and what it may be.
pub(crate) fn parse(query: &str, cpu_ms_default: f64) -> Result<Work, String> {
    let mut work = Work { cpu: milliseconds(cpu_ms_default), sleep: Duration::ZERO, bytes: None };
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "cpu_ms" => work.cpu = milliseconds(number(key, value, CPU_MS_MAX)?),
            "sleep_ms" => work.sleep = milliseconds(number(key, value, SLEEP_MS_MAX)?),
            "bytes" => {
                let bytes = value.parse().ok().filter(|bytes| *bytes <= BYTES_MAX);
                work.bytes = Some(bytes.ok_or_else(|| {
                    format!("{key}={value}: expected a whole number from 0 to {BYTES_MAX}")
                })?);
            }
            _ => {}
        }
    }
    Ok(work)
}

fn number(key: &str, value: &str, max: f64) -> Result<f64, String> {
    let number = value.parse().ok().filter(|number| (0.0..=max).contains(number));
    number.ok_or_else(|| format!("{key}={value}: expected a number from 0 to {max}"))
}

fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1000.0).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let ms = Duration::from_millis;
        let cases = [
            ("", Ok((ms(5), ms(0), None))),
            ("cpu_ms=0", Ok((ms(0), ms(0), None))),
            ("cpu_ms=2.5", Ok((Duration::from_micros(2500), ms(0), None))),
            ("sleep_ms=100&bytes=7", Ok((ms(5), ms(100), Some(7)))),
            ("cpu_ms=1&cpu_ms=2", Ok((ms(2), ms(0), None))),
            ("_=123&name=a%20b", Ok((ms(5), ms(0), None))),
            ("cpu_ms=10000", Ok((ms(10_000), ms(0), None))),
            ("cpu_ms=10001", Err("cpu_ms=10001: expected a number from 0 to 10000")),
            ("cpu_ms=-1", Err("cpu_ms=-1: expected a number from 0 to 10000")),
            ("cpu_ms=NaN", Err("cpu_ms=NaN: expected a number from 0 to 10000")),
            ("cpu_ms", Err("cpu_ms=: expected a number from 0 to 10000")),
            ("sleep_ms=1e9", Err("sleep_ms=1e9: expected a number from 0 to 60000")),
            ("bytes=1.5", Err("bytes=1.5: expected a whole number from 0 to 67108864")),
            ("bytes=67108865", Err("bytes=67108865: expected a whole number from 0 to 67108864")),
        ];
        for (query, expected) in cases {
            let expected = expected.map(|(cpu, sleep, bytes)| Work { cpu, sleep, bytes });
            assert_eq!(parse(query, 5.0), expected.map_err(str::to_owned), "{query}");
        }
    }
}
