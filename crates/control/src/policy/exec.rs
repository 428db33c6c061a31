//! A policy in any language: a program that reads questions and writes decisions, one JSON object
//! a line each.
//!
//! The program runs elsewhere; here only its latest answer counts, which comes in with the
//! observation and is recorded with it, so that a run replays without the program. An answer that
//! is late, wrong or missing changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Text};
use crate::fleet::status::State;
use crate::limits::Meets;
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "exec",
    about: "a program of yours: questions in, {\"replicas\": N} out, a line of JSON each",
    build: |config| Ok(Built::bare(Exec { own: super::checked(config, Settings::check)? })),
};

/// More words than any command line that a person writes.
const WORDS_MAX: usize = 256;

/// Settings; without a command it holds what there is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// The program and its arguments, as a list or parted by spaces.
    #[serde(deserialize_with = "words")]
    command: Vec<String>,
    /// Time in which it must answer; after that it is started anew.
    #[serde(with = "span")]
    timeout: Duration,
    /// Age at which its latest answer no longer counts.
    #[serde(with = "span")]
    stale_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { command: Vec::new(), timeout: Duration::from_secs(1), stale_after: Duration::from_secs(10) }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.command.len() > WORDS_MAX {
            return Err(format!("command has more than {WORDS_MAX} words"));
        }
        if self.timeout.is_zero() || self.stale_after < self.timeout {
            return Err("timeout must be above 0s and at most stale_after".to_owned());
        }
        Ok(())
    }
}

fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Words(Vec<String>),
        Text(String),
    }
    Ok(match Written::deserialize(from)? {
        Written::Words(words) => words,
        Written::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
    })
}

/// A program that a policy wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// The program and its arguments; not empty.
    pub command: Vec<String>,
    /// Time in which it must answer.
    pub timeout: Duration,
}

impl Program {
    /// By what its answers are found: its command line.
    pub fn name(&self) -> String {
        self.command.join(" ")
    }
}

/// What a program is asked at a turn.
#[derive(Clone, Debug, Serialize)]
pub struct Question<'a> {
    /// When.
    pub at: Timestamp,
    /// How many workers there should be now.
    pub desired: u32,
    /// How many take requests.
    pub ready: u32,
    /// Lower bound.
    pub min: u32,
    /// Upper bound.
    pub max: u32,
    /// Mean CPU of the ready workers in percent of their size; null: not measured.
    pub cpu_percent: Option<f64>,
    /// Requests that came in per second; null: not measured.
    pub requests_per_second: Option<f64>,
    /// Requests at workers and waiting; null: not measured.
    pub in_flight: Option<u64>,
    /// Everything else.
    pub observation: &'a Observation,
}

impl<'a> Question<'a> {
    /// The question that `seen` raises.
    pub fn of(seen: &'a Observation, min: u32, max: u32) -> Self {
        let ready = seen.workers.iter().filter(|worker| worker.state == State::Ready);
        let cpu: Vec<f64> = ready.filter_map(|worker| worker.cpu_percent).collect();
        let window = seen.traffic.as_ref();
        Self {
            at: seen.at,
            desired: seen.fleet.desired,
            ready: seen.fleet.ready,
            min,
            max,
            cpu_percent: (!cpu.is_empty()).then(|| cpu.iter().sum::<f64>() / cpu.len() as f64),
            requests_per_second: window.map(traffic::Window::rate_per_second),
            in_flight: window.map(|window| u64::from(window.in_flight) + u64::from(window.queued)),
            observation: seen,
        }
    }
}

/// The latest word of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// When it came.
    pub at: Timestamp,
    /// How many; `None`: what came was no decision, or nothing came.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// The program's own reason, or what is wrong with it.
    #[serde(default)]
    pub because: String,
}

/// Reasons longer than this are cut.
const REASON_MAX: usize = 200;

impl Answer {
    /// Reads a line that a program wrote. Nonsense becomes an answer that says so.
    pub fn read(at: Timestamp, line: &str) -> Self {
        #[derive(Deserialize)]
        struct Said {
            replicas: u32,
            #[serde(default, alias = "because")]
            reason: String,
        }
        match serde_json::from_str::<Said>(line) {
            Ok(Said { replicas, reason }) => Self { at, replicas: Some(replicas), because: cut(&reason) },
            Err(error) => {
                Self::none(at, &format!("its answer `{}` is no decision: {error}", cut(line.trim())))
            }
        }
    }

    /// No decision, because.
    pub fn none(at: Timestamp, because: &str) -> Self {
        Self { at, replicas: None, because: cut(because) }
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(REASON_MAX).collect()
}

/// Latest answers by the program's name.
pub type Answers = BTreeMap<String, Answer>;

struct Exec {
    own: Settings,
}

impl Exec {
    fn judged(&self, seen: &Observation) -> Result<(u32, Because), Because> {
        if self.own.command.is_empty() {
            return Err(Because::plain("there is no command to ask"));
        }
        let Some(answer) = seen.slow.exec.get(&self.own.command.join(" ")) else {
            return Err(Because::plain("the program has not answered yet"));
        };
        let age = Duration::try_from(seen.at.duration_since(answer.at)).unwrap_or_default();
        let numbers = [("age", age.as_secs_f64())];
        if age > self.own.stale_after {
            return Err(Because::new("the program's latest answer is {age} s old", numbers));
        }
        // Braces stand for numbers in a sentence; the program's are its own.
        let said: Text = answer.because.replace(['{', '}'], "").into();
        let Some(replicas) = answer.replicas else { return Err(Because::plain(said)) };
        let said = if said.is_empty() { Text::Fixed("the program says {replicas}") } else { said };
        Ok((replicas, Because::new(said, [("replicas", f64::from(replicas))])))
    }
}

impl Policy for Exec {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn programs(&self) -> Vec<Program> {
        let Settings { command, timeout, .. } = self.own.clone();
        if command.is_empty() { Vec::new() } else { vec![Program { command, timeout }] }
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        match self.judged(seen) {
            Ok((replicas, because)) => Recommendation::hold(replicas, "exec", because),
            Err(because) => {
                let hold = Recommendation::hold(seen.fleet.desired, "no_answer", because);
                Recommendation { meets: Meets::Bounds, ..hold }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::made_up::{config, moment, pool};
    use crate::policy::build;

    #[test]
    fn cases() {
        let line = |text: &str| Some(Answer::read(moment(0.0), text));
        // name, answer, age in seconds, replicas, rule, part of the reason
        let rows = [
            ("its number", line(r#"{"replicas": 4}"#), 1.0, 4, "exec", "the program says 4"),
            ("its reason", line(r#"{"replicas": 4, "reason": "{x} rush"}"#), 1.0, 4, "exec", "x rush"),
            ("late", line(r#"{"replicas": 4}"#), 11.0, 2, "no_answer", "is 11 s old"),
            ("never", None, 0.0, 2, "no_answer", "not answered yet"),
            ("text", line("four"), 1.0, 2, "no_answer", "`four` is no decision"),
            ("negative", line(r#"{"replicas": -4}"#), 1.0, 2, "no_answer", "is no decision"),
            ("half", line(r#"{"replicas": 1.5}"#), 1.0, 2, "no_answer", "is no decision"),
            ("nothing in it", line("{}"), 1.0, 2, "no_answer", "missing field"),
            ("crashed", Some(Answer::none(moment(0.0), "it ended")), 1.0, 2, "no_answer", "it ended"),
        ];
        for (name, answer, age, replicas, rule, reason) in rows {
            let built = build(&config("exec", json!({"command": "python3 p.py"})).policy);
            let mut policy = built.unwrap().policy;
            let mut seen = pool(age, &[50.0, 50.0]);
            seen.slow.exec.extend(answer.map(|answer| ("python3 p.py".to_owned(), answer)));
            let step = policy.recommend(&seen).step;
            assert_eq!((step.replicas, step.rule.as_ref()), (replicas, rule), "{name}");
            assert!(step.because.to_string().contains(reason), "{name}: {}", step.because);
        }
    }

    #[test]
    fn programs_are_found_also_in_combinations() {
        let settings =
            json!({"policies": ["hpa", {"policy": "exec", "settings": {"command": ["a", "b c"]}}]});
        let policy = build(&config("highest", settings).policy).unwrap().policy;
        assert_eq!(policy.programs()[0].command, ["a", "b c"]);
        assert!(build(&config("exec", json!({"timeout": "20s"})).policy).is_err());
    }

    #[test]
    fn a_question_states_what_most_programs_need() {
        let seen = pool(0.0, &[40.0, 60.0]);
        let json = serde_json::to_value(Question::of(&seen, 1, 5)).unwrap();
        assert_eq!((json["cpu_percent"].as_f64(), json["desired"].as_u64()), (Some(50.0), Some(2)));
        assert_eq!(json["observation"]["workers"].as_array().unwrap().len(), 2);
    }
}
