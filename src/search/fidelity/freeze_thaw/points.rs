//! Curves in few points: epochs are averaged over stretches that grow as training goes on.

/// How much later each stretch ends than the one before it.
const GROWTH: f64 = 1.4;
/// The same, for fits.
const GROWTH_OF_FITS: f64 = 2.0;

/// Some epochs of one trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// The place of the trial in a list of rows.
    pub trial: usize,
    /// The mean of the epochs, counted from 1.
    pub epoch: f64,
    /// How many numbers were averaged.
    pub count: f64,
    /// Their mean.
    pub value: f64,
}

/// Returns a curve in points, oldest first; numbers that are none are left out.
pub(crate) fn points(trial: usize, curve: &[f64]) -> Vec<Point> {
    stretches(trial, curve, GROWTH).0
}

/// Returns the whole stretches of a curve in fewer points, which change more rarely.
pub(crate) fn coarse(trial: usize, curve: &[f64]) -> Vec<Point> {
    let (mut points, whole) = stretches(trial, curve, GROWTH_OF_FITS);
    if !whole && points.len() > 1 {
        points.pop();
    }
    points
}

/// Returns the points, and whether the last stretch is whole.
fn stretches(trial: usize, curve: &[f64], growth: f64) -> (Vec<Point>, bool) {
    let (mut points, mut from, mut end) = (Vec::new(), 0, 1);
    while from < curve.len() {
        let to = end.min(curve.len());
        let finite = curve[from..to].iter().enumerate().filter(|(_, value)| value.is_finite());
        let (mut count, mut epochs, mut sum) = (0.0, 0.0, 0.0);
        for (at, value) in finite {
            count += 1.0;
            epochs += (from + at + 1) as f64;
            sum += value;
        }
        if count > 0.0 {
            points.push(Point { trial, epoch: epochs / count, count, value: sum / count });
        }
        if end > curve.len() {
            return (points, false);
        }
        from = end;
        end = ((end as f64 * growth) as usize).max(end + 1);
    }
    (points, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_a_curve_once() {
        let curve: Vec<f64> = (1..=81).map(f64::from).collect();
        let all = points(3, &curve);
        assert!(all.len() < 16);
        assert_eq!(all.iter().map(|point| point.count).sum::<f64>(), 81.0);
        assert!(all.iter().all(|point| point.value == point.epoch && point.trial == 3));
        assert_eq!(
            points(0, &[f64::NAN, 2.0, f64::INFINITY])[..],
            [Point { trial: 0, epoch: 2.0, count: 1.0, value: 2.0 }]
        );
        assert!(points(0, &[]).is_empty());
        assert_eq!(coarse(0, &curve[..7]).len(), 3, "1, 2 and 3 to 4");
        assert_eq!(coarse(0, &curve[..8]).len(), 4);
    }
}
