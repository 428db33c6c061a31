//! Runs without a policy: a constant number of workers, or a schedule that knows the future.

use crate::load::Load;
use crate::number::seconds;
use crate::optimum::Plan;
use crate::scenario::Scenario;
use crate::tally::Tally;

use super::world::World;

/// Always `workers`.
pub(super) fn hold(load: &Load, scenario: &Scenario, workers: u32) -> Tally {
    let mut world = World::new(load, scenario);
    for step in 0..load.steps() {
        world.begin_step(step);
        world.flow_until(load.begin_ms(step + 1), workers, workers);
        world.end_step(workers);
    }
    world.finish()
}

/// The schedule's numbers, each worker launched just in time to be ready when it says.
pub(super) fn follow(load: &Load, scenario: &Scenario, plan: &Plan) -> Tally {
    let mut world = World::new(load, scenario);
    let start_up_ms = u64::try_from(scenario.start_up.as_millis()).unwrap_or(u64::MAX);
    let mut before: Option<u32> = None;
    for (step, planned) in plan.steps.iter().enumerate() {
        let (begin_ms, end_ms) = (load.begin_ms(step), load.begin_ms(step + 1));
        world.begin_step(step);
        if step > load.scored_from() {
            let origin_ms = load.scored_from_ms();
            let paid_s = |launched_ms: u64| {
                seconds(load.present_ms(begin_ms).saturating_sub(load.present_ms(launched_ms.max(origin_ms))))
            };
            let early = planned.first.saturating_sub(before.unwrap_or(planned.first));
            world.bill_start(early, paid_s(begin_ms.saturating_sub(start_up_ms)));
            let whole_steps_ms = start_up_ms - plan.then_after_ms;
            let late = planned.then - planned.first;
            world.bill_start(late, paid_s(begin_ms.saturating_sub(whole_steps_ms)));
        }
        if step >= load.scored_from() {
            let change = i64::from(planned.then) - i64::from(before.unwrap_or(planned.first));
            world.tally.decided(begin_ms, change, start_up_ms);
        }
        // A late start is billed from the decision on, and ready within the step.
        let split_ms = begin_ms.saturating_add(plan.then_after_ms).min(end_ms);
        world.flow_until(split_ms, planned.first, planned.then);
        world.flow_until(end_ms, planned.then, planned.then);
        world.end_step(planned.then);
        before = Some(planned.then);
    }
    world.finish()
}
