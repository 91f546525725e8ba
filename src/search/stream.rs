//! Random streams that depend on a seed and a trial number only.
//!
//! Every trial number has a generator of its own, so what one worker draws never shifts what another draws, and a
//! restart at number n needs none of the draws before it. The mixing below and PCG 64 are part of the file format in
//! spirit: changing either changes every saved search, and the golden tests fail.

use rand::Rng;
use rand_pcg::Pcg64;

/// What a stream is for, so that two uses of one trial number share no draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The coordinates of a random point; strategies add the attempt.
    Point = 1,
    /// The place where a walk over a nearly used-up space begins.
    Walk = 2,
    /// Scrambles of a quasi-random sequence.
    Scramble = 3,
    /// The choices of a model-based strategy.
    Model = 4,
    /// Which epochs to train next.
    Fidelity = 20,
}

/// Returns the generator for one trial number and attempt.
///
/// Four words `a = f(seed)`, `b = f(a ^ number)`, `c = f(b ^ purpose)`, `d = f(c ^ attempt)`, `f` being one step of
/// SplitMix64, give PCG 64 the state `c·2^64 + d` and the stream `a·2^64 + b`.
pub fn stream(seed: u64, number: u64, purpose: Purpose, attempt: u64) -> Pcg64 {
    let a = mix(seed);
    let b = mix(a ^ number);
    let c = mix(b ^ purpose as u64);
    let d = mix(c ^ attempt);
    Pcg64::new(wide(c, d), wide(a, b))
}

/// Returns one step of SplitMix64: a bijection of 64 bits in which every input bit reaches every output bit.
pub fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns the next uniform number in [0, 1), a multiple of 2^-53.
pub fn unit(generator: &mut Pcg64) -> f64 {
    (generator.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Returns a uniform whole number below `bound`, which must not be zero.
///
/// Multiplies instead of rejecting, so one draw is always enough; the bias is below `bound / 2^64`.
pub fn below(generator: &mut Pcg64, bound: u64) -> u64 {
    ((u128::from(generator.next_u64()) * u128::from(bound)) >> 64) as u64
}

/// Returns the next standard normal number (Box and Muller, one of the pair).
pub fn normal(generator: &mut Pcg64) -> f64 {
    let radius = (-2.0 * (1.0 - unit(generator)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(generator)).cos()
}

fn wide(high: u64, low: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_pinned() {
        let mut one = stream(42, 0, Purpose::Point, 0);
        let mut two = stream(42, 1, Purpose::Point, 0);
        let drawn =
            [&mut one, &mut two].map(|generator| [generator.next_u64(), generator.next_u64()]);
        assert_eq!(drawn, PINNED);
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf, "the published first output of SplitMix64");
    }

    const PINNED: [[u64; 2]; 2] = [
        [198_257_800_889_750_714, 14_959_565_671_554_486_625],
        [15_622_640_805_982_278_633, 10_913_394_284_118_921_393],
    ];

    #[test]
    fn draws_stay_in_range_and_are_even() {
        let mut generator = stream(1, 2, Purpose::Model, 3);
        let mut sum = 0.0;
        for _ in 0..10_000 {
            let u = unit(&mut generator);
            assert!((0.0..1.0).contains(&u));
            assert!(below(&mut generator, 7) < 7);
            sum += u;
        }
        assert!((sum / 10_000.0 - 0.5).abs() < 0.02);
        let square: f64 = (0..10_000).map(|_| normal(&mut generator).powi(2)).sum();
        assert!((square / 10_000.0 - 1.0).abs() < 0.06);
    }
}
