//! Publication: what the store says of certificates, as revocation lists and OCSP answers.
//!
//! The store's changes of status are the truth. At the start all of them are read into one register an authority; then
//! a task follows them by their sequence number, on a wake from this node's acts and every [`POLL`] for other nodes'.
//! What they touch is published as follows.
//!
//! - **Revocations** are in the register for ever. The full list of the part is made anew, the first one at once and in
//!   a burst one each [`GATHER`] at most.
//! - **Holds** (a suspended user) can be undone, so they are beside the register: `certificateHold` in the full list
//!   while they last. A held certificate that is revoked is in the register and no hold any more.
//! - **Deltas**, where the authority has a `delta_url`: with each full list a delta of the same number, against a base
//!   that moves once a `crl_interval`. It has the revocations since the base, and the holds that began
//!   (`certificateHold`) or ended (`removeFromCRL`) since. So the two say the same at every moment (RFC 5280 section
//!   5.2.3), and whoever reads full lists only, as gateways do, learns of a revocation as soon as the others. After a
//!   start the first delta is empty and its base is its own full list: an older full list cannot be combined with it.
//! - **OCSP** answers come from the store; a change of status drops the kept answers of its certificate.
//!
//! Numbers are taken from the store before anything is signed; one that was taken and not used is left out. What could
//! not be signed or written is made anew, as a full list, until it can be; meanwhile [`Publisher::troubles`] says so and
//! [`Publisher::caught_up_to`] stays.
//!
//! **Several nodes on one database** publish each its own lists, into a folder of its own; the numbers are of one
//! sequence, so none comes twice. A node reads the store between taking a number and making the list of it, so a list
//! with a greater number lacks nothing that one with a smaller number has, but for what was stored within that moment:
//! that comes with the node's next list, [`POLL`] later.

mod answers;
mod cover;
mod folder;
mod follow;
mod http;
mod ledger;
mod route;
mod shelf;
mod witness;

pub use cover::CoveredList;
pub use http::router;
pub use witness::{PublishedCrl, PublishedEntry, SetBack, WitnessError, why_not_now};

use super::authorities::Authorities;
use super::store::{Store, StoreError};
use answers::Answers;
use follow::Follower;
use sekisho_ca::crl::{ListError, SignedFacts};
use sekisho_ca::ocsp::ResponderError;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use shelf::Shelf;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// How often the store is asked for changes that no wake told of: other nodes' acts.
pub const POLL: Duration = Duration::from_secs(1);

/// The least time between two publications: a burst of revocations makes a few lists, and nobody waits longer for one.
pub const GATHER: Duration = Duration::from_millis(200);

/// Publishes lists and answers.
pub struct Publisher {
    shelf: Shelf,
    answers: Answers,
    caught_up: watch::Sender<u64>,
    covered: watch::Sender<Arc<[CoveredList]>>,
    /// The store is not the one that was read: publication has ended.
    went_back: watch::Sender<bool>,
    /// What went wrong last, until it goes well again.
    trouble: Mutex<Option<Arc<str>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Why publication did not start. One line.
#[derive(Debug)]
pub enum StartError {
    /// The store.
    Store(StoreError),
    /// A list could not be made.
    List {
        /// Of which authority.
        authority: Arc<str>,
        /// Why.
        error: ListError,
    },
    /// A list could not be written.
    Folder {
        /// Its file.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// There were lists of a part that there is no more: `parts` must never change.
    Parts {
        /// Of which authority.
        authority: Arc<str>,
        /// The part.
        part: u16,
    },
    /// The store has less than was published.
    SetBack(SetBack),
    /// What was published last cannot be read, so that nobody knows whether the store has it.
    Witness {
        /// The file.
        file: PathBuf,
        /// Why.
        error: WitnessError,
    },
    /// A clock is wrong.
    Clock(String),
    /// No OCSP answers can be signed.
    Responder {
        /// For which authority.
        authority: Arc<str>,
        /// Why.
        error: ResponderError,
    },
}

/// Publication has ended; what was waited for is published at the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl Publisher {
    /// Reads every status, publishes full lists of every part, and goes on in the background until `shutdown` says so.
    /// `wake` is notified when statuses were stored. Shut down only when no request waits for publication any more.
    ///
    /// # Errors
    /// [`StartError`]: there is nothing behind which a gateway could find its revoked certificates.
    pub async fn start(
        store: Arc<dyn Store>,
        authorities: Arc<Authorities>,
        wake: Arc<Notify>,
        shutdown: watch::Receiver<bool>,
    ) -> Result<Arc<Self>, StartError> {
        let publisher = Arc::new(Self {
            shelf: Shelf::new(&authorities),
            answers: Answers::new(Arc::clone(&store), &authorities)?,
            caught_up: watch::Sender::new(0),
            covered: watch::Sender::new(Arc::new([])),
            went_back: watch::Sender::new(false),
            trouble: Mutex::default(),
            tasks: Mutex::default(),
        });
        let mut follower = Follower::new(Arc::clone(&publisher), store, &authorities);
        follower.begin().await?;
        let follow = tokio::spawn(follower.run(wake, shutdown.clone()));
        let refresh = tokio::spawn(answers::refresh(Arc::clone(&publisher), shutdown));
        publisher.tasks().extend([follow, refresh]);
        Ok(publisher)
    }

    /// The sequence number up to which every change of status is on the lists, in their files, and in no kept answer.
    pub fn caught_up_to(&self) -> u64 {
        *self.caught_up.borrow()
    }

    /// From which list on each part has everything, and how far: as it is now and becomes.
    pub fn covered(&self) -> watch::Receiver<Arc<[CoveredList]>> {
        self.covered.subscribe()
    }

    /// Returns when the store was found to be an earlier state of itself: whatever was read from it must be forgotten,
    /// which a new start does.
    pub async fn went_back(&self) {
        over(&mut self.went_back.subscribe()).await;
    }

    /// Waits until a change of status is published. How long is the caller's to bound.
    ///
    /// # Errors
    /// [`Stopped`] when that will not be.
    pub async fn wait_for(&self, sequence: u64) -> Result<(), Stopped> {
        let mut caught_up = self.caught_up.subscribe();
        loop {
            if *caught_up.borrow_and_update() >= sequence {
                return Ok(());
            }
            // Now and then: whether there is still somebody who would publish.
            tokio::select! {
                changed = caught_up.changed() => changed.map_err(|_| Stopped)?,
                () = tokio::time::sleep(POLL) => {}
            }
            if self.has_ended() && *caught_up.borrow() < sequence {
                return Err(Stopped);
            }
        }
    }

    /// What keeps this node from being ready: publication that fails or has ended, lists that are over. One line each.
    pub fn troubles(&self, now: Timestamp) -> Vec<String> {
        let mut troubles: Vec<_> = self.trouble().iter().map(ToString::to_string).collect();
        if self.has_ended() {
            troubles.push("publication has ended".to_owned());
        }
        let over = self.lists().into_iter().filter(|(_, facts)| facts.next_update < now);
        troubles.extend(over.map(|(authority, facts)| {
            format!("the list {authority}-{} was to be followed by {}", facts.part.value(), facts.next_update)
        }));
        troubles
    }

    /// The full lists that are published now: authority, and what each is. For metrics.
    pub fn lists(&self) -> Vec<(Arc<str>, SignedFacts)> {
        self.shelf.lists()
    }

    /// Waits until the tasks have ended, after a shutdown.
    pub async fn join(&self) {
        let tasks = std::mem::take(&mut *self.tasks());
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of publication failed");
            }
        }
    }

    fn tell_covered(&self, lists: impl Iterator<Item = CoveredList>) {
        let lists: Arc<[CoveredList]> = lists.collect();
        self.covered.send_if_modified(|known| {
            let is_new = *known != lists;
            *known = lists;
            is_new
        });
    }

    fn has_ended(&self) -> bool {
        let tasks = self.tasks();
        tasks.is_empty() || tasks.iter().any(JoinHandle::is_finished)
    }

    /// Says what is wrong, or that nothing is any more; each change is logged once.
    fn set_trouble(&self, trouble: Option<Arc<str>>) {
        let mut known = self.trouble();
        if *known == trouble {
            return;
        }
        match &trouble {
            Some(trouble) => tracing::error!(%trouble, "publication"),
            None => tracing::info!(at = %clock::now(), "publication goes well again"),
        }
        *known = trouble;
    }

    /// Nothing panics while one of these is held, so what is in it is whole.
    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<Arc<str>>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns once the shutdown says so, or its sender is gone.
async fn over(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|is_over| *is_over).await;
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Publisher(caught up to {})", self.caught_up_to())
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::List { authority, error } => write!(f, "no list of authority {authority}: {error}"),
            Self::Folder { file, error } => write!(f, "{}: {error}", file.display()),
            Self::Parts { authority, part } => {
                write!(
                    f,
                    "authority {authority} had lists of part {part} and now has fewer parts; they must not change"
                )
            }
            Self::SetBack(set_back) => set_back.fmt(f),
            Self::Witness { file, error } => write!(
                f,
                "{}: {error}. Whether the store has what was published last cannot be told; put the file back, or move \
                 it away if it is none of this issuer's",
                file.display()
            ),
            Self::Clock(why) => f.write_str(why),
            Self::Responder { authority, error } => write!(f, "no OCSP answers of authority {authority}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
