//! What a server does on a signal. None that a script or a key sends by mistake ends it: of those that it does not
//! understand, each is ignored and logged.

use rustix::process::Signal as Number;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// TERM, INT, QUIT: drain and end.
    Stop,
    /// HUP: read again what the configuration names.
    Reload,
    /// USR1: open the logs again, which were renamed.
    ReopenLogs,
}

/// Real-time signals of Linux but those that libc keeps for itself, and the last one, which tokio cannot handle; each
/// ends a process that does not handle it.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=63;

/// The signals of a server from here on.
#[derive(Debug)]
pub struct Signals(mpsc::UnboundedReceiver<Heard>);

/// Handles what would end the process and is no request to end, without doing anything yet: while it starts. To be called
/// within a runtime.
///
/// # Errors
/// The operating system's.
pub fn survive() -> io::Result<()> {
    // A handler stays when what listens to it goes.
    handled().filter(|(_, _, heard)| *heard != Some(Heard::Stop)).try_for_each(|(_, kind, _)| signal(kind).map(drop))
}

impl Signals {
    /// Listens to every signal that can be listened to. To be called within a runtime.
    ///
    /// # Errors
    /// The operating system's.
    pub fn listen() -> io::Result<Self> {
        let (tell, heard) = mpsc::unbounded_channel();
        for (name, kind, meaning) in handled() {
            tokio::spawn(follow(name, signal(kind)?, meaning, tell.clone()));
        }
        Ok(Self(heard))
    }

    /// What is to be done next.
    pub async fn next(&mut self) -> Heard {
        match self.0.recv().await {
            Some(heard) => heard,
            // The runtime is going.
            None => std::future::pending().await,
        }
    }
}

async fn follow(name: String, mut signal: Signal, meaning: Option<Heard>, tell: mpsc::UnboundedSender<Heard>) {
    while signal.recv().await.is_some() {
        match meaning {
            Some(heard) => {
                // One that is stopping listens no more. Before it is logged: a log that cannot be written stops no stop.
                let _ = tell.send(heard);
                tracing::info!(signal = name, "signal received");
            }
            None => tracing::warn!(signal = name, "signal ignored"),
        }
    }
}

/// Every signal that ends a process by default and can be handled, but those of faults of its own and KILL.
fn handled() -> impl Iterator<Item = (String, SignalKind, Option<Heard>)> {
    let named = [
        ("TERM", Number::TERM, Some(Heard::Stop)),
        ("INT", Number::INT, Some(Heard::Stop)),
        ("QUIT", Number::QUIT, Some(Heard::Stop)),
        ("HUP", Number::HUP, Some(Heard::Reload)),
        ("USR1", Number::USR1, Some(Heard::ReopenLogs)),
        ("USR2", Number::USR2, None),
        ("ALRM", Number::ALARM, None),
        ("PIPE", Number::PIPE, None),
        ("VTALRM", Number::VTALARM, None),
        ("PROF", Number::PROF, None),
        ("IO", Number::IO, None),
        ("PWR", Number::POWER, None),
        ("STKFLT", Number::STKFLT, None),
        ("XCPU", Number::XCPU, None),
        ("XFSZ", Number::XFSZ, None),
    ];
    let named = named.into_iter().map(|(name, number, heard)| (name.to_owned(), number.as_raw(), heard));
    let real_time = REAL_TIME.map(|number| (format!("RT{number}"), number, None));
    named.chain(real_time).map(|(name, number, heard)| (name, SignalKind::from_raw(number), heard))
}
