//! Policies and yardsticks as typed: `hpa,hpa:target=80,hpa.yaml,static:3,optimal`.

use std::path::Path;

use control::PolicySpec;
use simulator::{Contestant, ContestantKind};

use crate::config::{self, policy_file};
use crate::failure::Hint;

/// Most contestants in one command: more are surely not meant, and would be a table nobody reads.
const CONTESTANTS_MAX: usize = 1_000;

/// Reads the list; a policy may have settings, so that a comma may be part of one.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Contestant>> {
    let mut all: Vec<Contestant> = Vec::new();
    let mut policies: Vec<&str> = Vec::new();
    for item in items(text) {
        if let Some(yardstick) = yardstick(item)? {
            flush(&mut policies, &mut all)?;
            all.push(yardstick);
        } else if !item.contains('=') && policy_file::is_file(item) {
            flush(&mut policies, &mut all)?;
            let config = policy_file::read(Path::new(item))?;
            all.push(Contestant { name: item.to_owned(), kind: ContestantKind::Policy(config.policy) });
        } else {
            policies.push(item);
        }
    }
    flush(&mut policies, &mut all)?;
    if all.is_empty() || all.len() > CONTESTANTS_MAX {
        return Err(anyhow::anyhow!("{} policies in `{text}`", all.len()))
            .hint(format!("name 1 to {CONTESTANTS_MAX}, as in --policies hpa,threshold,optimal"));
    }
    Ok(all)
}

/// What stood since the last yardstick or file is a list of policies and settings.
fn flush(policies: &mut Vec<&str>, all: &mut Vec<Contestant>) -> anyhow::Result<()> {
    if !policies.is_empty() {
        let text = std::mem::take(policies).join(",");
        for spec in PolicySpec::parse_list(&text).map_err(config::refused)? {
            all.push(Contestant { name: spec.label, kind: ContestantKind::Policy(spec.config) });
        }
    }
    Ok(())
}

fn yardstick(item: &str) -> anyhow::Result<Option<Contestant>> {
    let kind = match item.split_once(':') {
        None if item == "optimal" => ContestantKind::Optimal,
        None if item == "best_static" || item == "best-static" => ContestantKind::BestStatic,
        None if item == "hpa_tuned" || item == "hpa-tuned" => ContestantKind::HpaTuned,
        Some(("static", count)) => {
            let workers = count.trim().parse();
            ContestantKind::Static(
                workers
                    .map_err(|_| anyhow::anyhow!("`{item}`: `{count}` is no number of workers"))
                    .hint("as in static:3")?,
            )
        }
        _ => return Ok(None),
    };
    Ok(Some(Contestant { name: item.to_owned(), kind }))
}

/// Parts at commas outside brackets and quotes.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut quoted) = (0_i32, false);
    let parts = text.split(move |letter| {
        match letter {
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => depth -= 1,
            _ => {}
        }
        letter == ',' && depth <= 0 && !quoted
    });
    parts.map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_settings_and_yardsticks() {
        let all = parse("hpa, threshold:up=80,down=20,optimal,static:3,hpa:target=60,best_static").unwrap();
        let names: Vec<&str> = all.iter().map(|contestant| contestant.name.as_str()).collect();
        assert_eq!(
            names,
            ["hpa", "threshold:up=80,down=20", "optimal", "static:3", "hpa:target=60", "best_static"]
        );
        assert_eq!(all[3].kind, ContestantKind::Static(3));
        for bad in ["", "nonsense", "static:many", "hpa:target", "optimal,up=3"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
