//! Why a reload is asked for.

/// Why a reload was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Cause {
    /// SIGHUP, which also re-opens the log file.
    Signal,
    /// A named file changed.
    Files,
    /// A list was fetched.
    Lists,
    /// The two together.
    FilesAndLists,
    /// It is time to look, or to try again.
    Time,
    /// The gateway stops.
    Stop,
}

impl Cause {
    /// The word in the log.
    pub(in crate::gateway) const fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Files => "files",
            Self::Lists => "crls",
            Self::FilesAndLists => "files-and-crls",
            Self::Time => "time",
            Self::Stop => "stop",
        }
    }

    /// What one load is for that both ask for.
    pub(in crate::gateway) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stop, _) | (_, Self::Stop) => Self::Stop,
            (Self::Signal, _) | (_, Self::Signal) => Self::Signal,
            (Self::Time, other) | (other, Self::Time) => other,
            (Self::Files, Self::Files) => Self::Files,
            (Self::Lists, Self::Lists) => Self::Lists,
            (Self::Files | Self::Lists | Self::FilesAndLists, _) => Self::FilesAndLists,
        }
    }
}
