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
