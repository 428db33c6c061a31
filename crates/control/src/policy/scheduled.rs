//! Scheduled scaling: at times of a calendar, by cron or once, the bounds or the number change.
//!
//! Times are those of an IANA time zone. An hour that summer time skips fires at the moment
//! after the gap; one that it repeats fires once for fixed times. An entry holds until the
//! next one fires, or for as long as its `for` says.

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Deserializer};

use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Blocked, Flip, Text};
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "scheduled",
    about: "bounds or numbers at times of a calendar, by cron or once, in any time zone",
    build: |config| Ok(Built::bare(Scheduled::new(super::checked(config, Settings::check)?))),
};

/// Entries at most.
const ENTRIES_MAX: usize = 100;

/// Settings; without entries it changes nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    schedule: Vec<Item>,
    /// For entries that name none.
    timezone: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Item {
    name: Option<String>,
    /// Minute, hour, day, month, weekday.
    cron: Option<String>,
    /// Once, at this time.
    at: Option<Timestamp>,
    timezone: Option<String>,
    #[serde(alias = "min_replicas")]
    min: Option<u32>,
    #[serde(alias = "max_replicas")]
    max: Option<u32>,
    desired: Option<u32>,
    #[serde(rename = "for", deserialize_with = "span_maybe")]
    lasts: Option<Duration>,
}

fn span_maybe<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    span::deserialize(from).map(Some)
}

impl Item {
    fn resolve(&self, default_zone: Option<&str>) -> Result<Event, String> {
        let zone = self.timezone.as_deref().or(default_zone).unwrap_or("UTC");
        let zone =
            TimeZone::get(zone).map_err(|_| format!("`{zone}` is no time zone (like Europe/Berlin)"))?;
        let when = match (&self.cron, self.at) {
            (Some(cron), None) => {
                let parsed = Cron::from_str(cron).map_err(|error| format!("cron `{cron}`: {error}"))?;
                When::Cron(Box::new(parsed), zone)
            }
            (None, Some(at)) => When::Once(at),
            _ => return Err("an entry needs either cron or at".to_owned()),
        };
        if self.min.is_none() && self.max.is_none() && self.desired.is_none() {
            return Err("an entry needs min, max or desired".to_owned());
        }
        if self.min.zip(self.max).is_some_and(|(min, max)| min > max) {
            return Err("min of an entry is above its max".to_owned());
        }
        let name = self.name.clone().or_else(|| self.cron.clone()).unwrap_or_else(|| "once".to_owned());
        Ok(Event {
            when,
            item: self.clone(),
            holds: format!("{name} keeps it at {{min}} to {{max}}").into(),
            fires: format!("{name} asks for {{desired}}").into(),
            next: None,
            last: None,
        })
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.schedule.len() > ENTRIES_MAX {
            return Err(format!("at most {ENTRIES_MAX} entries"));
        }
        let zone = self.timezone.as_deref();
        self.schedule.iter().try_for_each(|item| item.resolve(zone).map(drop))
    }
}

enum When {
    Cron(Box<Cron>, TimeZone),
    Once(Timestamp),
}

/// An entry with its times, so that cron is asked only when one has passed.
struct Event {
    when: When,
    item: Item,
    holds: Text,
    fires: Text,
    next: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Event {
    /// Brings `last` and `next` up to `now`.
    fn update(&mut self, now: Timestamp) {
        if self.last.is_some_and(|last| last <= now) && self.next.is_none_or(|next| now < next) {
            return;
        }
        match &self.when {
            When::Once(at) => {
                self.last = (*at <= now).then_some(*at);
                self.next = (*at > now).then_some(*at);
            }
            When::Cron(cron, zone) => {
                let here = Zoned::new(now, zone.clone());
                let moment = |found: Result<Zoned, _>| found.ok().map(|found| found.timestamp());
                self.last = moment(cron.find_previous_occurrence(&here, true).map_err(drop));
                self.next = moment(cron.find_next_occurrence(&here, false).map_err(drop));
            }
        }
    }

    fn active(&self, now: Timestamp) -> bool {
        let Some(last) = self.last else { return false };
        self.item.lasts.is_none_or(|lasts| last.saturating_add(lasts).is_ok_and(|end| now < end))
    }
}

struct Scheduled {
    events: Vec<Event>,
    seen: Option<Timestamp>,
}

impl Scheduled {
    fn new(own: Settings) -> Self {
        let zone = own.timezone.as_deref();
        let events = own.schedule.iter().filter_map(|item| item.resolve(zone).ok()).collect();
        Self { events, seen: None }
    }
}

impl Policy for Scheduled {
    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let (now, desired) = (seen.at, seen.fleet.desired);
        let before = self.seen.replace(now);
        for event in &mut self.events {
            event.update(now);
        }
        // The entry that fired last is in force.
        let active = self.events.iter().filter(|event| event.active(now)).max_by_key(|event| event.last);
        let next = self.events.iter().filter_map(|event| event.next).min();
        let left = next.map(|next| next.duration_since(now).as_secs_f64());
        let mut said = match active {
            None => Recommendation::hold(desired, "no_schedule", Because::plain("no entry is in force")),
            Some(event) => {
                let fresh = before.is_none_or(|before| event.last.is_some_and(|last| last > before));
                let (min, max) = (event.item.min.unwrap_or(0), event.item.max.unwrap_or(u32::MAX));
                match event.item.desired.filter(|_| fresh) {
                    Some(wanted) => {
                        let because = Because::new(event.fires.clone(), [("desired", f64::from(wanted))]);
                        Recommendation::hold(wanted, "scheduled", because)
                    }
                    None => {
                        let numbers = [("min", f64::from(min)), ("max", f64::from(max))];
                        let because = Because::new(event.holds.clone(), numbers);
                        Recommendation::hold(desired.max(min).min(max), "scheduled", because)
                    }
                }
            }
        };
        if said.step.replicas == desired
            && let Some(left) = left
        {
            let because = Because::new("the next entry fires in {left} s", [("left", left)]);
            said.nearest_flip = Some(Flip { replicas: desired, because: because.clone() });
            said.blocked_by.push(Blocked { by: "schedule".into(), until: next, because });
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::made_up::{config, pool};
    use crate::policy::build;

    /// What is asked for from 2 replicas at each time, with one policy.
    fn asked(schedule: Value, times: &[&str]) -> Vec<u32> {
        let mut policy = build(&config("scheduled", json!({"schedule": schedule})).policy).unwrap().policy;
        let ask = |time: &&str| {
            let mut seen = pool(0.0, &[0.0; 2]);
            seen.at = time.parse().unwrap();
            policy.observe(&seen);
            policy.recommend(&seen).step.replicas
        };
        times.iter().map(ask).collect()
    }

    #[test]
    fn office_hours_in_berlin() {
        let schedule = json!([
            {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin", "min": 3},
            {"cron": "0 18 * * *", "timezone": "Europe/Berlin", "max": 1}
        ]);
        // In winter Berlin is an hour ahead of UTC, in summer two; 2026-03-29 and 2026-10-25
        // are the Sundays of the change.
        let rows = [
            ("2026-01-05T07:59:59Z", 1),
            ("2026-01-05T08:00:00Z", 3),
            ("2026-01-05T16:59:59Z", 3),
            ("2026-01-05T17:00:00Z", 1),
            ("2026-01-10T12:00:00Z", 1),
            ("2026-03-30T06:59:59Z", 1),
            ("2026-03-30T07:00:00Z", 3),
            ("2026-10-26T07:59:59Z", 1),
            ("2026-10-26T08:00:00Z", 3),
        ];
        let times: Vec<&str> = rows.iter().map(|(time, _)| *time).collect();
        let expected: Vec<u32> = rows.iter().map(|(_, replicas)| *replicas).collect();
        assert_eq!(asked(schedule, &times), expected);
    }

    #[test]
    fn hours_that_are_skipped_or_repeated() {
        let at = |hour: &str| json!([{"cron": format!("30 {hour} * * *"), "timezone": "Europe/Berlin", "min": 4, "for": "10m"}]);
        // 2:30 does not exist on 2026-03-29: 3:00 summer time is 01:00 UTC.
        let skipped =
            asked(at("2"), &["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:09:00Z"]);
        assert_eq!(skipped, [2, 4, 4]);
        // 2:30 comes twice on 2026-10-25: the first is 00:30 UTC.
        let repeated =
            asked(at("2"), &["2026-10-25T00:29:59Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]);
        assert_eq!(repeated, [2, 4, 2]);
    }

    #[test]
    fn once_and_for_a_while() {
        let schedule = json!([{"at": "2026-05-01T10:00:00Z", "desired": 5},
                              {"at": "2026-05-01T12:00:00Z", "min": 4, "for": "30m"}]);
        let times = [
            "2026-05-01T09:59:59Z",
            "2026-05-01T10:00:01Z",
            "2026-05-01T10:00:02Z",
            "2026-05-01T12:00:00Z",
            "2026-05-01T12:29:59Z",
            "2026-05-01T12:30:00Z",
        ];
        assert_eq!(asked(schedule, &times), [2, 5, 2, 4, 4, 2]);
    }

    #[test]
    fn refuses_entries_that_make_no_sense() {
        let rows = [
            (json!([{"min": 1}]), "either cron or at"),
            (json!([{"cron": "* * * * *"}]), "needs min, max or desired"),
            (json!([{"cron": "61 * * * *", "min": 1}]), "cron `61 * * * *`"),
            (
                json!([{"cron": "* * * * *", "min": 1, "timezone": "Mars/Base"}]),
                "`Mars/Base` is no time zone",
            ),
            (json!([{"cron": "* * * * *", "min": 3, "max": 2}]), "above its max"),
        ];
        for (schedule, expected) in rows {
            let settings = json!({"schedule": schedule});
            let error = build(&config("scheduled", settings).policy).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
