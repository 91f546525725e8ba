//! The same as `mle worker`.

fn main() -> std::process::ExitCode {
    mle::cli::main(mle::cli::Program::Worker)
}
