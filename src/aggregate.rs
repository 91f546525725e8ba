//! Statistics over seeds: of a metric at each step, and of the values a config's runs ended with.
//!
//! Everything but the two readers is a pure function. NaN points are left out as if they were not there, so `n` says how
//! many seeds a statistic is of; infinities count. Seeds of different lengths or with different steps are fine: at each step
//! the statistics are of the seeds that have a point there (of several at one step, the last).

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::error::{Error, Result};
use crate::id::RunId;
use crate::metric::{self, Series};
use crate::store::{Pool, ReadTx};

/// How often seeds are drawn again for an interval.
const RESAMPLES: usize = 2_000;
/// With more values than this the mean is normal, and so is its interval.
const BOOTSTRAP_MAX: usize = 2_000;

/// What the values of a config's runs come to. All but `n` are NaN when there is no value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Finite values; others are left out.
    pub n: usize,
    /// Mean.
    pub mean: f64,
    /// Population standard deviation, as numpy's default.
    pub std: f64,
    /// Lower end of the 95 % bootstrap interval of the mean.
    pub low95: f64,
    /// Its upper end.
    pub high95: f64,
    /// Interquartile mean: without a quarter (rounded down) of the values at each end.
    pub iqm: f64,
    /// Median.
    pub median: f64,
}

/// A metric over seeds, by step; all columns are as long as `steps`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OverSeeds {
    /// Steps at which any seed has a point, ascending.
    pub steps: Vec<i64>,
    /// Seeds with a number there. Where there is none the other columns are NaN.
    pub n: Vec<u32>,
    /// Mean.
    pub mean: Vec<f64>,
    /// Population standard deviation.
    pub std: Vec<f64>,
    /// Least.
    pub min: Vec<f64>,
    /// Largest.
    pub max: Vec<f64>,
    /// Interquartile mean.
    pub iqm: Vec<f64>,
    /// 10th percentile, linear between neighbours as numpy's default.
    pub p10: Vec<f64>,
    /// 25th percentile.
    pub p25: Vec<f64>,
    /// Median.
    pub p50: Vec<f64>,
    /// 75th percentile.
    pub p75: Vec<f64>,
    /// 90th percentile.
    pub p90: Vec<f64>,
}

/// Returns what some runs' values come to.
///
/// The interval is of the percentile method over 2,000 resamples of the runs; the same values give the same interval, in
/// whatever order they come. With one value it is that value; with more than 2,000, where resampling shows nothing else,
/// it is that of the normal distribution.
///
/// # Source
/// Interval and IQM as in Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice" (rliable: `trim_mean` 0.25).
pub fn score(values: &[f64]) -> Score {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    let mean = mean_of(&sorted);
    let variance = sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n as f64;
    let (low95, high95) = match n {
        0..=BOOTSTRAP_MAX => bootstrap(&sorted),
        _ => {
            let half = NORMAL_975 * (variance / n as f64).sqrt();
            (mean - half, mean + half)
        }
    };
    Score {
        n,
        mean,
        std: variance.sqrt(),
        low95,
        high95,
        iqm: mean_of(&sorted[n / 4..n - n / 4]),
        median: quantile(n, 0.5, |i| sorted[i]),
    }
}

/// The quantile 0.975 of the normal distribution.
const NORMAL_975: f64 = 1.959_963_984_540_054;

fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn bootstrap(sorted: &[f64]) -> (f64, f64) {
    match sorted {
        [] => return (f64::NAN, f64::NAN),
        [value] => return (*value, *value),
        _ => {}
    }
    // FNV-1a of the values: other data, other draws, and no state kept anywhere.
    let seed = sorted.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, value| {
        (hash ^ value.to_bits()).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut random = Pcg64::seed_from_u64(seed);
    let n = sorted.len();
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut sum = 0.0;
            for _ in 0..n {
                let place = (u128::from(random.next_u64()) * n as u128) >> 64;
                sum += sorted[place as usize];
            }
            sum / n as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    (quantile(RESAMPLES, 0.025, |i| means[i]), quantile(RESAMPLES, 0.975, |i| means[i]))
}

/// Linear between the two nearest of `n` ascending values, with numpy's rounding.
pub(crate) fn quantile(n: usize, q: f64, sorted: impl Fn(usize) -> f64) -> f64 {
    if n == 0 {
        return f64::NAN;
    }
    let at = q * (n - 1) as f64;
    let low = at as usize;
    let (a, b, t) = (sorted(low), sorted((low + 1).min(n - 1)), at - low as f64);
    if a == b || t == 0.0 {
        a
    } else if t >= 0.5 {
        b - (b - a) * (1.0 - t)
    } else {
        a + (b - a) * t
    }
}

/// Returns a metric's statistics over runs, by step. Runs without it have no points.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn over_seeds(tx: &ReadTx<'_>, runs: &[RunId], metric: &str) -> Result<OverSeeds> {
    let series: Vec<Series> = runs
        .iter()
        .map(|run| Ok(metric::series(tx, *run, metric)?.unwrap_or_default()))
        .collect::<Result<_>>()?;
    Ok(aggregate(&series))
}

/// As [`over_seeds`] of several metrics, read by several threads with a connection each.
///
/// Each series is read in a snapshot of its own: a run that is being logged may be a few updates longer in one metric than
/// in another.
///
/// # Errors
/// [`Error::Sqlite`]; [`Error::Failed`] when a connection cannot be had.
pub fn over_seeds_of_metrics(
    pool: &Pool,
    runs: &[RunId],
    metrics: &[&str],
    threads: usize,
) -> Result<Vec<OverSeeds>> {
    let jobs: Vec<(usize, RunId)> =
        (0..metrics.len()).flat_map(|metric| runs.iter().map(move |run| (metric, *run))).collect();
    let read: Vec<Mutex<Series>> = jobs.iter().map(|_| Mutex::default()).collect();
    side_by_side(threads, jobs.len(), |next| {
        let store = pool.store()?;
        while let Some(job) = next() {
            let (metric, run) = jobs[job];
            let series = store.read(|tx| metric::series(tx, run, metrics[metric]))?;
            *read[job].lock().map_err(|_| panicked())? = series.unwrap_or_default();
        }
        Ok(())
    })?;
    let series: Vec<Series> = read
        .into_iter()
        .map(|series| series.into_inner().map_err(|_| panicked()))
        .collect::<Result<_>>()?;
    let done: Vec<Mutex<OverSeeds>> = metrics.iter().map(|_| Mutex::default()).collect();
    side_by_side(threads, metrics.len(), |next| {
        while let Some(metric) = next() {
            let of_metric = &series[metric * runs.len()..][..runs.len()];
            *done[metric].lock().map_err(|_| panicked())? = aggregate(of_metric);
        }
        Ok(())
    })?;
    done.into_iter().map(|over| over.into_inner().map_err(|_| panicked())).collect()
}

/// Runs `work` on several threads; `next` gives each number below `count` to one of them.
fn side_by_side(
    threads: usize,
    count: usize,
    work: impl Fn(&dyn Fn() -> Option<usize>) -> Result<()> + Sync,
) -> Result<()> {
    let taken = AtomicUsize::new(0);
    let next = || Some(taken.fetch_add(1, Ordering::Relaxed)).filter(|place| *place < count);
    std::thread::scope(|scope| {
        // Where the system gives no more threads, those there are do the work.
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, || work(&next)).ok();
        let others: Vec<_> = (1..threads.min(count)).filter_map(start).collect();
        let mine = work(&next);
        others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|_| Err(panicked())))
            .fold(mine, Result::and)
    })
}

fn panicked() -> Error {
    Error::Failed("a thread that read series panicked".into())
}

/// Returns the statistics of some seeds' series, by step.
pub fn aggregate(seeds: &[Series]) -> OverSeeds {
    let (steps, columns) = align(seeds);
    let columns: Vec<&[f64]> = columns.iter().map(AsRef::as_ref).collect();
    let mut over = OverSeeds { steps, ..OverSeeds::default() };
    let network = network(columns.len());
    let mut block = vec![[0.0; LANES]; columns.len()];
    let mut from = 0;
    while from < over.steps.len() {
        let width = LANES.min(over.steps.len() - from);
        for (row, column) in block.iter_mut().zip(&columns) {
            row[..width].copy_from_slice(&column[from..from + width]);
        }
        over.push_block(&mut block, width, &network);
        from += width;
    }
    over
}

type Columns<'a> = Vec<std::borrow::Cow<'a, [f64]>>;

/// Returns all steps, ascending, and the seeds' values at them; NaN where there is none.
fn align(seeds: &[Series]) -> (Vec<i64>, Columns<'_>) {
    let Some(first) = seeds.first() else { return (Vec::new(), Vec::new()) };
    let ascend = first.steps.windows(2).all(|pair| pair[0] < pair[1]);
    if ascend && seeds.iter().all(|seed| seed.steps == first.steps) {
        let columns = seeds.iter().map(|seed| seed.values.as_slice().into()).collect();
        return (first.steps.clone(), columns);
    }
    let mut steps: Vec<i64> = seeds.iter().flat_map(|seed| seed.steps.iter().copied()).collect();
    steps.sort_unstable();
    steps.dedup();
    let columns = seeds
        .iter()
        .map(|seed| {
            let mut column = vec![f64::NAN; steps.len()];
            let mut place = 0;
            for (step, value) in seed.steps.iter().zip(&seed.values) {
                // Steps mostly ascend, so the place is most often the next one.
                if steps.get(place) != Some(step) {
                    place = steps.partition_point(|other| other < step);
                }
                column[place] = *value;
                place += 1;
            }
            column.into()
        })
        .collect();
    (steps, columns)
}

/// So many steps are sorted side by side, which compilers turn into vector instructions.
const LANES: usize = 8;

impl OverSeeds {
    /// Adds the first `width` lanes of a block of one row a seed; the block is sorted on the way.
    fn push_block(&mut self, block: &mut [[f64; LANES]], width: usize, network: &[(usize, usize)]) {
        let (mut n, mut sum) = ([0u32; LANES], [0.0; LANES]);
        for row in block.iter() {
            for lane in 0..LANES {
                let there = !row[lane].is_nan();
                n[lane] += u32::from(there);
                sum[lane] += if there { row[lane] } else { 0.0 };
            }
        }
        let mut mean = [0.0; LANES];
        for lane in 0..LANES {
            mean[lane] = sum[lane] / f64::from(n[lane]);
        }
        let mut squares = [0.0; LANES];
        for row in block.iter_mut() {
            for lane in 0..LANES {
                let there = !row[lane].is_nan();
                let off = row[lane] - mean[lane];
                squares[lane] += if there { off * off } else { 0.0 };
                // What is not there goes to the end, past the `n` that are read.
                row[lane] = if there { row[lane] } else { f64::INFINITY };
            }
        }
        for (low, high) in network {
            let (a, b) = (block[*low], block[*high]);
            for lane in 0..LANES {
                block[*low][lane] = if a[lane] < b[lane] { a[lane] } else { b[lane] };
                block[*high][lane] = if a[lane] < b[lane] { b[lane] } else { a[lane] };
            }
        }
        for lane in 0..width {
            let count = n[lane] as usize;
            let sorted = |place: usize| block[place][lane];
            let middle = count / 4..count - count / 4;
            let of_middle = (middle.end - middle.start) as f64;
            self.n.push(n[lane]);
            self.mean.push(mean[lane]);
            self.std.push((squares[lane] / f64::from(n[lane])).sqrt());
            self.min.push(quantile(count, 0.0, sorted));
            self.max.push(quantile(count, 1.0, sorted));
            self.iqm.push(middle.map(sorted).sum::<f64>() / of_middle);
            self.p10.push(quantile(count, 0.1, sorted));
            self.p25.push(quantile(count, 0.25, sorted));
            self.p50.push(quantile(count, 0.5, sorted));
            self.p75.push(quantile(count, 0.75, sorted));
            self.p90.push(quantile(count, 0.9, sorted));
        }
    }
}

/// Returns the exchanges that sort `n` values whatever they are.
///
/// # Source
/// Batcher's merge exchange: Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M.
fn network(n: usize) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    if n < 2 {
        return pairs;
    }
    let top = n.next_power_of_two() / 2;
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut d) = (top, 0, p);
        loop {
            pairs.extend((0..n - d).filter(|i| i & p == r).map(|i| (i, i + d)));
            if q == p {
                break;
            }
            d = q - p;
            q /= 2;
            r = p;
        }
        p /= 2;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(steps: &[i64], values: &[f64]) -> Series {
        Series { steps: steps.to_vec(), values: values.to_vec(), elapsed_s: Vec::new() }
    }

    #[test]
    fn the_network_sorts_any_number_of_seeds() {
        // Zeros and ones are enough: Knuth 5.3.4, theorem Z.
        for n in 0..13usize {
            let network = network(n);
            for bits in 0u32..1 << n {
                let mut values: Vec<u32> = (0..n).map(|i| bits >> i & 1).collect();
                for (low, high) in &network {
                    if values[*low] > values[*high] {
                        values.swap(*low, *high);
                    }
                }
                assert!(values.is_sorted(), "{n} {bits:b}");
            }
        }
    }

    #[test]
    fn an_interval_of_many_values_goes_on_from_that_of_fewer() {
        let values = |n: u32| -> Vec<f64> { (0..n).map(|i| f64::from(i * 7919 % n)).collect() };
        let width = |n: u32| {
            let score = score(&values(n));
            assert!(score.low95 < score.mean && score.mean < score.high95);
            (score.high95 - score.low95) / score.std * f64::from(n).sqrt()
        };
        let (few, many) = (width(2_000), width(2_001));
        assert!((few / many - 1.0).abs() < 0.1, "{few} {many}");
    }

    /// Expected values are numpy 2.4.6's: mean, std, percentile; the IQM is the mean of the middle five.
    #[test]
    fn statistics_are_numpys() {
        let values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3];
        let seeds: Vec<Series> = values.iter().map(|x| series(&[0], &[*x])).collect();
        let over = aggregate(&seeds);
        let close = |got: f64, wanted: f64| assert!((got - wanted).abs() < 1e-12, "{got} {wanted}");
        assert_eq!(over.n, [7]);
        close(over.mean[0], 3.771_428_571_428_571_4);
        close(over.std[0], 2.522_308_628_286_104_7);
        close(over.p10[0], 1.3);
        close(over.p25[0], 2.05);
        close(over.p50[0], 3.0);
        close(over.p75[0], 4.65);
        close(over.p90[0], 6.78);
        close(over.iqm[0], 3.28);
        assert_eq!((over.min[0], over.max[0]), (1.0, 9.0));
    }

    #[test]
    fn ragged_seeds_count_where_they_are() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        let seeds = [
            series(&[0, 1, 2, 3], &[1.0, 2.0, nan, 4.0]),
            series(&[0, 2, 3], &[3.0, nan, inf]),
            series(&[3, 0, 3], &[0.0, 5.0, 8.0]),
            Series::default(),
        ];
        let over = aggregate(&seeds);
        assert_eq!(over.steps, [0, 1, 2, 3]);
        assert_eq!(over.n, [3, 1, 0, 3]);
        assert_eq!(over.mean[..2], [3.0, 2.0]);
        assert!(over.mean[2].is_nan() && over.p50[2].is_nan() && over.iqm[2].is_nan());
        assert_eq!((over.mean[3], over.p50[3], over.max[3], over.min[3]), (inf, 8.0, inf, 4.0));
        assert_eq!(over.std[1], 0.0);
        assert_eq!(aggregate(&[]), OverSeeds::default());
    }

    #[test]
    fn many_steps_are_the_same_as_one_at_a_time() {
        let value = |seed: i64, step: i64| ((seed * 7_919 + step * 104_729) % 1_009) as f64;
        let steps: Vec<i64> = (0..37).collect();
        let seeds: Vec<Series> = (0..21)
            .map(|seed| series(&steps, &steps.iter().map(|s| value(seed, *s)).collect::<Vec<_>>()))
            .collect();
        let over = aggregate(&seeds);
        for (place, step) in steps.iter().enumerate() {
            let mut values: Vec<f64> = (0..21).map(|seed| value(seed, *step)).collect();
            values.sort_by(f64::total_cmp);
            assert_eq!(over.p50[place], values[10]);
            assert_eq!(over.p25[place], values[5]);
            assert_eq!((over.min[place], over.max[place]), (values[0], values[20]));
        }
    }

    #[test]
    fn a_score_is_the_same_in_any_order_and_of_one_value_certain() {
        let values = [0.3, 0.1, 0.25, 0.9, 0.4];
        let forth = score(&values);
        let back: Vec<f64> = values.iter().rev().copied().collect();
        assert_eq!(forth, score(&back));
        assert!(forth.low95 < forth.mean && forth.mean < forth.high95);
        assert!(forth.low95 >= 0.1 && forth.high95 <= 0.9);
        assert!((forth.iqm - (0.25 + 0.3 + 0.4) / 3.0).abs() < 1e-15);
        let one = score(&[2.0, f64::NAN, f64::INFINITY]);
        assert_eq!((one.n, one.low95, one.high95, one.std, one.iqm), (1, 2.0, 2.0, 0.0, 2.0));
        let none = score(&[]);
        assert!(none.n == 0 && none.mean.is_nan() && none.low95.is_nan() && none.median.is_nan());
    }

    #[test]
    fn an_interval_of_normal_values_is_about_two_standard_errors() {
        let values: Vec<f64> =
            (0..100).map(|i| ((f64::from(i) + 0.5) / 100.0 * 2.0 - 1.0) * 3.0f64.sqrt()).collect();
        let score = score(&values);
        let half = (score.high95 - score.low95) / 2.0;
        assert!((half - 0.196).abs() < 0.02, "{half}");
    }
}
