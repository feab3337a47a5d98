//! File descriptors: as many as the system allows, and some of them kept from clients.
//!
//! Whoever uses up the descriptors of a process stops everything else that needs one: CRLs are not read, the admin
//! address does not answer, no upstream is reached. So clients get no more than leaves the others theirs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sekisho_config::{Config, RevocationSource};
use std::os::fd::{AsRawFd, RawFd};

/// Descriptors that no client, source or peer needs: listeners, log, state folder, file watch, the runtime's own, files
/// being read, some connections to the admin address.
const BASE: usize = 96;

/// Queries under way at once to one OCSP responder, and downloads to the servers of one CA's CRLs.
const EACH_RESPONDER: usize = 128;
const EACH_FETCHED: usize = 8;

/// A client's connection, and one to an upstream for it.
const EACH_CLIENT: usize = 2;

/// The least with which a gateway is of use.
const MIN_DESCRIPTORS: usize = 128;

/// What is asked of the system at most: the usual `fs.nr_open`, where the hard limit is higher or none.
const MAX_DESCRIPTORS: u64 = 1 << 20;

/// How the descriptors of this process are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Descriptors {
    limit: usize,
    reserve: usize,
}

impl Descriptors {
    /// Raises the soft limit to the hard one, and shares out what there is.
    ///
    /// # Errors
    /// The limit is too low for any gateway.
    pub(in crate::gateway) fn raise(config: &Config) -> Result<Self, String> {
        let before = getrlimit(Resource::Nofile);
        let most = before.maximum.unwrap_or(MAX_DESCRIPTORS).min(MAX_DESCRIPTORS);
        if before.current.is_some_and(|current| current < most) {
            let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: before.maximum });
            if let Err(error) = raised {
                tracing::warn!(%error, most, "cannot raise the limit of open files");
            }
        }
        let now = getrlimit(Resource::Nofile).current.unwrap_or(MAX_DESCRIPTORS);
        Self::of(usize::try_from(now).unwrap_or(usize::MAX), config)
    }

    fn of(limit: usize, config: &Config) -> Result<Self, String> {
        if limit < MIN_DESCRIPTORS {
            return Err(format!(
                "this process may open {limit} files, and at least {MIN_DESCRIPTORS} are needed; raise its hard limit \
                 (LimitNOFILE= of systemd, ulimit -Hn)"
            ));
        }
        Ok(Self { limit, reserve: wanted_reserve(config).min(limit / 2) })
    }

    /// Client connections for which there are descriptors, each with one to an upstream.
    pub(in crate::gateway) const fn connections(&self) -> usize {
        self.limit.saturating_sub(self.reserve) / EACH_CLIENT
    }

    /// Says in the log where the configuration needs more than there are.
    pub(in crate::gateway) fn warn(&self, config: &Config) {
        let connections = config.limits.connections;
        let needed = connections.saturating_mul(EACH_CLIENT).saturating_add(wanted_reserve(config));
        if needed > self.limit {
            tracing::warn!(
                limit = self.limit,
                needed,
                connections,
                accepted = self.connections(),
                "the limit of open files is too low for gateway.limits.connections: fewer connections are accepted; raise \
                 the hard limit (LimitNOFILE= of systemd, ulimit -Hn) or lower connections"
            );
        }
    }

    /// Returns `true` if a client may keep the descriptor that it was just given. The system gives the lowest that is
    /// free, so that as many as its number are in use.
    pub(in crate::gateway) fn are_left_after(&self, given: &impl AsRawFd) -> bool {
        self.leaves_reserve(given.as_raw_fd())
    }

    fn leaves_reserve(&self, given: RawFd) -> bool {
        usize::try_from(given).is_ok_and(|given| given < self.limit.saturating_sub(self.reserve))
    }
}

/// What is to be left for everything but clients.
fn wanted_reserve(config: &Config) -> usize {
    let of_ca = |source: &RevocationSource| match source {
        RevocationSource::None => 0,
        RevocationSource::From(sources) => {
            let fetches = !(sources.urls.is_empty() && sources.points.is_empty());
            usize::from(sources.ocsp.is_some()) * EACH_RESPONDER + usize::from(fetches) * EACH_FETCHED
        }
    };
    // A health check of each peer, and a stream of the feed.
    let peers: usize = config.pools.iter().map(|pool| pool.peers.len()).sum();
    BASE + peers + usize::from(config.feed.is_some()) + config.cas.iter().map(|ca| of_ca(&ca.revocation)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let folder = std::path::Path::new("config");
        sekisho_config::parse(include_str!("../../../config/sekisho.toml"), "sekisho.toml", folder)
            .unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    #[test]
    fn clients_and_their_upstreams_leave_the_reserve() {
        let config = config();
        for limit in [MIN_DESCRIPTORS, 256, 1_024, 65_536, 1 << 20] {
            let descriptors = Descriptors::of(limit, &config).unwrap();
            assert!(descriptors.connections() > 0, "{limit}");
            let in_use = descriptors.connections() * EACH_CLIENT;
            assert!(in_use + descriptors.reserve <= limit && descriptors.reserve >= BASE.min(limit / 2), "{limit}");
            let first_of_reserve = RawFd::try_from(limit - descriptors.reserve).unwrap();
            assert!(descriptors.leaves_reserve(first_of_reserve - 1) && !descriptors.leaves_reserve(first_of_reserve));
        }
        assert!(Descriptors::of(MIN_DESCRIPTORS - 1, &config).unwrap_err().contains("127 files"));
    }
}
