//! Arguments that would have no effect beside others: refused, since whoever typed them meant
//! something by them.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::EngineName;
use super::simulate::SINGLE_REQUESTS;
use crate::failure::hint;

/// What tells the story in place of a trace, and what it reads beside itself.
const STORIES: [(&str, &[&str], &str); 2] = [
    ("file", &["file", "quiet"], "leave it out: a scenario file says all by itself, and is told as text"),
    ("chaos", &["chaos", "seed", "seeds", "quiet"], "leave it out: all but the seeds is made up"),
];

/// What only `--engine des` reads and yet is taken on any engine: there is no chance in a fluid, so
/// that one run stands for all seeds, whichever.
const TAKEN_BY_ALL: [&str; 2] = ["seed", "seeds"];

/// An error that names the first argument without effect.
pub(crate) fn heed(command: &Command, given: &ArgMatches) -> anyhow::Result<()> {
    let Some(("simulate", given)) = given.subcommand() else { return Ok(()) };
    let command = command.find_subcommand("simulate").expect("it was just parsed");
    let typed: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine))
        .collect();
    let story = STORIES.iter().find_map(|story| {
        let teller = typed.iter().find(|arg| arg.get_id() == story.0)?;
        Some((teller, story.1, story.2))
    });
    if let Some((teller, read, advice)) = story {
        if let Some(idle) = typed.iter().find(|arg| !read.contains(&arg.get_id().as_str())) {
            return Err(hint(anyhow::anyhow!("{} has no effect with {}", flag(idle), flag(teller)), advice));
        }
        return Ok(());
    }
    if given.get_one("engine") == Some(&EngineName::Fluid) {
        let is_idle = |arg: &&&Arg| {
            arg.get_help_heading() == Some(SINGLE_REQUESTS) && !TAKEN_BY_ALL.contains(&arg.get_id().as_str())
        };
        let idle = typed.iter().find(is_idle);
        if let Some(idle) = idle {
            return Err(hint(
                anyhow::anyhow!("{} works with single requests only", flag(idle)),
                "add --engine des",
            ));
        }
    }
    Ok(())
}

/// As it is typed.
fn flag(arg: &Arg) -> String {
    format!("--{}", arg.get_long().unwrap_or(arg.get_id().as_str()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::heed;
    use crate::args::Cli;

    fn refused(words: &str) -> String {
        let command = Cli::command();
        let words = format!("autoscale {words}");
        let given = command.clone().try_get_matches_from(words.split(' ')).unwrap();
        heed(&command, &given).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn stories_refuse_what_they_do_not_read() {
        for (words, said) in [
            ("simulate --scenario a.toml", ""),
            ("simulate --scenario a.toml -q", ""),
            ("simulate --scenario a.toml -o json", "--output has no effect with --scenario"),
            ("simulate --scenario a.toml --kappa 10", "--kappa has no effect with --scenario"),
            ("simulate --chaos --seed 7 --seeds 3", ""),
            ("simulate --chaos --record run.db", "--record has no effect with --chaos"),
            ("simulate --trace a.csv -o json", ""),
        ] {
            assert_eq!(refused(words), said, "{words}");
        }
    }

    #[test]
    fn a_fluid_has_no_single_requests() {
        for words in ["--crashes 1", "--crashes 0", "--lose-region 3h", "--worker-model t3.micro"] {
            let flag = words.split(' ').next().unwrap();
            let said = refused(&format!("simulate --trace a.csv {words}"));
            assert_eq!(said, format!("{flag} works with single requests only"));
            assert_eq!(refused(&format!("simulate --trace a.csv --engine des {words}")), "");
        }
        for words in ["--seeds 20 --seed 3", "--worker-rate 2", "-q", "--start-up 2s", "--threads 1"] {
            assert_eq!(refused(&format!("simulate --trace a.csv {words}")), "");
        }
    }
}
