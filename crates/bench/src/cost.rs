//! CPU time and memory of a process and its children, from `/proc`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;

/// Linux counts CPU time for users in hundredths of a second, whatever the kernel's own tick.
const TICK: Duration = Duration::from_millis(10);

/// CPU time that `root` and its descendants have used.
pub(crate) fn cpu_time(root: u32) -> anyhow::Result<Duration> {
    Ok(TICK * tree(root)?.iter().map(|(_, ticks)| ticks).sum::<u32>())
}

/// MiB resident in `root` and its descendants; pages that they share count for each.
pub(crate) fn resident_mib(root: u32) -> anyhow::Result<f64> {
    let mut kib = 0.0;
    for (pid, _) in tree(root)? {
        let status = fs_err::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kib += number.context("no VmRSS")?.trim().parse::<f64>()?;
    }
    Ok(kib / 1024.0)
}

/// `root` and its descendants, with their ticks of CPU.
fn tree(root: u32) -> anyhow::Result<Vec<(u32, u32)>> {
    let mut processes = HashMap::new();
    for entry in fs_err::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // Gone meanwhile: its time is its parent's by then.
        let Ok(stat) = fs_err::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if let Some(process) = parse(&stat) {
            processes.insert(pid, process);
        }
    }
    processes.get(&root).with_context(|| format!("process {root} has ended"))?;
    let is_of_root = |mut pid: u32| {
        while pid != root {
            match processes.get(&pid) {
                Some((parent, _)) if *parent != 0 => pid = *parent,
                _ => return false,
            }
        }
        true
    };
    let of_root = processes.iter().filter(|(pid, _)| is_of_root(**pid));
    Ok(of_root.map(|(pid, (_, ticks))| (*pid, *ticks)).collect())
}

/// Parent, and ticks of user and system time.
fn parse(stat: &str) -> Option<(u32, u32)> {
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some((fields.get(1)?.parse().ok()?, ticks(11)? + ticks(12)?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let stat = "12 (a) (b)) S 7 12 12 0 -1 4194560 1 2 3 4 50 60 0 0 20 0 1 0";
        assert_eq!(parse(stat), Some((7, 110)));
        assert_eq!(parse(""), None);
    }
}
