//! Load by `wrk`, on kept connections, as fast as answers come.

use std::process::Command;

use anyhow::Context;

/// Clients at once.
pub(crate) const CONNECTIONS: u32 = 64;

/// Requests that were answered with a status below 400; an error if any was not.
pub(crate) fn wrk(url: &str, seconds: u32) -> anyhow::Result<u32> {
    let output = Command::new("wrk")
        .args(["-t1", "-c", &CONNECTIONS.to_string(), "-d", &format!("{seconds}s"), url])
        .output()
        .context("wrk could not be run; it is in Debian's package of that name")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        anyhow::bail!("{url}: {}", line.trim());
    }
    requests(&text).with_context(|| format!("wrk said nothing of requests: {text}"))
}

/// The same over HTTP/2, each connection with 64 streams.
pub(crate) fn h2load(url: &str, seconds: u32) -> anyhow::Result<u32> {
    let output = Command::new("h2load")
        .args(["-t1", "-c8", "-m64", "-D", &seconds.to_string(), url])
        .output()
        .context("h2load could not be run; it is in Debian's package nghttp2-client")?;
    let text = String::from_utf8_lossy(&output.stdout);
    succeeded(&text).filter(|_| text.contains(" 0 failed")).with_context(|| format!("h2load: {text}"))
}

fn succeeded(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.starts_with("requests:"))?;
    let (before, _) = line.split_once(" succeeded")?;
    before.rsplit(' ').next()?.parse().ok()
}

fn requests(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{requests, succeeded};

    #[test]
    fn requests_are_read_from_what_wrk_says() {
        assert_eq!(requests("Running 1s test\n  60123 requests in 1.10s, 9MB read\n"), Some(60_123));
        assert_eq!(requests("nothing"), None);
        let h2 = "requests: 812 total, 812 started, 800 done, 799 succeeded, 0 failed, 0 errored, 0 timeout";
        assert_eq!(succeeded(h2), Some(799));
    }
}
