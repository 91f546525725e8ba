//! The same as `mle searcher`.

fn main() -> std::process::ExitCode {
    mle::cli::main(mle::cli::Program::Searcher)
}
