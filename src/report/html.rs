//! The report as one HTML page. The template escapes every value; only our own SVG goes in as it is.

use minijinja::Environment;

use super::data::Data;

const TEMPLATE: &str = include_str!("report.html");

/// The colours of lines: `s0` to `s7`.
const COLORS: [&str; 8] =
    ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#db2777", "#65a30d"];

/// Writes the whole page.
pub(super) fn render(data: &Data) -> String {
    let mut environment = Environment::new();
    // Its name ends in .html, and so each value is escaped.
    environment.add_template("report.html", TEMPLATE).expect("the template is ours");
    environment.add_filter("clean", |text: String| crate::display::sanitize(&text).into_owned());
    environment.add_filter("clean_lines", |text: String| {
        crate::display::sanitize_lines(&text).into_owned()
    });
    let context =
        minijinja::context! { d => minijinja::value::Serde(data), colors => Vec::from(COLORS) };
    environment
        .get_template("report.html")
        .and_then(|template| template.render(context))
        .expect("the template uses nothing but what the data has")
}
