//! The table in `crates/README.md` against what cargo says: who may use whom.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What a pure crate must not list: runtimes, I/O and sources of entropy or time.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio-util",
    "hyper",
    "hyper-util",
    "axum",
    "reqwest",
    "rusqlite",
    "sysinfo",
    "crossterm",
    "ratatui",
    "rustix",
    "socket2",
    "fs-err",
    "getrandom",
    "rand",
];

/// A row of the table.
#[derive(Debug, PartialEq)]
struct Row {
    floor: String,
    may_use: BTreeSet<String>,
}

/// Fails if a crate uses one that its row does not name, or if the rows are not the crates.
pub(crate) fn check() -> Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata failed")?;
    let path = metadata.workspace_root.join("crates/README.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    let faults = compare(&table(&text), &metadata);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// Rows of the form ``| floor | `crate` | … | a, b |``.
fn table(text: &str) -> BTreeMap<String, Row> {
    text.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<(String, Row)> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [floor, name, _, may_use] = cells[..] else { return None };
    let name = name.strip_prefix('`')?.strip_suffix('`')?;
    let may_use = may_use.split(',').map(|one| one.trim().to_owned()).filter(|one| one != "—").collect();
    Some((name.to_owned(), Row { floor: floor.to_owned(), may_use }))
}

fn compare(table: &BTreeMap<String, Row>, metadata: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for package in metadata.workspace_packages() {
        let name = package.name.strip_prefix("autoscale-").unwrap_or(&package.name).to_owned();
        seen.insert(name.clone());
        let Some(row) = table.get(&name) else {
            faults.push(format!("crate `{name}` has no row in crates/README.md"));
            continue;
        };
        let listed = package.dependencies.iter().filter(|listed| listed.kind == DependencyKind::Normal);
        for dependency in listed {
            if let Some(ours) = dependency.name.strip_prefix("autoscale-")
                && !row.may_use.contains(ours)
                && !row.may_use.contains("all")
            {
                faults.push(format!("`{name}` uses `{ours}`, which its row does not allow"));
            }
            if row.floor == "pure" && IMPURE.contains(&dependency.name.as_str()) {
                faults.push(format!("`{name}` is pure and lists `{}`", dependency.name));
            }
        }
    }
    faults.extend(
        table.keys().filter(|name| !seen.contains(*name)).map(|name| format!("row `{name}` has no crate")),
    );
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rows_and_nothing_else() {
        let text = "| Floor | Crate | What | May use |\n|---|---|---|---|\n| pure | `a` | x | — |\n| shell | `b` | y | a, c |\ntext";
        let table = table(text);
        assert_eq!(table.len(), 2);
        assert!(table["a"].may_use.is_empty());
        assert_eq!(table["b"].may_use, ["a".to_owned(), "c".to_owned()].into());
        assert_eq!(table["b"].floor, "shell");
    }

    #[test]
    fn a_missing_row_and_a_forbidden_arrow_are_faults() {
        let metadata = MetadataCommand::new().no_deps().exec().unwrap();
        let none = compare(&BTreeMap::new(), &metadata);
        assert!(none.iter().any(|fault| fault.contains("`live` has no row")), "{none:?}");
        let walled = table("| shell | `live` | x | clock |\n| shell | `gone` | x | — |");
        let faults = compare(&walled, &metadata);
        assert!(faults.iter().any(|fault| fault.contains("`live` uses `control`")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("row `gone` has no crate")), "{faults:?}");
    }
}
