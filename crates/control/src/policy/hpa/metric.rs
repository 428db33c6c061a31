//! One metric of autoscaling/v2: as a manifest writes it, and ready for use.

use serde::Deserialize;

use super::quantity::Quantity;
use crate::decision::Text;

/// What a metric is compared with, in thousandths of its unit except for percentages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Percent of what was requested.
    Utilization(i64),
    /// So much per pod.
    AverageValue(i64),
    /// So much in all.
    Value(i64),
}

impl Target {
    /// As shown beside a value.
    pub(super) fn shown(self) -> f64 {
        match self {
            Self::Utilization(percent) => percent as f64,
            Self::AverageValue(milli) | Self::Value(milli) => milli as f64 / 1e3,
        }
    }

    /// What a pod with this request counts as on a scale-down when its metric is missing: all
    /// of the request, more if the target is above it; or exactly the target.
    pub(super) fn fallback(self, request: i64) -> i64 {
        match self {
            Self::Utilization(percent) => {
                let used = i128::from(request) * i128::from(percent.max(100)) / 100;
                i64::try_from(used).unwrap_or(i64::MAX)
            }
            Self::AverageValue(milli) | Self::Value(milli) => milli,
        }
    }
}

/// Kinds of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum TargetKind {
    /// Percent of what was requested.
    Utilization,
    /// So much per pod.
    AverageValue,
    /// So much in all.
    Value,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetSpec {
    #[serde(rename = "type")]
    kind: Option<TargetKind>,
    #[serde(alias = "averageUtilization")]
    average_utilization: Option<u32>,
    #[serde(alias = "averageValue")]
    average_value: Option<Quantity>,
    value: Option<Quantity>,
}

impl TargetSpec {
    fn resolve(self) -> Result<Target, String> {
        let target = match (self.average_utilization, self.average_value, self.value) {
            (Some(percent), None, None) => Target::Utilization(percent.into()),
            (None, Some(each), None) => Target::AverageValue(each.0),
            (None, None, Some(all)) => Target::Value(all.0),
            _ => return Err("a target needs exactly one of average_utilization, average_value, value".into()),
        };
        let fits = match (self.kind, target) {
            (None, _)
            | (Some(TargetKind::Utilization), Target::Utilization(_))
            | (Some(TargetKind::AverageValue), Target::AverageValue(_))
            | (Some(TargetKind::Value), Target::Value(_)) => true,
            (Some(_), _) => false,
        };
        if !fits {
            return Err("the type of a target and its value do not fit together".to_owned());
        }
        if target.shown() <= 0.0 {
            return Err("a target must be above 0".to_owned());
        }
        Ok(target)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricSpec {
    #[serde(rename = "type")]
    kind: MetricKind,
    resource: Option<ResourceSpec>,
    #[serde(alias = "containerResource")]
    container_resource: Option<ResourceSpec>,
    pods: Option<NamedSpec>,
    object: Option<NamedSpec>,
    external: Option<NamedSpec>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum MetricKind {
    Resource,
    ContainerResource,
    Pods,
    Object,
    External,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceSpec {
    name: String,
    container: Option<String>,
    target: TargetSpec,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedSpec {
    metric: Name,
    target: TargetSpec,
    /// Which object or series is meant is settled where the reading is made.
    #[serde(alias = "describedObject")]
    #[expect(dead_code, reason = "accepted because manifests must have it; readings come by name here")]
    described_object: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
    #[expect(dead_code, reason = "accepted because manifests may have it; readings come by name here")]
    selector: Option<serde_json::Value>,
}

/// Where a metric comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Resource { name: String, container: Option<String> },
    Pods { name: String },
    Object { name: String },
    External { name: String },
}

/// A metric, ready for use.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    pub(super) source: Source,
    pub(super) target: Target,
    /// Kubernetes' word for not getting it.
    pub(super) failure: &'static str,
    pub(super) signal: Text,
    pub(super) no_reading: Text,
    pub(super) phrases: Phrases,
    /// What stands in for it at a worker that does not list it.
    pub(super) own: Own,
    /// CPU, of whichever container: it does not count while a worker begins.
    pub(super) is_cpu: bool,
}

/// A worker's own figures, by their names in Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Cpu,
    Memory,
    InFlight,
    None,
}

impl Own {
    fn of(source: &Source) -> Self {
        match source {
            Source::Resource { name, container: None } if name == "cpu" => Self::Cpu,
            Source::Resource { name, container: None } if name == "memory" => Self::Memory,
            Source::Pods { name } if name == "in_flight" => Self::InFlight,
            _ => Self::None,
        }
    }
}

/// Its sentences, made when the policy is built.
#[derive(Clone, Debug)]
pub(super) struct Phrases {
    pub(super) within: Text,
    pub(super) product: Text,
    /// The same two where workers that are missing or not ready count.
    pub(super) within_all: Text,
    pub(super) product_all: Text,
    pub(super) reversed: Text,
    pub(super) raw: Text,
    pub(super) flip_up: Text,
    pub(super) flip_down: Text,
}

impl Metric {
    pub(super) fn new(source: Source, target: Target, failure: &'static str) -> Self {
        let name = match &source {
            Source::Resource { name, container: Some(container) } => format!("{name} of {container}"),
            Source::Resource { name, .. }
            | Source::Pods { name }
            | Source::Object { name }
            | Source::External { name } => name.clone(),
        };
        let unit = if matches!(target, Target::Utilization(_)) { " %" } else { "" };
        let of = format!("{name} {{value}}{unit} / target {{target}}{unit}");
        let line = |word: &str| -> Text {
            format!("{word} {{line}}{unit} it would be {{replicas}}; {name} was {{value}}{unit}").into()
        };
        let all = format!("{of}: with {{missing}} missing and {{unready}} unready workers counted");
        let phrases = Phrases {
            within_all: format!("{all} {{ratio}}, within the tolerance").into(),
            product_all: format!("{all} {{ratio}} × {{counted}} = {{product}} → {{replicas}}").into(),
            within: format!("{of} = {{ratio}}, within the tolerance").into(),
            product: format!("{of} = {{ratio}} × {{counted}} = {{product}} → {{replicas}}").into(),
            reversed: format!("{all} it would turn around").into(),
            raw: format!("{of} × workers ready = {{raw}}").into(),
            flip_up: line("from"),
            flip_down: line("up to"),
        };
        let signal =
            if name == "cpu" && unit == " %" { "worker_cpu".into() } else { Text::from(name.clone()) };
        let no_reading = format!("no reading of {name}: nothing is changed").into();
        let own = Own::of(&source);
        let is_cpu = matches!(&source, Source::Resource { name, .. } if name == "cpu");
        Self { source, target, failure, signal, no_reading, phrases, own, is_cpu }
    }

    pub(super) fn unit(&self) -> &'static str {
        if matches!(self.target, Target::Utilization(_)) { "%" } else { "" }
    }
}

impl MetricSpec {
    pub(super) fn resolve(&self) -> Result<Metric, String> {
        let lacks = |what: &str| format!("a metric of type {:?} needs `{what}`", self.kind);
        let named = |spec: &Option<NamedSpec>, what: &str| spec.clone().ok_or_else(|| lacks(what));
        let (source, target, failure) = match self.kind {
            MetricKind::Resource => {
                let spec = self.resource.clone().ok_or_else(|| lacks("resource"))?;
                (
                    Source::Resource { name: spec.name, container: None },
                    spec.target,
                    "FailedGetResourceMetric",
                )
            }
            MetricKind::ContainerResource => {
                let spec = self.container_resource.clone().ok_or_else(|| lacks("container_resource"))?;
                let container = Some(spec.container.ok_or_else(|| lacks("container"))?);
                let source = Source::Resource { name: spec.name, container };
                (source, spec.target, "FailedGetContainerResourceMetric")
            }
            MetricKind::Pods => {
                let spec = named(&self.pods, "pods")?;
                (Source::Pods { name: spec.metric.name }, spec.target, "FailedGetPodsMetric")
            }
            MetricKind::Object => {
                let spec = named(&self.object, "object")?;
                (Source::Object { name: spec.metric.name }, spec.target, "FailedGetObjectMetric")
            }
            MetricKind::External => {
                let spec = named(&self.external, "external")?;
                (Source::External { name: spec.metric.name }, spec.target, "FailedGetExternalMetric")
            }
        };
        let target = target.resolve()?;
        let allowed = match (&source, target) {
            (Source::Resource { .. }, Target::Value(_)) => false,
            (Source::Pods { .. }, target) => matches!(target, Target::AverageValue(_)),
            (Source::Object { .. } | Source::External { .. }, target) => {
                !matches!(target, Target::Utilization(_))
            }
            _ => true,
        };
        if !allowed {
            return Err(format!("a metric of type {:?} has no such kind of target", self.kind));
        }
        Ok(Metric::new(source, target, failure))
    }
}
