//! The rules, driven: each product's documents step by step, and random lives of many users.

mod anser_bizsol;
mod bizstation;
mod hokugin;
mod properties;
mod rules;
mod shinkin;
mod world;
