//! Certificates as facts.
