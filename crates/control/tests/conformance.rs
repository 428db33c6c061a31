//! The rules of other products, case by case, as their documents state them.

#[path = "conformance/aws.rs"]
mod aws;
#[path = "conformance/hpa_behavior.rs"]
mod hpa_behavior;
#[path = "conformance/hpa_metrics.rs"]
mod hpa_metrics;
#[path = "conformance/hpa_pods.rs"]
mod hpa_pods;
#[path = "conformance/kpa.rs"]
mod kpa;
#[path = "conformance/pool.rs"]
mod pool;
#[path = "conformance/threshold_as_hpa.rs"]
mod threshold_as_hpa;

/// Rows of the tables, counted in their text: nearly each begins with its name in a line of its own.
#[test]
fn the_tables_are_as_large_as_they_are_meant_to_be() {
    let rows = |texts: &[&str]| {
        let is_row = |line: &&str| line.trim_start().starts_with("(\"") || line.contains("row(\"");
        texts.iter().flat_map(|text| text.lines()).filter(is_row).count()
    };
    let hpa = rows(&[
        include_str!("conformance/hpa_behavior.rs"),
        include_str!("conformance/hpa_metrics.rs"),
        include_str!("conformance/hpa_pods.rs"),
    ]);
    let aws = rows(&[include_str!("conformance/aws.rs")]);
    let kpa = rows(&[include_str!("conformance/kpa.rs")]);
    println!("cases: {hpa} of hpa, {aws} of AWS alarms and steps, {kpa} of one turn of kpa");
    assert!(hpa >= 80 && aws >= 30 && kpa >= 15, "{hpa} {aws} {kpa}");
}
