//! A report as one self-contained page: plots and tables that open offline, in light and dark.
//!
//! What the page shows is handed over as numbers; all drawing is in `web/report.js`.

mod run;

use serde::Serialize;

pub use run::of_run;

/// What a report shows; parts that are empty are left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The headline.
    pub title: String,
    /// What it was made from, as name and value: traces, settings, version, hashes.
    pub facts: Vec<(String, String)>,
    /// Plots over time.
    pub timelines: Vec<Timeline>,
    /// Rows of results, each an object as `simulate -o json` prints it.
    pub scores: Vec<serde_json::Value>,
    /// What happened, oldest first.
    pub events: Vec<Event>,
    /// Events that are not listed, beyond those.
    pub events_left_out: usize,
}

/// A plot over time, of values in columns of equal width.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Timeline {
    /// What it shows.
    pub name: String,
    /// Plots of one group stand below each other; of several groups the reader chooses one.
    pub group: String,
    /// Unit of all its values.
    pub unit: String,
    /// When the first column begins, in seconds since the start.
    pub from_s: f64,
    /// Width of a column, in seconds.
    pub step_s: f64,
    /// Drawn as an area.
    pub areas: Vec<Series>,
    /// Drawn as lines, over the areas.
    pub lines: Vec<Series>,
    /// Levels that do not change, with their names.
    pub levels: Vec<(String, f64)>,
}

/// Values over time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    /// What they are.
    pub name: String,
    /// One a column; `None` where there is none.
    #[serde(serialize_with = "short")]
    pub values: Vec<Option<f64>>,
    /// Share of each column in which something was wrong, 0 to 1; empty: nothing is told.
    #[serde(serialize_with = "short", skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<Option<f64>>,
    /// A yardstick and no contestant: drawn so that it stands back.
    pub reference: bool,
}

/// Something that happened.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Event {
    /// Seconds since the start.
    pub at_s: f64,
    /// Workers more (or fewer).
    pub change: i64,
    /// In words.
    pub text: String,
}

/// Four digits are more than a screen shows, and keep the page small.
fn short<S: serde::Serializer>(values: &[Option<f64>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(|value| {
        value.filter(|value| value.is_finite()).map(|value| {
            let scale = if value.abs() >= 100.0 { 10.0 } else { 1e3 };
            (value * scale).round() / scale
        })
    }))
}

/// The page, as one document of `text/html; charset=utf-8`.
pub fn page(report: &Report) -> String {
    let json = serde_json::to_string(report).expect("a report has only string keys");
    // Within a script nothing but `<` could end it.
    let json = json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    [
        HEAD,
        "<script>\n\"use strict\";\nconst report = ",
        &json,
        ";\n",
        SCRIPT,
        "</script>\n</body>\n</html>\n",
    ]
    .concat()
}

const HEAD: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; img-src data:\">\n",
    "<title>autoscale report</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n",
    include_str!("web/palette.css"),
    include_str!("web/report.css"),
    "</style>\n</head>\n<body>\n",
    include_str!("web/report.html"),
);

const SCRIPT: &str =
    concat!(include_str!("web/plots.js"), include_str!("web/scores.js"), include_str!("web/report.js"));

#[cfg(test)]
mod tests {
    use super::*;

    fn made_up() -> Report {
        Report {
            title: "</script><script>alert(1)</script>".to_owned(),
            timelines: vec![Timeline {
                lines: vec![Series {
                    values: vec![Some(0.123_456), None, Some(123.456)],
                    ..Series::default()
                }],
                ..Timeline::default()
            }],
            ..Report::default()
        }
    }

    #[test]
    fn needs_nothing_from_elsewhere_and_text_stays_text() {
        let page = page(&made_up());
        for foreign in ["src=\"", "@import", "url(http", "https://", "//cdn", "fetch("] {
            assert!(!page.contains(foreign), "the page has `{foreign}`");
        }
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " onclick="] {
            assert!(!page.contains(way), "the page has `{way}`");
        }
        assert_eq!(page.matches("</script").count(), 1, "the title cannot end the script");
        assert!(page.contains("[0.123,null,123.5]"), "short numbers, gaps as null");
    }

    #[test]
    fn every_element_that_the_script_wants_is_there() {
        let page = page(&Report::default());
        let parts = |start: &str| {
            page.split(start).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>()
        };
        let ids = parts(" id=\"");
        let wanted = parts("at(\"");
        assert!(wanted.len() > 5);
        for id in wanted {
            assert!(ids.contains(&id), "there is no element `{id}`");
        }
    }
}
