//! Credentials that the IB system keeps: it is asked over HTTP whether factors are right.

use super::built_in::given;
use super::credentials::{Checked, Credentials, CredentialsUnavailable, Factors};
use super::outbound;
use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use sekisho_config::{ConfigError, Place, Placed};
use sekisho_lifecycle::UserKey;
use sekisho_lifecycle::profile::Factor;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::process::secret_file;
use sekisho_runtime::telemetry::outbound::describe;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Octets of an answer: six results have 200.
const MOST_ANSWER_OCTETS: usize = 64 * 1024;

/// Octets of the file with the Authorization header: a JWT or a password fits.
const MOST_AUTHORIZATION_OCTETS: u64 = 8 * 1024;

/// Asks the IB system.
///
/// # Protocol
/// One request for each check, all factors together, so that the IB system can count a try as one:
///
/// ```http
/// POST /the/path/of/url HTTP/1.1
/// Authorization: (the text of authorization_file)
/// Content-Type: application/json
///
/// {"contract":"00009876543","user":"riyousya","factors":{"login-password":"…","one-time-password":"123456"}}
/// ```
///
/// The factors' names are those of profiles (`[[permit]] proof`): `login-password`, `pin`, `one-time-password`,
/// `execution-password`, `confirmation-password`, `contract-confirmation-pin`. The answer has status 200 and, for every
/// factor that was sent, whether it is right:
///
/// ```http
/// HTTP/1.1 200 OK
/// Content-Type: application/json
///
/// {"results":{"login-password":"right","one-time-password":"wrong"}}
/// ```
///
/// * A user or contract that the IB system does not know has `wrong` factors; it should take as long.
/// * The IB system uses up a one-time password that was right.
/// * Whatever else comes (another status, a redirect, a result that is missing or neither `right` nor `wrong`, no answer
///   within `timeout`, more than 64 KiB) means that nobody can tell now. It is never taken for `wrong`, so that no user
///   is locked because the IB system is down.
pub struct Delegated {
    client: Client,
    url: Url,
    headers: HeaderMap,
}

#[derive(Serialize)]
struct Question<'q> {
    contract: &'q str,
    user: &'q str,
    #[serde(serialize_with = "by_word")]
    factors: &'q [(Factor, &'q str)],
}

#[derive(Deserialize)]
struct Answer {
    results: Results,
}

/// Results by factor. A name that comes twice is an error: two readers could take different ones.
struct Results(Vec<(String, Verdict)>);

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Right,
    Wrong,
}

impl Delegated {
    /// From `[credentials]`. Asks nothing yet.
    ///
    /// # Errors
    /// A URL that is neither `https://` nor on a loopback address, or every file that cannot be used.
    pub fn new(
        url: &str,
        timeout: Duration,
        authorization: Option<&Placed<PathBuf>>,
        ca: Option<&Placed<PathBuf>>,
    ) -> Result<Self, Vec<ConfigError>> {
        let place = Place { file: "[credentials]".into(), line: 0, key: "url".to_owned() };
        let url = outbound::url(url, &place).map_err(|error| vec![error])?;
        let client = outbound::client(ca, &url, &place, timeout);
        let (client, authorization) = match (client, authorization.map(authorization_of).transpose()) {
            (Ok(client), Ok(authorization)) => (client, authorization),
            (client, authorization) => return Err(client.err().into_iter().chain(authorization.err()).collect()),
        };
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        Ok(Self { client, url, headers })
    }

    async fn ask(&self, user: &UserKey, factors: &[(Factor, &str)]) -> Result<Answer, String> {
        let question = Question { contract: user.contract.as_str(), user: user.user.as_str(), factors };
        let question = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(question);
        let response = request.send().await.map_err(|error| describe(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("the IB system's status is {}", response.status().as_u16()));
        }
        let body = outbound::body(response, MOST_ANSWER_OCTETS).await?;
        serde_json::from_slice(&body).map_err(|error| format!("the IB system's answer is another: {error}"))
    }
}

#[async_trait]
impl Credentials for Delegated {
    async fn check(
        &self,
        user: &UserKey,
        factors: &Factors,
        wanted: &[Factor],
        _now: Timestamp,
    ) -> Result<Checked, CredentialsUnavailable> {
        let given = given(factors, wanted);
        if given.is_empty() {
            return Ok(Checked::default());
        }
        let answer = self.ask(user, &given).await.map_err(|why| CredentialsUnavailable(why.into()))?;
        let mut checked = Checked::default();
        for (factor, _) in given {
            let result = answer.results.0.iter().find(|(word, _)| word == factor.word());
            match result {
                Some((_, Verdict::Right)) => checked.right.push(factor),
                Some((_, Verdict::Wrong)) => checked.wrong.push(factor),
                None => {
                    let why = format!("the IB system's answer has no result of {}", factor.word());
                    return Err(CredentialsUnavailable(why.into()));
                }
            }
        }
        Ok(checked)
    }
}

/// The Authorization header of a file, which only its owner may read.
fn authorization_of(file: &Placed<PathBuf>) -> Result<HeaderValue, ConfigError> {
    let refuse =
        |why: String| ConfigError { place: file.place.clone(), message: format!("{}: {why}", file.value.display()) };
    let text = secret_file::read(&file.value, MOST_AUTHORIZATION_OCTETS).map_err(|error| refuse(error.to_string()))?;
    let value = HeaderValue::from_bytes(text.trim_ascii()).ok().filter(|value| value.to_str().is_ok());
    let mut value = value.ok_or_else(|| refuse("is not the text of a header".to_owned()))?;
    if value.is_empty() {
        return Err(refuse("is empty; write for example: Bearer …".to_owned()));
    }
    value.set_sensitive(true);
    Ok(value)
}

fn by_word<S: serde::Serializer>(factors: &[(Factor, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(factors.len()))?;
    for (factor, text) in factors {
        map.serialize_entry(factor.word(), text)?;
    }
    map.end()
}

impl<'de> Deserialize<'de> for Results {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EachOnce;
        impl<'de> Visitor<'de> for EachOnce {
            type Value = Results;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a result for each factor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Results, A::Error> {
                let mut results: Vec<(String, Verdict)> = Vec::new();
                while let Some((word, verdict)) = map.next_entry::<String, Verdict>()? {
                    // Bounded by the answer's octets.
                    if results.iter().any(|(known, _)| *known == word) {
                        return Err(A::Error::custom("a factor has two results"));
                    }
                    results.push((word, verdict));
                }
                Ok(Results(results))
            }
        }
        deserializer.deserialize_map(EachOnce)
    }
}
