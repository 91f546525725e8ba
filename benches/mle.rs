//! `cargo bench -- NAME …` runs the cases of these names, without a name all of them. Each prints `name value unit ratio`.

mod logging;
mod queue;
mod search;
mod study;

fn main() {
    queue::claimer_if_asked();
    queue::opener_if_asked();
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    if is_wanted("logging") {
        logging::run();
    }
    if is_wanted("queue") {
        queue::run();
    }
    if is_wanted("search") {
        search::run();
    }
    if is_wanted("study") {
        study::run();
    }
}
