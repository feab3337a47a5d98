//! The decision on a client's certificate chain, on certificates made here and loaded as a gateway loads them.

mod budget;
mod cache;
mod cli;
mod forged;
mod identity;
mod mutation;
mod parts;
mod path;
mod pki;
mod pools;
mod recheck;
mod standing;
mod usage;
mod weak;
