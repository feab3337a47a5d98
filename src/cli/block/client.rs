//! One question to several gateways, all at once.

use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use sekisho_runtime::process::secret_file;
use sekisho_runtime::telemetry::outbound::describe;
use sekisho_trust::blocks::BlockId;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a gateway may take: it waits for its disk and looks at every live connection.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Octets of an answer: a whole list of the longest blocks.
const MAX_ANSWER_OCTETS: usize = 32 << 20;
/// Octets of the token's file, as the gateway reads it.
const MAX_TOKEN_OCTETS: u64 = 4096;
/// Gateways that one command may name: each is one connection at the same time.
const MAX_GATEWAYS: usize = 256;

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Add(Value),
    List,
    Remove(BlockId, Value),
}

/// What one gateway said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) gateway: String,
    pub(super) outcome: Result<Value, String>,
}

/// The gateways, and the right to ask them.
pub(super) struct Gateways {
    urls: Vec<(String, Url)>,
    token: String,
}

impl Gateways {
    /// From the command line.
    ///
    /// # Errors
    /// An address that is none, or one twice; a token that cannot be read, or that others can.
    pub(super) fn new(gateways: &[String], token_file: &Path) -> Result<Self, String> {
        if gateways.len() > MAX_GATEWAYS {
            return Err(format!("at most {MAX_GATEWAYS} gateways at once"));
        }
        let mut urls: Vec<(String, Url)> = Vec::with_capacity(gateways.len());
        for text in gateways {
            let url = address(text)?;
            if urls.iter().any(|(_, known)| *known == url) {
                return Err(format!("--gateway {text} is there twice"));
            }
            urls.push((text.trim_end_matches('/').to_owned(), url));
        }
        let token = token(token_file).map_err(|why| format!("--token-file {}: {why}", token_file.display()))?;
        Ok(Self { urls, token })
    }

    /// Asks all of them, and waits until each has answered or failed.
    ///
    /// # Errors
    /// When this machine cannot ask at all.
    pub(super) fn ask(self, ask: &Ask) -> Result<Vec<Answer>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        runtime.block_on(async {
            let client = client()?;
            let (token, ask) = (Arc::new(self.token), Arc::new(ask.clone()));
            let asked: Vec<_> = self
                .urls
                .into_iter()
                .map(|(gateway, url)| {
                    let (client, token, ask) = (client.clone(), Arc::clone(&token), Arc::clone(&ask));
                    let question = async move { ask_one(&client, &url, &token, &ask).await };
                    (gateway, tokio::spawn(question))
                })
                .collect();
            let mut answers = Vec::with_capacity(asked.len());
            for (gateway, question) in asked {
                let outcome = question.await.unwrap_or_else(|error| Err(error.to_string()));
                answers.push(Answer { gateway, outcome });
            }
            Ok(answers)
        })
    }
}

async fn ask_one(client: &Client, url: &Url, token: &str, ask: &Ask) -> Result<Value, String> {
    let (method, path, body) = match ask {
        Ask::Add(block) => (Method::POST, "/blocks".to_owned(), Some(block)),
        Ask::List => (Method::GET, "/blocks".to_owned(), None),
        Ask::Remove(id, act) => (Method::DELETE, format!("/blocks/{id}"), Some(act)),
    };
    let mut url = url.clone();
    url.set_path(&path);
    let mut request = client.request(method, url).bearer_auth(token);
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.map_err(|error| describe(&error))?;
    let status = response.status();
    let octets = octets_of(response).await?;
    let document: Value = serde_json::from_slice(&octets).unwrap_or_default();
    if status.is_success() && document.is_object() {
        return Ok(document);
    }
    Err(match document["detail"].as_str() {
        Some(detail) => format!("{}: {detail}", status.as_u16()),
        None => format!("{}: no answer of a gateway", status.as_u16()),
    })
}

async fn octets_of(mut response: Response) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        if octets.len().saturating_add(chunk.len()) > MAX_ANSWER_OCTETS {
            return Err(format!("the answer has more than {MAX_ANSWER_OCTETS} octets"));
        }
        octets.extend_from_slice(&chunk);
    }
    Ok(octets)
}

/// No redirect and no proxy: the token is for the gateway named and nobody else. There is no TLS to speak.
fn client() -> Result<Client, String> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let builder = Client::builder().redirect(Policy::none()).no_proxy().referer(false).timeout(TIMEOUT);
    builder.tls_backend_preconfigured(tls).build().map_err(|error| describe(&error))
}

fn address(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("--gateway {text}: {why}; write http://ADDRESS:PORT");
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() {
        "http" => {}
        "https" => return Err(wrong("the admin address speaks no TLS")),
        _ => return Err(wrong("is not an address")),
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has more than an address in it"));
    }
    Ok(url)
}

fn token(path: &Path) -> Result<String, String> {
    let octets = secret_file::read(path, MAX_TOKEN_OCTETS).map_err(|error| error.to_string())?;
    let token = std::str::from_utf8(&octets).unwrap_or_default().trim();
    if token.is_empty() || !token.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err("is not a token: one line without spaces".to_owned());
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_an_address_in_plain_http_and_no_more() {
        for right in ["http://127.0.0.1:9443", "http://127.0.0.1:9443/", "http://[::1]:9443", "http://gw1.internal:80"]
        {
            assert!(address(right).is_ok(), "{right}");
        }
        for (wrong, why) in [
            ("https://127.0.0.1:9443", "the admin address speaks no TLS"),
            ("127.0.0.1:9443", "relative URL without a base"),
            ("ftp://127.0.0.1", "is not an address"),
            ("http://127.0.0.1/blocks", "has more than an address in it"),
            ("http://a:b@127.0.0.1", "has more than an address in it"),
            ("http://127.0.0.1?x", "has more than an address in it"),
        ] {
            assert_eq!(address(wrong), Err(format!("--gateway {wrong}: {why}; write http://ADDRESS:PORT")));
        }
    }
}
