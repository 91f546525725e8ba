//! The same as `mle scheduler`.

fn main() -> std::process::ExitCode {
    mle::cli::main(mle::cli::Program::Scheduler)
}
