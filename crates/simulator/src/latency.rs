//! Response times of a fluid: a mixture over all stretches of time, read as quantiles.

/// Parts of an octave: values in one bin differ by less than 4 %.
const PARTS_BITS: u32 = 5;
/// Smallest response told apart, as an exponent of 2: a microsecond.
const OCTAVE_MIN: i32 = -20;
/// Octaves told apart: up to four hours.
const OCTAVES: usize = 34;
/// Bits behind the part of a float that a bin is told by.
const CUT: u32 = 52 - PARTS_BITS;
const BINS: usize = OCTAVES << PARTS_BITS;

/// Requests by response time. A request that meets no queue takes an exponential time around
/// the mean of its stretch (M/G/1 with processor sharing, of which this is the usual
/// approximation); one that waits takes its wait and little else.
#[derive(Clone, Debug)]
pub(crate) struct Responses {
    shared: Vec<f64>,
    waited: Vec<f64>,
}

impl Default for Responses {
    fn default() -> Self {
        Self { shared: vec![0.0; BINS], waited: vec![0.0; BINS] }
    }
}

impl Responses {
    /// Requests of a stretch in which the mean response was `mean_s`.
    pub(crate) fn shared(&mut self, mean_s: f64, requests: f64) {
        self.shared[bin(mean_s)] += requests;
    }

    /// Requests that waited, and took `response_s` in all.
    pub(crate) fn waited(&mut self, response_s: f64, requests: f64) {
        self.waited[bin(response_s)] += requests;
    }

    /// The response within which this share of the requests stayed; `None` without requests.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let total: f64 = self.shared.iter().chain(&self.waited).sum();
        if total <= 0.0 {
            return None;
        }
        let wanted = total * (1.0 - share);
        let used = |bins: &[f64]| -> Vec<(f64, f64)> {
            let used = bins.iter().enumerate().filter(|(_, requests)| **requests > 0.0);
            used.map(|(at, requests)| (value(at), *requests)).collect()
        };
        let (shared, waited) = (used(&self.shared), used(&self.waited));
        let (mut low, mut high) = (value(0), value(BINS - 1) * 1e2);
        // Halving the ratio 50 times leaves nothing that a person would see.
        for _ in 0..50 {
            let middle = (low * high).sqrt();
            if beyond(&shared, &waited, middle) > wanted { low = middle } else { high = middle }
        }
        Some((low * high).sqrt())
    }
}

/// Requests that took longer, of those by mean response and those by response.
fn beyond(shared: &[(f64, f64)], waited: &[(f64, f64)], response_s: f64) -> f64 {
    let shared: f64 = shared.iter().map(|(mean_s, requests)| requests * (-response_s / mean_s).exp()).sum();
    let longer = waited.iter().filter(|(took_s, _)| *took_s > response_s);
    shared + longer.map(|(_, requests)| requests).sum::<f64>()
}

/// A float's leading bits are a logarithm that costs nothing.
fn bin(value: f64) -> usize {
    let first = (1023 + i64::from(OCTAVE_MIN)) << PARTS_BITS;
    let place = i64::try_from(value.to_bits() >> CUT).unwrap_or(0) - first;
    usize::try_from(place).unwrap_or(0).min(BINS - 1)
}

/// The middle of a bin.
fn value(bin: usize) -> f64 {
    let first =
        u64::try_from(1023 + OCTAVE_MIN).expect("the exponent is a small positive number") << PARTS_BITS;
    f64::from_bits(((first + bin as u64) << CUT) + (1 << (CUT - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_narrow() {
        for value_s in [1e-5, 0.1, 0.099, 1.0, 7.3, 600.0] {
            assert!((value(bin(value_s)) / value_s - 1.0).abs() < 0.02, "{value_s}");
        }
        assert_eq!((bin(0.0), bin(1e9)), (0, BINS - 1));
    }

    #[test]
    fn one_stretch_is_exponential() {
        let mut responses = Responses::default();
        assert_eq!(responses.quantile(0.5), None);
        responses.shared(0.4, 1_000.0);
        let p99 = responses.quantile(0.99).unwrap();
        assert!((p99 / (0.4 * 100_f64.ln()) - 1.0).abs() < 0.02, "{p99}");
        responses.waited(5.0, 100.0);
        assert!((responses.quantile(0.99).unwrap() / 5.0 - 1.0).abs() < 0.02);
    }
}
