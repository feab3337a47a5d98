//! Users of one contract, each with a certificate, who are revoked at any issuer and tried at any gateway.

use super::Cluster;
use crate::issuer::api::{Answer, Api};
use crate::issuer::files::Acquired;
use crate::issuer::lives::{LIVES, Life};
use crate::issuer::{SITE, seed};
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;

/// A user with a certificate.
#[derive(Clone, Debug)]
pub struct User {
    /// The user ID.
    pub name: String,
    /// Serial number of the certificate in hex, as the issuer writes it.
    pub serial: String,
    files: Acquired,
}

impl User {
    /// `POST` here revokes, as the IB application.
    pub fn revocation_path(&self) -> String {
        let contract = life().map_or("", |life| life.contract);
        format!("/v1/contracts/{contract}/users/{}/revoke", self.name)
    }

    /// The certificate and those above it, PEM.
    pub fn certificate(&self) -> &Path {
        &self.files.certificate
    }

    /// Its key, PEM.
    pub fn key(&self) -> &Path {
        &self.files.key
    }
}

impl Cluster {
    /// Opens the contract, unless it is open, and gives a new user a certificate.
    ///
    /// # Errors
    /// What the issuer answered instead.
    pub fn acquire(&self, issuer: usize, name: &str) -> Result<User, Box<dyn Error>> {
        let (api, life) = (self.api(issuer), life()?);
        seed::open(&api, life)?;
        let secret = seed::register(&api, life, name, life.role)?;
        let files = self.files.of(life, name, 1);
        let answer = seed::acquire(&api, life, name, secret, 0, Some(&files))?;
        Ok(User { name: name.to_owned(), serial: answer.text("/user/serial")?, files })
    }

    /// Revokes a user's certificate for good at that issuer, by the bank's desk: status and body of the answer, 0 where
    /// none came. Whoever got none may ask again at any issuer: it is done once.
    pub fn revoke(&self, issuer: usize, user: &User) -> (u16, Value) {
        let answer = self.send_revocation(issuer, user);
        (answer.status, answer.body)
    }

    pub(super) fn send_revocation(&self, issuer: usize, user: &User) -> Answer {
        let once = format!("revoke-{}", user.serial);
        self.api(issuer).send("POST", &user.revocation_path(), Some(&once), &revocation_body())
    }

    /// GET of an issuer's API as the IB application: status and body.
    pub fn get(&self, issuer: usize, path: &str) -> (u16, Value) {
        let answer = self.api(issuer).get(path);
        (answer.status, answer.body)
    }

    /// A page of the IB application at that gateway: whether they are served, refused as revoked, or what else was seen.
    pub fn page(&self, gateway: usize, user: &User) -> Page {
        let answer = self.ask(gateway, user);
        if answer.status == 200 {
            Page::Served
        } else if answer.errors.contains("alert certificate revoked") {
            Page::RefusedAsRevoked
        } else {
            Page::Else(answer.seen())
        }
    }

    pub(super) fn ask(&self, gateway: usize, user: &User) -> Answer {
        let way =
            self.api(0).through(self.gateway(gateway), SITE, user.files.certificate.clone(), user.files.key.clone());
        way.get("/echo")
    }

    pub(super) fn as_desk(&self, issuer: usize) -> Api {
        self.api(issuer)
    }
}

/// What came of asking for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The page.
    Served,
    /// The TLS alert `certificate_revoked`.
    RefusedAsRevoked,
    /// Something else.
    Else(String),
}

/// What is sent to [`User::revocation_path`].
pub fn revocation_body() -> Value {
    json!({ "reason": "key-compromise", "staff": seed::staff("staff-desk") })
}

fn life() -> Result<&'static Life, &'static str> {
    LIVES.iter().find(|life| life.profile == super::configuration::AUTHORITY).ok_or("no such product")
}
