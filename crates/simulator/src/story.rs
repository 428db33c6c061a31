//! A scenario told as text: every change and every new reason, turn by turn, and the score. Made
//! to be read by people and compared by tests.

use std::fmt::Write;
use std::ops::ControlFlow;

use control::{Decision, Observation};

use crate::contest::{ContestError, Contestant, ContestantKind};
use crate::des;
use crate::fluid::{self, Driver};
use crate::optimum;
use crate::scenario::file::{Case, ScenarioFile};
use crate::score::{MadeFrom, Of, Score};
use crate::tally::Tally;

/// Turns told of one run; more are only counted.
const TOLD_MAX: usize = 200;

/// Runs every case of a scenario file and tells it.
///
/// # Errors
/// When the load, a setting or a policy makes no sense.
pub fn tell(name: &str, file: &ScenarioFile) -> Result<String, ContestError> {
    let mut text = format!("{name}: {}\n", file.about);
    for case in file.cases() {
        if !case.name.is_empty() {
            let _ = write!(text, "\n== {}\n", case.name);
        }
        let mut scores = Vec::new();
        for contestant in file.contestants()? {
            let told = run(name, file, &case, &contestant)?;
            if let ContestantKind::Policy(_) = contestant.kind {
                let _ = write!(text, "\n-- {}\n{}", contestant.name, told.turns);
            }
            scores.push(told.score);
        }
        text.push_str(&table(&scores));
    }
    Ok(text)
}

struct Told {
    turns: String,
    score: Score,
}

fn run(name: &str, file: &ScenarioFile, case: &Case, contestant: &Contestant) -> Result<Told, ContestError> {
    let scenario = &case.scenario;
    scenario.check()?;
    let load = file.load(name, scenario)?;
    let optimum = optimum::solve(&load, scenario, true);
    let (best, _) = optimum::best_static(&load, scenario);
    let constant = fluid::run(&load, scenario, Driver::Static(best), None);
    let driver = match &contestant.kind {
        ContestantKind::Policy(policy) => {
            Driver::Controller(Box::new(fluid::controller(policy.clone(), scenario)?))
        }
        ContestantKind::Optimal => Driver::Plan(&optimum.plan),
        ContestantKind::Static(workers) => Driver::Static(scenario.constant(*workers)?),
        ContestantKind::BestStatic => Driver::Static(best),
        ContestantKind::HpaTuned => {
            let config = crate::tune::hindsight::hpa(&load, scenario)
                .ok_or_else(|| control::ConfigError::UnknownPolicy("hpa".to_owned()))?;
            Driver::Controller(Box::new(fluid::controller(config, scenario)?))
        }
    };
    let mut turns = Turns::default();
    let mut watch = |seen: &Observation, decision: &Decision| {
        turns.enter(seen, decision);
        ControlFlow::Continue(())
    };
    let des = file.des()?.filter(|_| contestant.kind != ContestantKind::Optimal);
    let (tally, engine): (Tally, _) = match &des {
        Some(des) => (des::run(&load, scenario, des, driver, Some(&mut watch))?.tally, "des"),
        None => (fluid::run(&load, scenario, driver, Some(&mut watch)), "fluid"),
    };
    let of = Of {
        trace: name,
        policy: &contestant.name,
        engine,
        optimal_cost: optimum.cost,
        constant: &constant,
        made_from: MadeFrom::default(),
        chosen: None,
        optimum_curve: None,
    };
    let score = tally.score(of, scenario);
    Ok(Told { turns: turns.text(), score })
}

/// Turns at which something became different.
#[derive(Default)]
struct Turns {
    lines: Vec<String>,
    left_out: usize,
    all: usize,
    last: Option<(u32, String, u64)>,
}

impl Turns {
    fn enter(&mut self, seen: &Observation, decision: &Decision) {
        self.all += 1;
        let rule = decision.deciding().rule.to_string();
        let now = (decision.desired(), rule, seen.fleet.crashes);
        let before = self.last.replace(now.clone());
        if before.as_ref() == Some(&now) {
            return;
        }
        if self.lines.len() == TOLD_MAX {
            self.left_out += 1;
            return;
        }
        let at_s = seen.at.as_second();
        let crashes = before.map_or(0, |before| now.2.saturating_sub(before.2));
        let crashed = if crashes > 0 { format!(" [{crashes} crashed]") } else { String::new() };
        self.lines.push(format!(
            "{:02}:{:02}:{:02} {:>3} → {:<3} {:>3} ready  {}: {}{crashed}",
            at_s / 3_600,
            at_s / 60 % 60,
            at_s % 60,
            decision.current,
            now.0,
            seen.fleet.ready,
            now.1,
            decision.deciding().because,
        ));
    }

    fn text(&self) -> String {
        let mut text: String = self.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        if self.left_out > 0 {
            let _ = writeln!(text, "… and {} more", self.left_out);
        }
        let _ = writeln!(text, "{} turns", self.all);
        text
    }
}

fn table(scores: &[Score]) -> String {
    let widest = scores.iter().map(|score| score.policy.len()).max().unwrap_or(0);
    let mut text = format!(
        "\n{:widest$}  cost/opt  worker-s  late req  dropped  violated  longest  outs  ins  flaps/h\n",
        "policy"
    );
    for score in scores {
        let _ = writeln!(
            text,
            "{:widest$}  {:8.3}  {:8.0}  {:7.3}%  {:6.2}%  {:7.2}%  {:5.0} s  {:4}  {:3}  {:7.2}",
            score.policy,
            score.cost_ratio,
            score.worker_seconds,
            100.0 * score.late_request_share,
            100.0 * score.dropped_request_share,
            100.0 * score.violation_time_share,
            score.violation_longest_s,
            score.scale_outs,
            score.scale_ins,
            score.flaps_per_hour,
        );
    }
    text
}
