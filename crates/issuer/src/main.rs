//! The `sekisho-issuer` binary: see [`sekisho_issuer::cli`].

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    sekisho_issuer::cli::main()
}
