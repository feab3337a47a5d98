//! What OCSP responders answered about client certificates (RFC 6960, requirement R1).

/// Answers by certificate.
#[derive(Debug, Default)]
pub struct OcspAnswers {}
