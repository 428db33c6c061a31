//! Habits that a machine can check: bounded queues, no sleeping tests, readable file sizes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Longest file that a newcomer can be asked to read, tests included.
const LINES_MAX: usize = 500;

/// Text that must not stand in the sources, where, and why.
const REFUSED: &[(&str, Where, &str)] = &[
    ("unbounded_channel", Where::Everywhere, "every queue is bounded"),
    ("mpsc::channel()", Where::Everywhere, "std's plain channel has no bound: use sync_channel"),
    ("thread::sleep", Where::Tests, "a test waits for a condition with a deadline"),
    ("time::sleep(", Where::Tests, "a test waits for a condition with a deadline"),
    ("todo!(", Where::Everywhere, "no stubs"),
    ("unimplemented!(", Where::Everywhere, "no stubs"),
];

#[derive(Clone, Copy, PartialEq)]
enum Where {
    Everywhere,
    Tests,
}

/// Fails on refused text and on overlong files.
pub(crate) fn check() -> Result<()> {
    let mut files = Vec::new();
    for root in ["crates", "tests", "examples"] {
        collect(Path::new(root), &mut files)?;
    }
    let mut faults = Vec::new();
    for file in &files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        faults.extend(faults_of(file, &text));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn faults_of(file: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // This file names what it refuses.
    if file.ends_with("xtask/src/tidy.rs") {
        return faults;
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{}: {lines} lines, {LINES_MAX} at most", file.display()));
    }
    if !text.starts_with("//!") && !is_test(file) {
        faults.push(format!(
            "{}: the first line says in one sentence what the file is for (//!)",
            file.display()
        ));
    }
    for (number, line) in text.lines().enumerate() {
        for (refused, place, why) in REFUSED {
            if line.contains(refused) && (*place == Where::Everywhere || is_test(file)) {
                faults.push(format!("{}:{}: `{refused}`: {why}", file.display(), number + 1));
            }
        }
    }
    faults
}

/// Test files, by where they lie.
fn is_test(file: &Path) -> bool {
    file.iter().any(|part| part == "tests") || file.ends_with("tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_refused_where_it_is_refused() {
        let rows = [
            ("crates/a/src/lib.rs", "//! A.\nlet q = unbounded_channel();", 1),
            ("crates/a/src/lib.rs", "//! A.\nthread::sleep(x);", 0),
            ("crates/a/tests/b.rs", "thread::sleep(x);", 1),
            ("crates/a/src/lib.rs", "fn main() {}", 1),
        ];
        for (file, text, expected) in rows {
            assert_eq!(faults_of(Path::new(file), text).len(), expected, "{file}: {text}");
        }
        let long = format!("//! A.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(faults_of(Path::new("crates/a/src/lib.rs"), &long).len(), 1);
    }
}
