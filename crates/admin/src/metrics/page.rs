//! Writes metric families, one after another, in either dialect.

use std::fmt::Write;

/// Which text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, as `promtool check metrics` reads it.
    Prometheus,
}

impl Dialect {
    /// Value of the `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

pub(super) struct Page {
    dialect: Dialect,
    text: String,
    /// Name of the samples of the family being written.
    name: String,
}

impl Page {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::new(), name: String::new() }
    }

    /// Begins a family. A counter is named without `_total`.
    pub(super) fn family(&mut self, name: &str, kind: Kind, about: &str) {
        self.name = if kind == Kind::Counter { format!("{name}_total") } else { name.to_owned() };
        let family = if self.dialect == Dialect::OpenMetrics { name } else { &self.name };
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        self.text += &format!("# HELP {family} {about}\n# TYPE {family} {kind}\n");
    }

    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let name = std::mem::take(&mut self.name);
        self.line(&name, labels, value);
        self.name = name;
    }

    pub(super) fn gauge(&mut self, name: &str, about: &str, value: f64) {
        self.family(name, Kind::Gauge, about);
        self.sample(&[], value);
    }

    pub(super) fn counter(&mut self, name: &str, about: &str, value: f64) {
        self.family(name, Kind::Counter, about);
        self.sample(&[], value);
    }

    /// The samples of a histogram. Counts are read while requests go on: each is raised to
    /// the one before, so that the buckets never fall.
    pub(super) fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
    ) {
        let name = std::mem::take(&mut self.name);
        let mut highest = 0;
        for (bound, within) in buckets.iter().filter(|(bound, _)| bound.is_finite()) {
            highest = highest.max(*within);
            let bound = format!("{bound:?}");
            let labels = [labels, &[("le", bound.as_str())]].concat();
            self.line(&format!("{name}_bucket"), &labels, highest as f64);
        }
        let all = highest.max(count) as f64;
        self.line(&format!("{name}_bucket"), &[labels, &[("le", "+Inf")]].concat(), all);
        self.line(&format!("{name}_sum"), labels, sum);
        self.line(&format!("{name}_count"), labels, all);
        self.name = name;
    }

    /// The page; `# EOF` ends OpenMetrics and is a comment to others.
    pub(super) fn finish(mut self) -> String {
        self.text += "# EOF\n";
        self.text
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text += name;
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let text = text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            // Writing to a string does not fail.
            let _ = write!(self.text, "{before}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let value = if value.is_nan() {
            "NaN".to_owned()
        } else if value.is_infinite() {
            if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
        } else {
            value.to_string()
        };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialects_differ_in_the_family_of_a_counter_alone() {
        let text = |dialect| {
            let mut page = Page::new(dialect);
            page.family("requests", Kind::Counter, "Requests.");
            page.sample(&[("code", "2xx"), ("by", "a\"b\\c\nd")], 3.0);
            page.family("duration_seconds", Kind::Histogram, "Time.");
            page.histogram(&[], &[(0.005, 2), (1.0, 1), (f64::INFINITY, 9)], 0.25, 3);
            page.finish()
        };
        let open = concat!(
            "# HELP requests Requests.\n",
            "# TYPE requests counter\n",
            "requests_total{code=\"2xx\",by=\"a\\\"b\\\\c\\nd\"} 3\n",
            "# HELP duration_seconds Time.\n",
            "# TYPE duration_seconds histogram\n",
            "duration_seconds_bucket{le=\"0.005\"} 2\n",
            "duration_seconds_bucket{le=\"1.0\"} 2\n",
            "duration_seconds_bucket{le=\"+Inf\"} 3\n",
            "duration_seconds_sum 0.25\n",
            "duration_seconds_count 3\n",
            "# EOF\n",
        );
        assert_eq!(text(Dialect::OpenMetrics), open);
        let prometheus = open
            .replace("HELP requests", "HELP requests_total")
            .replace("TYPE requests", "TYPE requests_total");
        assert_eq!(text(Dialect::Prometheus), prometheus);
    }
}
