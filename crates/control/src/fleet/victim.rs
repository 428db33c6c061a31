//! Who goes when there are too many workers, and why that one.

use serde::{Deserialize, Serialize};
use traffic::WorkerId;

use super::worker::{Phase, Worker};

/// How the worker that leaves at a scale-in is chosen among those that serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Victims {
    /// The one that was started last: its caches are the coldest.
    #[default]
    Newest,
    /// The one that was started first: what leaks with age goes with it.
    Oldest,
    /// The one with the fewest requests in flight: least is disturbed.
    Idlest,
    /// The one with the most memory.
    MostMemory,
    /// One that runs the oldest version of the app.
    OldestVersion,
}

impl Victims {
    /// Each with its name, in the order in which they are listed.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Newest, "newest"),
        (Self::Oldest, "oldest"),
        (Self::Idlest, "idlest"),
        (Self::MostMemory, "most_memory"),
        (Self::OldestVersion, "oldest_version"),
    ];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(victims, _)| *victims)
    }

    /// As users type it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(victims, _)| *victims == self).map_or("", |(_, name)| name)
    }

    /// How readily a serving worker is given up; among equals the newest goes.
    fn rank(self, worker: &Worker) -> (u64, u64) {
        let (birth, last) = (worker.birth, u64::MAX);
        match self {
            Self::Newest => (0, birth),
            Self::Oldest => (last - birth, birth),
            Self::Idlest => (last - u64::from(worker.in_flight), birth),
            Self::MostMemory => (worker.memory_bytes.unwrap_or(0), birth),
            Self::OldestVersion => (u64::from(u32::MAX) - u64::from(worker.version.0), birth),
        }
    }

    fn reason(self, worker: &Worker) -> String {
        const MIB: u64 = 1 << 20;
        match (self, worker.memory_bytes) {
            (Self::Newest, _) => "the newest".to_owned(),
            (Self::Oldest, _) => "the oldest".to_owned(),
            (Self::Idlest, _) => format!("fewest requests in flight ({})", worker.in_flight),
            (Self::MostMemory, Some(bytes)) => format!("most memory ({} MiB)", bytes / MIB),
            (Self::MostMemory, None) => "the newest, as no memory was measured".to_owned(),
            (Self::OldestVersion, _) => format!("oldest version ({})", worker.version.0),
        }
    }
}

/// Who goes, and why: first whoever serves nobody, then as the setting says. Protected workers
/// stay; `None` if nobody else is left.
pub(super) fn choose<'a>(
    workers: impl Iterator<Item = &'a Worker>,
    victims: Victims,
) -> Option<(WorkerId, String)> {
    let mut spared = 0_u32;
    let candidates = workers.filter_map(|worker| {
        let expendability = worker.phase.expendability()?;
        spared += u32::from(worker.protected);
        (!worker.protected).then_some((expendability, worker))
    });
    let rank = |(expendability, worker): &(u32, &Worker)| match worker.phase {
        Phase::Ready { .. } => (*expendability, victims.rank(worker)),
        _ => (*expendability, (0, worker.birth)),
    };
    let (_, worker) = candidates.max_by_key(rank)?;
    let mut because = match worker.phase {
        Phase::Ready { .. } => victims.reason(worker),
        Phase::Starting { .. } => "it is not ready yet".to_owned(),
        Phase::Unhealthy { .. } => "it fails its probe".to_owned(),
        Phase::Backoff { .. } => "it waits after a crash".to_owned(),
        _ => "it ends anyway".to_owned(),
    };
    if spared > 0 {
        because.push_str(&format!(", {spared} protected"));
    }
    Some((worker.id, because))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use traffic::Version;

    use super::*;
    use crate::fleet::config::FleetConfig;

    /// Requests in flight, MiB (0: not measured), version; all of them serve.
    fn workers(rows: &[(u32, u64, u32)]) -> Vec<Worker> {
        let config = FleetConfig::default();
        let worker = |((in_flight, mib, version), slot): (&(u32, u64, u32), u32)| Worker {
            phase: Phase::Ready { failures: 0 },
            in_flight: *in_flight,
            memory_bytes: (*mib > 0).then_some(mib << 20),
            version: Version(*version),
            ..Worker::new(Timestamp::UNIX_EPOCH, WorkerId { slot, run: 1 }, u64::from(slot), &config)
        };
        rows.iter().zip(1..).map(worker).collect()
    }

    fn leaves(workers: &[Worker], victims: Victims) -> (u32, String) {
        let (id, because) = choose(workers.iter(), victims).expect("somebody can go");
        (id.slot, because)
    }

    #[test]
    fn each_rule_chooses_its_own() {
        let pool = workers(&[(3, 70, 2), (0, 50, 2), (2, 90, 1), (5, 60, 2)]);
        let rows = [
            (Victims::Newest, 4, "the newest"),
            (Victims::Oldest, 1, "the oldest"),
            (Victims::Idlest, 2, "fewest requests in flight (0)"),
            (Victims::MostMemory, 3, "most memory (90 MiB)"),
            (Victims::OldestVersion, 3, "oldest version (1)"),
        ];
        for (victims, slot, because) in rows {
            assert_eq!(leaves(&pool, victims), (slot, because.to_owned()), "{victims:?}");
            assert_eq!(Victims::named(victims.name()), Some(victims));
        }
    }

    #[test]
    fn among_equals_the_newest_goes() {
        let pool = workers(&[(1, 0, 1), (1, 0, 1), (1, 0, 1)]);
        for (victims, _) in Victims::ALL.iter().filter(|(victims, _)| *victims != Victims::Oldest) {
            assert_eq!(leaves(&pool, *victims).0, 3, "{victims:?}");
        }
        assert_eq!(leaves(&pool, Victims::MostMemory).1, "the newest, as no memory was measured");
    }

    #[test]
    fn who_serves_nobody_goes_first_and_the_protected_stay() {
        let mut pool = workers(&[(0, 10, 1), (4, 10, 1), (4, 10, 1)]);
        pool[1].phase = Phase::Unhealthy { passes: 0, deadline: Timestamp::MAX };
        assert_eq!(leaves(&pool, Victims::Idlest), (2, "it fails its probe".to_owned()));
        pool[0].protected = true;
        pool[1].protected = true;
        assert_eq!(
            leaves(&pool, Victims::Idlest),
            (3, "fewest requests in flight (4), 2 protected".to_owned())
        );
        pool[2].protected = true;
        assert_eq!(choose(pool.iter(), Victims::Idlest), None);
    }
}
