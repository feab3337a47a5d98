//! Prometheus metrics, each declared once: its name, help, labels and kind stand together.
//!
//! A process has two kinds of sets. A set of counters lives as long as the process. A set of readings is made for each
//! scrape from the state at that moment: what has no value is absent, and what is gone is gone.

#[macro_use]
mod declare;
mod certificates;
mod process;
mod registered;

pub use certificates::{CertificateMetrics, CertificateUse, OwnCertificate};
pub use declare::{Declaration, Kind, Label, MetricSet, Series, label_name, start_at_zero};
pub use process::ProcessMetrics;
pub use registered::{EXPOSITION_TYPE, Registered, exposition, retain};

/// The result of making metrics: an error is a name that is not valid or is taken.
pub use prometheus::Result;

/// What [`crate::metrics!`] expands to.
#[doc(hidden)]
pub use prometheus;
