//! `RESULTS.md`: one part a command, each of which rewrites only its own.

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");

/// Puts `part`, which begins with a heading of the first level, in the place of the part with that
/// heading, or at the end.
pub(crate) fn write(part: &str) -> anyhow::Result<()> {
    fs_err::write(PATH, with(&read(), part))?;
    Ok(())
}

/// All parts; empty where there are none yet.
pub(crate) fn read() -> String {
    fs_err::read_to_string(PATH).unwrap_or_default()
}

fn with(before: &str, part: &str) -> String {
    let heading = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let mut parts = split(before);
    let text = format!("{}\n", part.trim_end());
    match parts.iter().position(|own| heading(own) == heading(&text)) {
        Some(place) => parts[place] = text,
        None => parts.push(text),
    }
    parts.iter().map(|part| format!("{}\n", part.trim_end())).collect::<Vec<_>>().join("\n")
}

/// At headings of the first level.
fn split(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("# ") || parts.is_empty() {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_takes_the_place_of_its_forerunner_and_no_other() {
        let both = with(&with("", "# one\n\nfirst\n"), "# two\n\nsecond\n");
        assert_eq!(both, "# one\n\nfirst\n\n# two\n\nsecond\n");
        assert_eq!(with(&both, "# one\n\n## more\nthird"), "# one\n\n## more\nthird\n\n# two\n\nsecond\n");
    }
}
