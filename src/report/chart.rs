//! Learning curves, dots and bars as SVG: pure functions from numbers to text, without colours (those are the page's).

use std::fmt::Write;

/// A line with a band around it; `low` and `high` are as long as `x`. What is not finite is a gap.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Curve {
    pub(super) x: Vec<f64>,
    pub(super) mean: Vec<f64>,
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;
/// Room at the ends of an axis for dots that lie there.
const INSET: f64 = 6.0;

/// Above this ratio of the largest to the least, positive values are shown by their size (log scale).
const LOG_RATIO: f64 = 1000.0;

/// How values are laid along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// By their size, when they are positive.
    Log,
    /// By their size, when they are positive and far apart.
    Auto,
}

/// One axis: where a value is, and which values have a mark.
pub(super) struct Axis {
    from: f64,
    to: f64,
    log: bool,
    start: f64,
    length: f64,
    /// Marks are whole numbers.
    whole: bool,
}

impl Axis {
    /// The axis with marks at whole numbers alone.
    pub(super) fn whole(self) -> Axis {
        Axis { whole: true, ..self }
    }

    /// An axis from left to right that has all the values; `None` when none is finite.
    pub(super) fn across(values: impl Iterator<Item = f64>, scale: Scale) -> Option<Axis> {
        Axis::new(values, scale, LEFT + INSET, WIDTH - LEFT - RIGHT - 2.0 * INSET)
    }

    /// An axis from below to above.
    pub(super) fn up(values: impl Iterator<Item = f64>, scale: Scale) -> Option<Axis> {
        Axis::new(values, scale, HEIGHT - BOTTOM - INSET, -(HEIGHT - TOP - BOTTOM - 2.0 * INSET))
    }

    fn new(
        values: impl Iterator<Item = f64>,
        scale: Scale,
        start: f64,
        length: f64,
    ) -> Option<Axis> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            return None;
        }
        let far_apart = || high / low > LOG_RATIO;
        if low > 0.0 && (scale == Scale::Log || scale == Scale::Auto && far_apart()) {
            let pad = if low == high { 0.5 } else { 0.0 };
            let (from, to) = (low.log10() - pad, high.log10() + pad);
            return Some(Axis { from, to, log: true, start, length, whole: false });
        }
        // A flat line is in the middle; huge values must not make the range infinite.
        let pad = if low == high { (low.abs() * 0.1).max(0.5) } else { 0.0 };
        let (from, to) = ((low - pad).max(f64::MIN / 4.0), (high + pad).min(f64::MAX / 4.0));
        Some(Axis { from, to, log: false, start, length, whole: false })
    }

    fn place(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        // Values near the ends of what a number can be are drawn at the edge.
        let value = value.clamp(self.from, self.to);
        self.start + (value - self.from) / (self.to - self.from) * self.length
    }

    fn ticks(&self) -> Vec<f64> {
        let mut ticks = self.all_ticks();
        ticks.retain(|tick| !self.whole || tick.fract() == 0.0);
        ticks
    }

    fn all_ticks(&self) -> Vec<f64> {
        if !self.log {
            return nice_ticks(self.from, self.to, 5);
        }
        if self.to - self.from < 2.0 {
            // Within a hundredfold powers of ten alone are too few.
            let powers = self.from.floor() as i32..=self.to.ceil() as i32;
            let marks = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|n| n * 10f64.powi(power)));
            return marks.filter(|at| (self.from..=self.to).contains(&at.log10())).collect();
        }
        let (first, last) = (self.from.ceil() as i32, self.to.floor() as i32);
        let every = usize::try_from((last - first) / 6).unwrap_or(0) + 1;
        (first..=last).step_by(every).map(|power| 10f64.powi(power)).collect()
    }
}

/// Returns round numbers (1, 2 or 5 times a power of ten apart) inside the range, about `count` of them.
pub(super) fn nice_ticks(from: f64, to: f64, count: usize) -> Vec<f64> {
    let rough = (to - from) / count as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return vec![from];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = power
        * match rough / power {
            ..1.5 => 1.0,
            ..3.5 => 2.0,
            ..7.5 => 5.0,
            _ => 10.0,
        };
    let (first, last) = ((from / step).ceil(), (to / step).floor());
    let n = if (last - first).is_finite() { (last - first) as usize } else { 0 };
    // Zero may come out as -0.
    (0..=n.min(20)).map(|i| (first + i as f64) * step + 0.0).filter(|tick| *tick <= to).collect()
}

/// Begins a picture, with the marks of both axes; `names` stand in the place of numbers under a list of choices.
fn begin(x: &Axis, y: &Axis, names: Option<&[String]>, label: &str) -> String {
    let mut svg = String::new();
    let _ = write!(
        svg,
        r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
        escape(label)
    );
    let bottom = HEIGHT - BOTTOM;
    for tick in y.ticks() {
        let at = y.place(tick);
        let _ = write!(
            svg,
            r#"<path class="grid" d="M{LEFT} {at:.1}H{}"/><text class="tick" x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            crate::display::number(tick)
        );
    }
    let marks: Vec<(f64, String)> = match names {
        None => x.ticks().into_iter().map(|tick| (tick, crate::display::number(tick))).collect(),
        Some(names) => {
            // As many letters as there is room for.
            let room = (80 / names.len().max(1)).max(4);
            let shorten = |name: &String| escape(&crate::display::shorten(name, room));
            names.iter().enumerate().map(|(at, name)| (at as f64, shorten(name))).collect()
        }
    };
    for (tick, text) in marks {
        let at = x.place(tick);
        let _ = write!(
            svg,
            r#"<path class="mark" d="M{at:.1} {bottom}v4"/><text class="tick" x="{at:.1}" y="{}" text-anchor="middle">{text}</text>"#,
            bottom + 18.0,
        );
    }
    let _ = write!(svg, r#"<path class="axis" d="M{LEFT} {bottom}H{}"/>"#, WIDTH - RIGHT);
    svg
}

/// Ends a picture with the name of what is from left to right.
fn end(svg: &mut String, across: &str) {
    let _ = write!(
        svg,
        r#"<text class="tick" x="{}" y="{}" text-anchor="end">{}</text></svg>"#,
        WIDTH - RIGHT,
        HEIGHT - 2.0,
        escape(across)
    );
}

/// Draws curves over one pair of axes; `None` when there is nothing finite to draw. The i-th has the class `s<i>`.
pub(super) fn draw(curves: &[Curve], label: &str) -> Option<String> {
    let all = |pick: fn(&Curve) -> &Vec<f64>| curves.iter().flat_map(pick).copied();
    let x = Axis::across(all(|curve| &curve.x), Scale::Linear)?;
    let values = all(|c| &c.mean).chain(all(|c| &c.low)).chain(all(|c| &c.high));
    let y = Axis::up(values, Scale::Auto)?;
    let mut svg = begin(&x, &y, None, label);
    for (i, curve) in curves.iter().enumerate() {
        let band = band(curve, &x, &y);
        if !band.is_empty() {
            let _ = write!(svg, r#"<path class="band s{i}" d="{band}"/>"#);
        }
    }
    for (i, curve) in curves.iter().enumerate() {
        let _ =
            write!(svg, r#"<path class="line s{i}" d="{}"/>"#, line(&curve.x, &curve.mean, &x, &y));
    }
    end(&mut svg, if y.log { "step, log scale" } else { "step" });
    Some(svg)
}

/// Draws dots, which get darker from the first to the last, and a line over them. What is not finite is left out.
pub(super) fn scatter(
    x: &Axis,
    y: &Axis,
    dots: &[(f64, f64)],
    over: &[(f64, f64)],
    names: Option<&[String]>,
    across: &str,
    up: &str,
) -> String {
    let mut svg = begin(x, y, names, &format!("{up} by {across}"));
    for (i, (at, value)) in dots.iter().enumerate() {
        if is_drawable(*at, x) && is_drawable(*value, y) {
            let shade = 0.25 + 0.6 * (i + 1) as f64 / dots.len() as f64;
            let _ = write!(
                svg,
                r#"<circle class="dot" cx="{:.1}" cy="{:.1}" r="3.2" opacity="{shade:.2}"/>"#,
                x.place(*at),
                y.place(*value)
            );
        }
    }
    if !over.is_empty() {
        let (xs, values): (Vec<f64>, Vec<f64>) = over.iter().copied().unzip();
        let _ = write!(svg, r#"<path class="line s1" d="{}"/>"#, line(&xs, &values, x, y));
    }
    let scale = |axis: &Axis| if axis.log { ", log scale" } else { "" };
    end(&mut svg, &format!("{across}{}; upwards {up}{}", scale(x), scale(y)));
    svg
}

/// Draws a bar for each name, value (0 to 1) and its text; `None` when there are none.
pub(super) fn bars(rows: &[(String, f64, String)], label: &str) -> Option<String> {
    const ROW: f64 = 26.0;
    const NAMES: f64 = 170.0;
    const TEXTS: f64 = 60.0;
    if rows.is_empty() {
        return None;
    }
    let height = ROW * rows.len() as f64 + 8.0;
    let mut svg = format!(
        r#"<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{}">"#,
        escape(label)
    );
    let largest = rows.iter().map(|row| row.1).filter(|it| it.is_finite()).fold(1e-9, f64::max);
    for (i, (name, value, text)) in rows.iter().enumerate() {
        let (top, share) = (ROW * i as f64 + 4.0, value.max(0.0) / largest);
        let share = if share.is_finite() { share } else { 0.0 };
        let length = share * (WIDTH - NAMES - TEXTS);
        let base = top + 15.0;
        let _ = write!(
            svg,
            r#"<text class="tick" x="{}" y="{base:.1}" text-anchor="end">{}</text><rect class="bar" x="{NAMES}" y="{top:.1}" width="{length:.1}" height="18" rx="3"/><text class="tick" x="{:.1}" y="{base:.1}">{}</text>"#,
            NAMES - 8.0,
            escape(&crate::display::shorten(name, 26)),
            NAMES + length + 8.0,
            escape(text)
        );
    }
    svg.push_str("</svg>");
    Some(svg)
}

fn line(xs: &[f64], values: &[f64], x: &Axis, y: &Axis) -> String {
    let mut path = String::new();
    let mut pen_is_down = false;
    for (at, value) in xs.iter().zip(values) {
        if !is_drawable(*value, y) {
            pen_is_down = false;
            continue;
        }
        let (px, py) = (x.place(*at), y.place(*value));
        // A lone point is a short stroke, as the ends of lines are round.
        let _ = match pen_is_down {
            true => write!(path, "L{px:.1} {py:.1}"),
            false => write!(path, "M{px:.1} {py:.1}h0"),
        };
        pen_is_down = true;
    }
    path
}

fn band(curve: &Curve, x: &Axis, y: &Axis) -> String {
    let edges: Vec<(f64, f64, f64)> = (curve.x.iter().zip(&curve.low).zip(&curve.high))
        .filter(|((_, low), high)| is_drawable(**low, y) && is_drawable(**high, y) && low < high)
        .map(|((at, low), high)| (x.place(*at), y.place(*low), y.place(*high)))
        .collect();
    if edges.len() < 2 {
        return String::new();
    }
    let mut path = String::new();
    for (i, (px, low, _)) in edges.iter().enumerate() {
        let _ = write!(path, "{}{px:.1} {low:.1}", if i == 0 { 'M' } else { 'L' });
    }
    for (px, _, high) in edges.iter().rev() {
        let _ = write!(path, "L{px:.1} {high:.1}");
    }
    path.push('Z');
    path
}

fn is_drawable(value: f64, axis: &Axis) -> bool {
    value.is_finite() && (!axis.log || value > 0.0)
}

/// Text for an attribute or an element.
pub(super) fn escape(text: &str) -> String {
    let text = crate::display::sanitize(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Puts the curves of several seeds together: their mean, and one standard deviation (population) around it.
///
/// Seeds logged at the same steps are averaged point by point; others are read off their lines at up to `points` places,
/// each only where it has steps.
pub(super) fn over_seeds(seeds: &[Vec<(f64, f64)>], points: usize) -> Curve {
    let steps = |seed: &Vec<(f64, f64)>| seed.iter().map(|(x, _)| *x).collect::<Vec<_>>();
    let Some(first) = seeds.first().map(steps) else { return Curve::default() };
    let mut curve = Curve::default();
    if seeds.iter().all(|seed| steps(seed) == first) {
        for (i, x) in first.into_iter().enumerate() {
            curve.push(x, seeds.iter().map(|seed| seed[i].1));
        }
        return curve;
    }
    let ends = seeds.iter().flat_map(|seed| seed.first().into_iter().chain(seed.last()));
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (x, _)| {
        (low.min(*x), high.max(*x))
    });
    let longest = seeds.iter().map(Vec::len).max().unwrap_or(0);
    let n = points.min(longest).max(2);
    for i in 0..n {
        let x = low + (high - low) * i as f64 / (n - 1) as f64;
        curve.push(x, seeds.iter().filter_map(|seed| read_off(seed, x)));
    }
    curve
}

/// Linear between two points; `None` outside.
fn read_off(seed: &[(f64, f64)], x: f64) -> Option<f64> {
    let after = seed.partition_point(|point| point.0 < x);
    let right = seed.get(after)?;
    if right.0 == x {
        return Some(right.1);
    }
    let left = seed.get(after.checked_sub(1)?)?;
    Some(left.1 + (right.1 - left.1) * (x - left.0) / (right.0 - left.0))
}

impl Curve {
    fn push(&mut self, x: f64, values: impl Iterator<Item = f64>) {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        self.x.push(x);
        self.mean.push(mean);
        self.low.push(mean - std);
        self.high.push(mean + std);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(nice_ticks(0.0, 10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        let texts: Vec<String> =
            nice_ticks(-0.35, 0.31, 5).into_iter().map(crate::display::number).collect();
        assert_eq!(texts, ["-0.3", "-0.2", "-0.1", "0", "0.1", "0.2", "0.3"]);
        assert_eq!(nice_ticks(0.1, 1.13, 5), [0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(nice_ticks(5.0, 5.0, 5), [5.0]);
        assert!(nice_ticks(f64::MIN / 4.0, f64::MAX / 4.0, 5).len() < 22);
    }

    #[test]
    fn odd_numbers_leave_gaps_and_no_nonsense() {
        let x: Vec<f64> = (0..6).map(f64::from).collect();
        for mean in [
            vec![1.0, f64::NAN, 2.0, f64::INFINITY, 3.0, 1e300],
            vec![0.0; 6],
            vec![-1e308, 1e308, 0.0, f64::MAX, f64::MIN, 1.0],
            vec![1e-300, 1e300, 1.0, 2.0, f64::NEG_INFINITY, 3.0],
        ] {
            let curve = Curve { x: x.clone(), low: mean.clone(), high: mean.clone(), mean };
            let svg = draw(&[curve], "a<b \"c\"").unwrap();
            let paths = svg.split("d=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
            for path in paths {
                assert!(!path.contains("NaN") && !path.contains("inf"), "{path}");
            }
            assert!(svg.contains("a&lt;b &quot;c&quot;"));
        }
        let nothing = Curve { x, mean: vec![f64::NAN; 6], ..Curve::default() };
        assert_eq!(draw(&[nothing], ""), None);
        assert_eq!(draw(&[], ""), None);
    }

    #[test]
    fn dots_and_bars_are_sound_whatever_the_numbers() {
        let dots = [(0.02, 1.0), (0.5, f64::NAN), (-1.0, 2.0), (0.1, f64::INFINITY), (0.8, 0.5)];
        let x = Axis::across([0.02, 0.1, 0.8].into_iter(), Scale::Log).unwrap();
        let marks: Vec<String> = x.ticks().into_iter().map(crate::display::number).collect();
        assert_eq!(marks, ["0.02", "0.05", "0.1", "0.2", "0.5"]);
        let y = Axis::up(dots.iter().map(|dot| dot.1), Scale::Auto).unwrap();
        let names = ["<a>".to_owned(), "b".to_owned()];
        let svg = scatter(&x, &y, &dots, &[(0.02, 1.0), (0.8, 0.5)], Some(&names), "<x>", "y");
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<a>"), "{svg}");
        assert_eq!(
            (svg.matches("<circle").count(), svg.matches("<path class=\"line").count()),
            (2, 1)
        );
        assert!(
            Axis::across([3.0].into_iter(), Scale::Log).is_some_and(|axis| axis.place(3.0) > LEFT)
        );
        let rows = [
            ("<p>".to_owned(), f64::NAN, "?".to_owned()),
            ("q".to_owned(), 0.5, "50 %".to_owned()),
        ];
        let svg = bars(&rows, "importance").unwrap();
        assert!(!svg.contains("NaN") && svg.contains("&lt;p&gt;") && svg.contains("50 %"), "{svg}");
        assert_eq!(bars(&[], ""), None);
    }

    #[test]
    fn seeds_at_the_same_steps_are_averaged_and_others_read_off() {
        let a = vec![(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN)];
        let b = vec![(0.0, 3.0), (1.0, 4.0), (2.0, 5.0)];
        let curve = over_seeds(&[a, b], 100);
        assert_eq!((curve.mean, curve.low), (vec![2.0, 3.0, 5.0], vec![1.0, 2.0, 5.0]));
        let curve = over_seeds(&[vec![(0.0, 0.0), (10.0, 10.0)], vec![(5.0, 7.0)]], 3);
        assert_eq!((curve.x, curve.mean), (vec![0.0, 10.0], vec![0.0, 10.0]));
        assert_eq!(over_seeds(&[], 3), Curve::default());
    }
}
