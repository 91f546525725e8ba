//! A small minimiser for smooth functions in a box: L-BFGS with projection.

use super::cholesky::dot;

/// Steps whose curvature is remembered.
const MEMORY: usize = 8;

/// Returns the lowest place found from `start` on, at most `rounds` steps away, and its value.
///
/// `function` fills in the gradient and returns the value; infinity and NaN are places one cannot go to. Coordinates
/// at a bound that pushes back stay there; the others follow a quasi-Newton step, halved until it leads down.
///
/// # Source
/// Nocedal and Wright, Numerical Optimization, algorithm 7.4 (two-loop recursion); Bertsekas 1982 (projection).
pub(crate) fn minimise(
    start: Vec<f64>,
    bounds: &[(f64, f64)],
    rounds: usize,
    tolerance: f64,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> (Vec<f64>, f64) {
    let mut place = start;
    project(&mut place, bounds);
    let mut gradient = vec![0.0; place.len()];
    let mut value = function(&place, &mut gradient);
    let mut memory: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    for _ in 0..rounds {
        let stuck = |i: usize| {
            let (low, high) = bounds[i];
            place[i] <= low && gradient[i] > 0.0 || place[i] >= high && gradient[i] < 0.0
        };
        let free: Vec<bool> = (0..place.len()).map(|i| !stuck(i)).collect();
        let mut direction = newton(&gradient, &free, &memory);
        let mut slope = dot(&direction, &gradient);
        if slope.is_nan() || slope >= 0.0 {
            memory.clear();
            direction = newton(&gradient, &free, &memory);
            slope = dot(&direction, &gradient);
        }
        if slope.is_nan() || slope >= -1e-14 {
            break;
        }
        let Some((next, next_gradient, next_value)) =
            search(&place, value, &direction, &gradient, bounds, memory.is_empty(), &mut function)
        else {
            if memory.is_empty() {
                break;
            }
            memory.clear();
            continue;
        };
        let step: Vec<f64> = next.iter().zip(&place).map(|(a, b)| a - b).collect();
        let bend: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        if dot(&step, &bend) > 1e-10 * dot(&bend, &bend) {
            if memory.len() == MEMORY {
                memory.remove(0);
            }
            memory.push((step, bend));
        }
        let gain = value - next_value;
        (place, gradient, value) = (next, next_gradient, next_value);
        if gain <= tolerance * (1.0 + value.abs()) {
            break;
        }
    }
    (place, value)
}

type Step = (Vec<f64>, Vec<f64>, f64);

/// Halves the step until it leads down enough.
fn search(
    place: &[f64],
    value: f64,
    direction: &[f64],
    gradient: &[f64],
    bounds: &[(f64, f64)],
    first: bool,
    function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<Step> {
    let length = direction.iter().fold(0.0f64, |most, d| most.max(d.abs()));
    let mut scale = if first { (0.3 / length).min(1.0) } else { 1.0 };
    let mut next_gradient = vec![0.0; place.len()];
    for _ in 0..20 {
        let mut next: Vec<f64> = place.iter().zip(direction).map(|(x, d)| x + scale * d).collect();
        project(&mut next, bounds);
        let next_value = function(&next, &mut next_gradient);
        let expected: f64 =
            next.iter().zip(place).zip(gradient).map(|((a, b), slope)| (a - b) * slope).sum();
        if next_value <= value + 1e-4 * expected.min(0.0) && next_value < value {
            return Some((next, next_gradient, next_value));
        }
        scale *= 0.4;
    }
    None
}

fn project(place: &mut [f64], bounds: &[(f64, f64)]) {
    for (x, (low, high)) in place.iter_mut().zip(bounds) {
        *x = x.clamp(*low, *high);
    }
}

/// Returns the quasi-Newton direction over the free coordinates.
fn newton(gradient: &[f64], free: &[bool], memory: &[(Vec<f64>, Vec<f64>)]) -> Vec<f64> {
    let masked = |values: &[f64]| -> Vec<f64> {
        values.iter().zip(free).map(|(x, free)| if *free { *x } else { 0.0 }).collect()
    };
    let mut direction = masked(gradient);
    let pairs: Vec<(Vec<f64>, Vec<f64>)> = memory
        .iter()
        .map(|(step, bend)| (masked(step), masked(bend)))
        .filter(|(step, bend)| dot(step, bend) > 1e-300)
        .collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for (step, bend) in pairs.iter().rev() {
        let share = dot(step, &direction) / dot(step, bend);
        direction.iter_mut().zip(bend).for_each(|(d, b)| *d -= share * b);
        shares.push(share);
    }
    if let Some((step, bend)) = pairs.last() {
        let scale = dot(step, bend) / dot(bend, bend);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((step, bend), share) in pairs.iter().zip(shares.iter().rev()) {
        let other = dot(bend, &direction) / dot(step, bend);
        direction.iter_mut().zip(step).for_each(|(d, s)| *d += (share - other) * s);
    }
    direction.iter_mut().for_each(|d| *d = -*d);
    direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_valley_and_the_bound() {
        let rosenbrock = |x: &[f64], gradient: &mut [f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient[0] = -2.0 * a - 400.0 * x[0] * b;
            gradient[1] = 200.0 * b;
            a * a + 100.0 * b * b
        };
        let (x, value) = minimise(vec![-1.2, 1.0], &[(-2.0, 2.0); 2], 200, 0.0, rosenbrock);
        assert!(value < 1e-10, "{x:?} {value}");
        let (x, _) = minimise(vec![-1.2, 1.0], &[(-2.0, 0.5), (-2.0, 2.0)], 200, 0.0, rosenbrock);
        assert!((x[0] - 0.5).abs() < 1e-12 && (x[1] - 0.25).abs() < 1e-6, "{x:?}");
    }
}
