//! The README and the pages below `docs` say what is so.

mod commands;
mod configurations;
mod links;
mod page;
mod picture;
mod readme;
mod references;
mod tables;
mod tests_named;
mod words;
