//! What went wrong with a request to another machine, in one line for logs and messages.

use std::error::Error;

/// A request that failed, with its causes, which reqwest leaves out, and without the URL, which may have a secret in it.
pub fn describe(error: &reqwest::Error) -> String {
    with_causes(if error.is_timeout() { "timed out" } else { "failed" }, error)
}

/// What happened, and the causes of the error that told of it, the nearest first; not the error itself.
pub fn with_causes(what: &str, error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(what.to_owned(), |told, cause| format!("{told}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn the_causes_of_an_error_are_told_in_their_order_without_the_error_itself() {
        let refused = Layer("connection refused", None);
        assert_eq!(with_causes("failed", &refused), "failed");
        let connect = Layer("tcp connect error", Some(Box::new(refused)));
        let request = Layer("error sending request for url (https://user:secret@host/)", Some(Box::new(connect)));
        assert_eq!(with_causes("failed", &request), "failed: tcp connect error: connection refused");
    }
}
