//! What the servers ask of the machine they run on: signals, files with secrets, memory that no core dump shows.

pub mod secret_file;
pub mod signals;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Keeps what is in memory (keys, passwords, one-time digits) out of core dumps: neither a file nor the handler of
/// `kernel.core_pattern` gets one. Other users of the machine, root but for, cannot read the process's memory either.
pub fn keep_secrets_in_memory() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let outcome = setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = outcome {
        tracing::warn!(%error, "cannot disable core dumps; one would have secrets in it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    #[test]
    fn neither_a_file_nor_a_handler_gets_a_core_dump() {
        keep_secrets_in_memory();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
