//! How much a learned half hour says about another one: two tables of 48 shares, indexed by how many half hours later the other one is.

/// Half hours in a day.
pub(super) const HALF_HOURS: usize = 48;

/// Von Mises with κ = 6.5, about a normal with a standard deviation of 1.5 h: exp(κ (cos θ − 1)), scaled to a sum of one.
const NEAR: [f32; HALF_HOURS] = [
    0.13037, 0.12332, 0.10447, 0.07949, 0.05457, 0.03403, 0.01942, 0.01025, 0.00505, 0.00236, 0.00105, 0.00046, 0.00020, 0.00008, 0.00004,
    0.00002, 0.00001, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000,
    0.00000, 0.00000, 0.00001, 0.00002, 0.00004, 0.00008, 0.00020, 0.00046, 0.00105, 0.00236, 0.00505, 0.01025, 0.01942, 0.03403, 0.05457,
    0.07949, 0.10447, 0.12332,
];

/// [`NEAR`], moved 8 to 12 hours later with equal shares: where somebody is active who waits until the subject has gone.
const LATER: [f32; HALF_HOURS] = [
    0.00000, 0.00000, 0.00001, 0.00002, 0.00004, 0.00009, 0.00021, 0.00047, 0.00103, 0.00217, 0.00432, 0.00810, 0.01415, 0.02296, 0.03452,
    0.04811, 0.06233, 0.07547, 0.08594, 0.09261, 0.09489, 0.09261, 0.08594, 0.07547, 0.06233, 0.04811, 0.03452, 0.02296, 0.01415, 0.00810,
    0.00432, 0.00217, 0.00103, 0.00047, 0.00021, 0.00009, 0.00004, 0.00002, 0.00001, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000,
    0.00000, 0.00000, 0.00000,
];

/// [`NEAR`] as [`smoothed`] reads it.
pub(super) static NEAR_RING: Ring = Ring::of(&NEAR);
/// [`LATER`] as [`smoothed`] reads it.
pub(super) static LATER_RING: Ring = Ring::of(&LATER);

/// A kernel twice over and backwards, so that the shares of all learned half hours lie side by side wherever one begins.
pub(super) struct Ring([f32; 2 * HALF_HOURS]);

impl Ring {
    #[expect(clippy::indexing_slicing, reason = "built by the compiler, which would refuse to")]
    const fn of(kernel: &[f32; HALF_HOURS]) -> Self {
        let mut ring = [0.0; 2 * HALF_HOURS];
        let mut i = 0;
        while i < 2 * HALF_HOURS {
            ring[i] = kernel[(2 * HALF_HOURS - i) % HALF_HOURS];
            i += 1;
        }
        Self(ring)
    }
}

/// What learned weights say, through a kernel, about one half hour of the day. Summed in eight lanes of single precision, which a processor adds at once.
pub(super) fn smoothed(weights: &[f32; HALF_HOURS], Ring(shares): &Ring, half_hour: usize) -> f64 {
    let shares = shares.get(HALF_HOURS - half_hour % HALF_HOURS..).unwrap_or(&[]);
    let mut lanes = [0.0_f32; 8];
    for (weights, shares) in weights.as_chunks::<8>().0.iter().zip(shares.as_chunks::<8>().0) {
        for ((lane, weight), share) in lanes.iter_mut().zip(weights).zip(shares) {
            *lane += weight * share;
        }
    }
    f64::from(lanes.iter().sum::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_the_formula() {
        let steps = |n: usize| f64::from(u32::try_from(n).unwrap()) * std::f64::consts::TAU / 48.0;
        let near: Vec<f64> = (0..HALF_HOURS).map(|n| libm::exp(6.5 * (libm::cos(steps(n)) - 1.0))).collect();
        let sum: f64 = near.iter().sum();
        for n in 0..HALF_HOURS {
            let later: f64 = (16..=24).map(|shift| near[(n + HALF_HOURS - shift) % HALF_HOURS] / 9.0).sum();
            assert!((f64::from(NEAR[n]) - near[n] / sum).abs() < 6e-6 && (f64::from(LATER[n]) - later / sum).abs() < 6e-6, "{n}");
        }
    }

    #[test]
    fn a_kernel_is_read_from_the_learned_hour_on() {
        for (learned, asked) in (0..HALF_HOURS).flat_map(|learned| (0..HALF_HOURS).map(move |asked| (learned, asked))) {
            let mut weights = [0.0; HALF_HOURS];
            weights[learned] = 2.0;
            let expected = 2.0 * f64::from(LATER[(asked + HALF_HOURS - learned) % HALF_HOURS]);
            assert!((smoothed(&weights, &LATER_RING, asked) - expected).abs() < 1e-12, "{learned} {asked}");
        }
    }
}
