//! What slices come to: medians, and ratios of pairs from the same round.

use std::collections::BTreeMap;

use crate::scene::Scene;
use crate::slice::Slice;

/// Every slice, by scene, variant and round.
#[derive(Default)]
pub(crate) struct Slices(BTreeMap<(Scene, String), Vec<Slice>>);

impl Slices {
    /// One more round of this scene at that variant.
    pub(crate) fn add(&mut self, scene: Scene, variant: &str, slice: Slice) {
        self.0.entry((scene, variant.to_owned())).or_default().push(slice);
    }

    pub(crate) fn of(&self, scene: Scene, variant: &str) -> &[Slice] {
        self.0.get(&(scene, variant.to_owned())).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn median(&self, scene: Scene, variant: &str, what: What) -> Option<f64> {
        median_of(self.of(scene, variant), what)
    }

    pub(crate) fn ratio(&self, scene: Scene, variant: &str, to: &str, what: What) -> Option<f64> {
        ratio_of(self.of(scene, variant), self.of(scene, to), what)
    }

    /// How many slices of all were noisy.
    pub(crate) fn noisy(&self) -> (usize, usize) {
        let all = || self.0.values().flatten();
        (all().filter(|slice| slice.is_noisy()).count(), all().count())
    }
}

/// Which of the figures of a slice.
pub(crate) type What = fn(&Slice) -> f64;

/// The median over the rounds that were quiet, or over all if most were noisy.
pub(crate) fn median_of(slices: &[Slice], what: What) -> Option<f64> {
    let quiet: Vec<&Slice> = slices.iter().filter(|slice| !slice.is_noisy()).collect();
    let counted = if quiet.len() * 2 >= slices.len() { quiet } else { slices.iter().collect() };
    median(counted.into_iter().map(what).collect())
}

/// The median of the ratio of two slices of the same round.
pub(crate) fn ratio_of(one: &[Slice], other: &[Slice], what: What) -> Option<f64> {
    let pairs: Vec<(&Slice, &Slice)> = one.iter().zip(other).collect();
    let is_quiet = |pair: &(&Slice, &Slice)| !pair.0.is_noisy() && !pair.1.is_noisy();
    let quiet: Vec<_> = pairs.iter().copied().filter(is_quiet).collect();
    let counted = if quiet.len() * 2 >= pairs.len() { quiet } else { pairs };
    let ratios = counted.into_iter().map(|(one, other)| what(one) / what(other));
    median(ratios.filter(|ratio| ratio.is_finite()).collect())
}

pub(crate) fn median(mut of: Vec<f64>) -> Option<f64> {
    of.sort_by(f64::total_cmp);
    let middle = of.len() / 2;
    match of.len() {
        0 => None,
        even if even % 2 == 0 => Some((of[middle - 1] + of[middle]) / 2.0),
        _ => Some(of[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(server: f64, strangers: f64) -> Slice {
        let zero = 0.0;
        Slice {
            server,
            strangers,
            redis: zero,
            rate: zero,
            p50: zero,
            p99: zero,
            p999: zero,
            bytes: zero,
            failures: 0,
        }
    }

    fn slices(one: &[(f64, f64)], other: &[(f64, f64)]) -> Slices {
        let mut slices = Slices::default();
        for (name, all) in [("one", one), ("other", other)] {
            all.iter().for_each(|(server, by)| slices.add(Scene::Read, name, slice(*server, *by)));
        }
        slices
    }

    #[test]
    fn a_ratio_is_of_slices_of_the_same_round_so_that_drift_cancels() {
        let slices = slices(
            &[(10.0, 0.0), (20.0, 0.0), (40.0, 0.0)],
            &[(5.0, 0.0), (10.0, 0.0), (20.0, 0.0)],
        );
        assert_eq!(slices.ratio(Scene::Read, "one", "other", |slice| slice.server), Some(2.0));
        assert_eq!(slices.ratio(Scene::Read, "one", "none", |slice| slice.server), None);
    }

    #[test]
    fn noisy_slices_count_only_where_most_are_noisy() {
        let few = slices(&[(1.0, 0.0), (9.0, 0.5), (2.0, 0.0), (3.0, 0.0)], &[]);
        assert_eq!(few.median(Scene::Read, "one", |slice| slice.server), Some(2.0));
        assert_eq!(few.noisy(), (1, 4));
        let most = slices(&[(1.0, 0.0), (9.0, 0.5), (8.0, 0.5)], &[]);
        assert_eq!(most.median(Scene::Read, "one", |slice| slice.server), Some(8.0));
    }
}
