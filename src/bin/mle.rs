//! The front door: every verb a person types.

fn main() -> std::process::ExitCode {
    mle::cli::main(mle::cli::Program::Mle)
}
