//! A run as a picture: load, supply and what was missing, in a few hundred columns however long
//! the run is.

use crate::load::Load;
use crate::number::{ROUNDING, count, index, seconds};
use crate::tally::Stretch;

/// Load and supply over the scored time, summed up in columns of equal width.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// When the first column begins, in seconds.
    pub from_s: f64,
    /// Width of a column, in seconds.
    pub step_s: f64,
    /// From left to right.
    pub columns: Vec<Column>,
    from_ms: u64,
    step_ms: u64,
}

/// One column: sums over the time in it that was scored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Column {
    /// Time with a reading, in seconds; 0 in a gap.
    pub present_s: f64,
    /// Load that came in, in worker-seconds.
    pub load: f64,
    /// Highest load, in workers.
    pub load_max: f64,
    /// Time of ready workers, in worker-seconds.
    pub ready: f64,
    /// Time with more load than workers for it, in seconds.
    pub violation_s: f64,
    /// Load beyond what the ready workers carry, in worker-seconds.
    pub late: f64,
    /// Paid for, in worker-seconds.
    pub billed: f64,
}

impl Column {
    /// Mean of a sum over the column; `None` in a gap.
    pub fn mean(&self, sum: f64) -> Option<f64> {
        (self.present_s > 0.0).then(|| sum / self.present_s)
    }
}

impl Curve {
    /// An empty picture of the scored time of `load`, `columns` wide; fewer where a column would
    /// be shorter than a millisecond.
    pub(crate) fn new(load: &Load, columns: usize) -> Self {
        let from_ms = load.scored_from_ms();
        let length_ms = load.length_ms() - from_ms;
        let step_ms = length_ms.div_ceil(columns.max(1) as u64).max(1);
        let columns = vec![Column::default(); index(length_ms.div_ceil(step_ms))];
        Self { from_s: seconds(from_ms), step_s: seconds(step_ms), columns, from_ms, step_ms }
    }

    /// Enters what was paid for at this time although no pool kept it.
    pub(crate) fn bill(&mut self, at_ms: u64, paid: f64) {
        let place = at_ms.saturating_sub(self.from_ms) / self.step_ms;
        if let Some(column) = self.columns.get_mut(index(place)) {
            column.billed += paid;
        }
    }

    /// Enters a stretch of constant load and supply.
    pub(crate) fn enter(&mut self, stretch: &Stretch) {
        let Stretch { from_ms, length_s, load, ready, existing, .. } = *stretch;
        let (mut at_ms, end_ms) = (from_ms.max(self.from_ms), from_ms + count(length_s * 1e3));
        while at_ms < end_ms {
            let place = (at_ms - self.from_ms) / self.step_ms;
            let until_ms = (self.from_ms + (place + 1) * self.step_ms).min(end_ms);
            let Some(column) = self.columns.get_mut(index(place)) else { return };
            let length_s = seconds(until_ms - at_ms);
            column.present_s += length_s;
            column.load += load * length_s;
            column.load_max = column.load_max.max(load);
            column.ready += ready * length_s;
            column.billed += existing * length_s;
            if load - ready > ROUNDING {
                column.violation_s += length_s;
                column.late += (load - ready) * length_s;
            }
            at_ms = until_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::trace::{Told, Trace};

    #[test]
    fn a_stretch_is_shared_out_between_columns() {
        let rows: String = (0..100).map(|at| format!("{},1\n", at * 60)).collect();
        let trace = Trace::read("made_up", &format!("time_s,value\n{rows}"), &Told::default()).unwrap();
        let load = Load::new(&trace, &Scenario::default()).unwrap();
        let mut curve = Curve::new(&load, 7);
        assert_eq!((curve.from_s, curve.step_s, curve.columns.len()), (1_800.0, 600.0, 7));
        let stretch = |from_ms, length_s, load, ready| Stretch {
            from_ms,
            length_s,
            load,
            demand: load,
            ready,
            existing: ready,
        };
        curve.enter(&stretch(0, 6_000.0, 3.0, 2.0));
        assert!((curve.columns[0].late - 600.0).abs() < 1e-9);
        assert!(curve.columns.iter().all(|column| column.mean(column.load) == Some(3.0)));
        assert!(curve.columns.iter().all(|column| (column.violation_s - 600.0).abs() < 1e-9));
        curve.enter(&stretch(2_400_000, 300.0, 5.0, 6.0));
        assert_eq!((curve.columns[1].present_s, curve.columns[1].load_max), (900.0, 5.0));
        assert!((curve.columns[2].load_max - 3.0).abs() < 1e-9);
    }
}
