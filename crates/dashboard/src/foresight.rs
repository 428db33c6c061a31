//! What a policy that plans expects, in words: one line for the screen, a table of its models for
//! whoever asks.

use control::{Foresight, Planned, Standing};

use crate::text;

/// Trust, what is expected, how good that was so far, and what is planned; the most important first,
/// because a line may be cut.
pub fn line(seen: &Foresight) -> String {
    let mut parts = vec![format!(
        "{} {}: {} in {} s (q90 {})",
        seen.trust.name(),
        seen.model,
        load(seen.q50),
        text::number(seen.lead_s),
        load(seen.q90)
    )];
    parts.push(seen.next.as_ref().map_or("no change planned".to_owned(), planned));
    parts.extend(seen.loss_ratio.map(|ratio| format!("loss × {ratio:.2}")));
    parts.extend(seen.coverage.map(|share| format!("{:.0} % covered", 100.0 * share)));
    parts.join(" · ")
}

/// `in 12 s → 5 (4.2 at +15 s)`.
fn planned(next: &Planned) -> String {
    let when = if next.order_in_s < 0.5 { "now".to_owned() } else { format!("in {:.0} s", next.order_in_s) };
    format!("{when} → {} ({} at +{:.0} s)", next.replicas, load(next.load), next.needed_in_s)
}

/// Everything, as lines: the band, the plan, and each model's record.
pub fn board(seen: &Foresight) -> String {
    let mut lines = vec![
        format!("load      {} now, in workers at the utilisation that is safe", load(seen.load)),
        format!(
            "expected  {} in {} s; 1 in 10 below {}, 1 in 10 above {}",
            load(seen.q50),
            text::number(seen.lead_s),
            load(seen.q10),
            load(seen.q90)
        ),
        format!("workers   {} by the forecast, {} by the reactive rule", seen.planned, seen.reactive),
        format!("next      {}", seen.next.as_ref().map_or("no change planned".to_owned(), planned)),
        format!("trust     {}, in {}", seen.trust.name(), seen.model),
        String::new(),
        format!("{:<18} {:<10} {:>6} {:>12} {:>8}", "model", "trust", "scored", "loss ÷ naive", "covered"),
    ];
    lines.extend(seen.standings.iter().map(row));
    lines.push(String::new());
    lines.push("covered: loads at or below their 90 % quantile; 90 % is right.".to_owned());
    lines.push("Trust takes a loss below the naive one's, by more than luck, and coverage.".to_owned());
    lines.join("\n")
}

fn row(one: &Standing) -> String {
    let known = |value: Option<String>| value.unwrap_or_else(|| text::UNKNOWN.to_owned());
    format!(
        "{:<18} {:<10} {:>6} {:>12} {:>8}",
        one.model,
        one.trust.name(),
        one.scored,
        known(one.loss_ratio.map(|ratio| format!("{ratio:.2}"))),
        known(one.coverage.map(|share| format!("{:.0} %", 100.0 * share)))
    )
}

/// A load in workers; what is not known has its own sign.
fn load(value: f64) -> String {
    if value.is_finite() { format!("{value:.1}") } else { text::UNKNOWN.to_owned() }
}

#[cfg(test)]
mod tests {
    use control::Trust;

    use super::*;

    #[test]
    fn the_line_says_what_is_expected_and_what_follows() {
        let next = Planned { order_in_s: 12.0, replicas: 5, needed_in_s: 15.2, load: 4.2 };
        let standing = Standing {
            model: "ensemble".into(),
            trust: Trust::Trusted,
            scored: 120,
            loss_ratio: Some(0.618),
            coverage: Some(0.91),
        };
        let mut seen = Foresight {
            model: "ensemble".into(),
            trust: Trust::Trusted,
            lead_s: 3.5,
            load: 2.9,
            q10: 2.8,
            q50: 3.2,
            q90: 3.94,
            coverage: Some(0.91),
            loss_ratio: Some(0.618),
            reactive: 4,
            planned: 4,
            next: Some(next),
            standings: vec![standing],
        };
        assert_eq!(
            line(&seen),
            "trusted ensemble: 3.2 in 3.5 s (q90 3.9) · in 12 s → 5 (4.2 at +15 s) · loss × 0.62 · 91 % covered"
        );
        assert!(
            board(&seen).contains("ensemble           trusted       120         0.62     91 %"),
            "{}",
            board(&seen)
        );
        (seen.q50, seen.next, seen.loss_ratio, seen.coverage) = (f64::NAN, None, None, None);
        assert_eq!(line(&seen), "trusted ensemble: – in 3.5 s (q90 3.9) · no change planned");
    }
}
