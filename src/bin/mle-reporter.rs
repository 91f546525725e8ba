//! The same as `mle reporter`.

fn main() -> std::process::ExitCode {
    mle::cli::main(mle::cli::Program::Reporter)
}
