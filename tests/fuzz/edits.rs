//! Examples, edited at random: what comes out is nearly valid, and so gets further into a parser
//! than noise does.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use clock::Clock;
use rand_core::Rng;
use rand_pcg::Pcg64;

/// Inputs in a plain `cargo test`; with `FUZZ_SECONDS=600` each target runs for that long instead,
/// from a seed of its own that `FUZZ_SEED` may set.
const INPUTS: u64 = 1_000;
/// More edits leave nothing that a parser would get into.
const EDITS_MAX: usize = 6;
/// No input grows beyond this by doubling.
const INPUT_BYTES_MAX: usize = 128 * 1024;

/// Gives edited `examples` to `target`, with a random number each, until it is enough; shows the
/// one that made it panic, if one did. `words` are what is worth inserting.
pub(crate) fn fuzz(name: &str, examples: &[&[u8]], words: &[&[u8]], target: impl Fn(&[u8], usize)) {
    let number = |name: &str| std::env::var_os(name)?.to_str()?.parse::<u64>().ok();
    let length = number("FUZZ_SECONDS").map(Duration::from_secs);
    let seed = number("FUZZ_SEED").unwrap_or_else(|| length.map_or(1, |_| u64::from(std::process::id())));
    let mut random = Pcg64::new(seed.into(), 1);
    let mut draw = |below: usize| {
        let draw = random.next_u64() % u64::try_from(below).unwrap_or(u64::MAX);
        usize::try_from(draw).unwrap_or_default()
    };
    let (started, mut inputs) = (Clock::start(), 0_u64);
    while length.map_or(inputs < INPUTS, |length| started.uptime() < length) {
        let mut input = examples[draw(examples.len())].to_vec();
        for _ in 0..draw(EDITS_MAX + 1) {
            edit(&mut input, examples, words, &mut draw);
        }
        let knob = draw(usize::MAX);
        inputs += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&input, knob))) {
            println!("{name}: input {inputs} of seed {seed}, knob {knob}: {}", input.escape_ascii());
            resume_unwind(panic);
        }
    }
    println!("{name}: {inputs} inputs in {:.0?}, seed {seed}", started.uptime());
}

/// One change somewhere.
fn edit(input: &mut Vec<u8>, examples: &[&[u8]], words: &[&[u8]], draw: &mut impl FnMut(usize) -> usize) {
    let at = draw(input.len() + 1);
    let new = match draw(8) {
        0 => vec![u8::try_from(draw(256)).unwrap_or_default()],
        1 => Vec::new(),
        2 | 3 => words[draw(words.len())].to_vec(),
        4 => input[at..].to_vec(),
        5 => examples[draw(examples.len())].to_vec(),
        6 => {
            let from = draw(input.len() + 1);
            input[from..(from + draw(64)).min(input.len())].to_vec()
        }
        _ => return input.truncate(at),
    };
    if input.len() + new.len() < INPUT_BYTES_MAX {
        // Half of the time in place of something, half of the time between.
        let end = if draw(2) == 0 { at } else { (at + draw(16)).min(input.len()) };
        input.splice(at..end, new);
    }
}
