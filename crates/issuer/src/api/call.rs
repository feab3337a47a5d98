//! From an HTTP request to what is asked: the path's IDs, the query, the body, and who calls.

use super::Shared;
use super::body::{ActBody, Who};
use super::gate;
use super::idempotency;
use super::page::Page;
use super::problem::{Kind, Problem};
use super::text::{ContractText, ProfileText, UserText};
use crate::authenticate::{Caller, Factors, NotAuthenticated, ShownCertificate};
use crate::service::{Act, By, Done, Request};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use sekisho_lifecycle::{ContractId, UserId, UserKey};
use sekisho_runtime::clock;
use std::sync::Arc;
use std::time::Instant;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use zeroize::Zeroizing;

/// How many times the limit is read of a body that is too large before it is refused.
const DRAINED: usize = 16;

/// What the gate found out, in the request's extensions.
#[derive(Clone)]
pub(super) struct Asked {
    /// Who calls.
    pub(super) caller: Caller,
    /// The request's reference number.
    pub(super) reference: Arc<str>,
}

/// A request to read.
pub(super) struct Look {
    pub(super) caller: Caller,
    ids: Ids,
    pub(super) page: Page,
    query: bool,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
}

/// A request to act.
pub(super) struct Call<B: ActBody> {
    pub(super) who: Who,
    pub(super) own: B::Own,
    meta: Meta,
}

/// A request to act without its body.
struct Meta {
    asked: Asked,
    ids: Ids,
    command: &'static str,
    handed_on: Option<ShownCertificate>,
    idempotency: Option<Arc<str>>,
    digest: [u8; 32],
}

/// The IDs of a path.
#[derive(Default)]
pub(super) struct Ids {
    contract: Option<ContractId>,
    user: Option<UserId>,
    profile: Option<Arc<str>>,
}

impl<B: ActBody> FromRequest<Arc<Shared>> for Call<B> {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let (asked, ids) = match asked(&mut parts).await {
            Ok(asked) => asked,
            Err(problem) => {
                gate::drain(body, shared.limits.body).await;
                return Err(problem);
            }
        };
        let command = command(&parts);
        let read = read::<B>(&parts, body, &asked.caller, command, shared).await;
        match read {
            Ok((who, own, handed_on, idempotency, digest)) => {
                Ok(Self { who, own, meta: Meta { asked, ids, command, handed_on, idempotency, digest } })
            }
            Err(problem) => {
                record(shared, &asked, &ids, command, &problem).await;
                Err(problem)
            }
        }
    }
}

impl<B: ActBody> Call<B> {
    /// Does it: the contract and user are the path's unless `user` or `contract` say otherwise.
    ///
    /// # Errors
    /// Every problem that is no acceptance.
    pub(super) async fn perform(
        self,
        shared: &Arc<Shared>,
        act: impl FnOnce(B::Own, &mut Target) -> Result<Act, Problem>,
    ) -> Result<(Caller, Done), Problem> {
        let Self { who, own, meta } = self;
        let caller = meta.asked.caller.clone();
        let request = match meta.request(who, own, act) {
            Ok(request) => request,
            Err(refused) => {
                let (meta, problem) = *refused;
                record(shared, &meta.asked, &meta.ids, meta.command, &problem).await;
                return Err(problem);
            }
        };
        if let (Caller::Service { name, .. }, By::User { certificate: None, .. }) = (&request.caller, &request.by) {
            let address = request.address.as_deref();
            shared.tries.take(name, address, &request.contract, Instant::now()).map_err(gate::too_many)?;
        }
        let service = Arc::clone(&shared.service);
        // A task of its own: a client that goes away, or the request's time that is over, does not stop an act half-way.
        let done = tokio::spawn(async move { service.execute(request).await }).await;
        match done {
            Ok(done) => Ok((caller, done?)),
            Err(error) => Err(Problem::new(Kind::Unavailable).because(format!("the act did not end: {error}"))),
        }
    }
}

/// On whom an act is; a body may name what its path does not.
pub(super) struct Target {
    pub(super) contract: Option<ContractId>,
    pub(super) user: Option<UserId>,
}

impl Meta {
    fn request<O>(
        self,
        who: Who,
        own: O,
        act: impl FnOnce(O, &mut Target) -> Result<Act, Problem>,
    ) -> Result<Request, Box<(Self, Problem)>> {
        let mut target = Target { contract: self.ids.contract.clone(), user: self.ids.user.clone() };
        let caller = &self.asked.caller;
        let read = || -> Result<(By, Option<Arc<str>>, Act), Problem> {
            let address = Who::address(caller, who.client_address)?;
            let by = Who::by(caller, who.acting_user, who.staff, self.handed_on.clone())?;
            Ok((by, address, act(own, &mut target)?))
        };
        let (by, address, act) = match read() {
            Ok(read) => read,
            Err(problem) => return Err(Box::new((self, problem))),
        };
        let Some(contract) = target.contract else {
            return Err(Box::new((self, Problem::bad("contract", "is not of its form"))));
        };
        Ok(Request {
            caller: self.asked.caller,
            by,
            contract,
            user: target.user,
            act,
            factors: who.factors.map_or_else(Factors::default, Factors::from),
            address,
            idempotency: self.idempotency,
            digest: self.digest,
            reference: self.asked.reference,
        })
    }
}

impl FromRequestParts<Arc<Shared>> for Look {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Shared>) -> Result<Self, Problem> {
        let (asked, ids) = asked(parts).await?;
        let page = Page::of(&parts.uri)?;
        let (path, headers) = (parts.uri.path().to_owned(), parts.headers.clone());
        let query = parts.uri.query().is_some();
        Ok(Self { caller: asked.caller, ids, page, query, path, headers })
    }
}

impl Look {
    /// Refuses a query where there is none.
    ///
    /// # Errors
    /// `bad-request`.
    pub(super) fn no_query(&self) -> Result<(), Problem> {
        if self.query { Err(Problem::bad("query", "there is none here")) } else { Ok(()) }
    }

    /// The path's contract.
    ///
    /// # Errors
    /// `bad-request`.
    pub(super) fn contract(&self) -> Result<&ContractId, Problem> {
        self.ids.contract.as_ref().ok_or_else(|| Problem::bad("contract", "is not of its form"))
    }

    /// The path's profile and login ID.
    ///
    /// # Errors
    /// `bad-request`.
    pub(super) fn login(&self) -> Result<(&str, &UserId), Problem> {
        let login = self.ids.profile.as_deref().zip(self.ids.user.as_ref());
        login.ok_or_else(|| Problem::bad("profile", "is not of its form"))
    }

    /// The path's user.
    ///
    /// # Errors
    /// `bad-request`.
    pub(super) fn user(&self) -> Result<UserKey, Problem> {
        let user = self.ids.user.clone().ok_or_else(|| Problem::bad("user", "is not of its form"))?;
        Ok(UserKey { contract: self.contract()?.clone(), user })
    }
}

/// What the gate left, and the path's IDs.
pub(super) async fn asked(parts: &mut Parts) -> Result<(Asked, Ids), Problem> {
    let nobody = || Problem::new(Kind::NotAuthenticated).because("a request came past the gate");
    let asked = parts.extensions.get::<Asked>().cloned().ok_or_else(nobody)?;
    let malformed = |field: &str| Problem::bad(field, "is not of its form");
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| malformed("path"))?;
    let mut ids = Ids::default();
    for (name, value) in &params {
        match name {
            "contract" => ids.contract = Some(ContractText::parse(value).ok_or_else(|| malformed(name))?),
            "profile" => ids.profile = Some(ProfileText::parse(value).ok_or_else(|| malformed(name))?),
            "user" => ids.user = Some(UserText::parse(value).ok_or_else(|| malformed(name))?),
            _ => {}
        }
    }
    Ok((asked, ids))
}

/// What a request asks for, as the audit log names it.
fn command(parts: &Parts) -> &'static str {
    const WORDS: [&str; 15] = [
        "offer",
        "reissue",
        "acquire",
        "renew",
        "revoke",
        "continue",
        "lock",
        "unlock",
        "suspend",
        "resume",
        "delete",
        "switch-on",
        "switch-off",
        "contact",
        "credentials",
    ];
    match parts.uri.path().rsplit('/').next().unwrap_or_default() {
        "contracts" => "open",
        "users" => "register",
        last => match WORDS.iter().find(|word| **word == last) {
            Some(&"contact") => "reach",
            Some(&"credentials") => "equip",
            Some(word) => word,
            None => "unknown",
        },
    }
}

type Read<B> = (Who, <B as ActBody>::Own, Option<ShownCertificate>, Option<Arc<str>>, [u8; 32]);

/// Reads all that can be wrong before anything is done.
async fn read<B: ActBody>(
    parts: &Parts,
    body: Body,
    caller: &Caller,
    command: &str,
    shared: &Shared,
) -> Result<Read<B>, Problem> {
    // The body first, whatever else is wrong: a client that still writes it does not see an answer.
    let text = collect(body, shared.limits.body).await;
    let idempotency = idempotency::key(&parts.headers, command)?;
    if parts.uri.query().is_some() {
        return Err(Problem::bad("query", "there is none here"));
    }
    if !is_json(&parts.headers) {
        return Err(Problem::new(Kind::UnsupportedMediaType));
    }
    let text = text?;
    let digest = idempotency::digest(&parts.method, parts.uri.path(), &text);
    let body: B = serde_json::from_slice(&text).map_err(|error| malformed(&error))?;
    let (who, own) = body.split();
    let handed_on = handed_on(parts, caller, shared).await?;
    Ok((who, own, handed_on, idempotency, digest))
}

/// `application/json`, with or without `charset=utf-8`.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next().and_then(|value| value.to_str().ok()), values.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let utf_8 = |part: &str| ["charset=utf-8", "charset=\"utf-8\""].iter().any(|one| part.eq_ignore_ascii_case(one));
    essence && parts.all(utf_8)
}

/// The whole body, cleared when it is dropped, and never more than `limit` octets of it.
pub(super) async fn collect(mut body: Body, limit: usize) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let announced = usize::try_from(axum::body::HttpBody::size_hint(&body).lower()).unwrap_or(usize::MAX);
    let mut text = Zeroizing::new(Vec::with_capacity(announced.clamp(4_096, limit.max(4_096))));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::bad("body", "ended early").because(error.to_string()))?;
        let Some(data) = frame.data_ref() else { continue };
        if text.len().saturating_add(data.len()) > limit {
            // Somewhat too large ones get to hear it.
            gate::drain(body, limit.saturating_mul(DRAINED)).await;
            return Err(Problem::new(Kind::PayloadTooLarge));
        }
        text.extend_from_slice(data);
    }
    Ok(text)
}

/// What is wrong with a body, without repeating anything of it but the name of a field.
pub(super) fn malformed(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let place = format!("line {} column {}", error.line(), error.column());
    let named = ["missing field `", "unknown field `", "duplicate field `", "field `"]
        .iter()
        .find_map(|begin| Some((begin.trim_end_matches(" `"), text.strip_prefix(begin)?.split_once('`')?.0)));
    match named {
        Some((what, field)) if field.len() <= 64 && field.bytes().all(|octet| octet.is_ascii_graphic()) => {
            let what = if what == "field" { "not of its form" } else { what };
            Problem::bad(field, format!("{what}, {place}"))
        }
        _ => {
            Problem::bad("body", format!("{}, {place}", if error.is_data() { "not as documented" } else { "not JSON" }))
        }
    }
}

/// The certificate with which the user came to the service that calls, by the assertion that it hands on.
async fn handed_on(parts: &Parts, caller: &Caller, shared: &Shared) -> Result<Option<ShownCertificate>, Problem> {
    let wrong = |why: NotAuthenticated| {
        let problem = match why {
            NotAuthenticated::Refused(_) => Problem::bad("assertion", "the one that is handed on is not believed"),
            NotAuthenticated::Unavailable(_) => Problem::new(Kind::Unavailable),
        };
        problem.because(why.for_log().to_string())
    };
    let Some(token) = shared.authenticator.handed_on_token(parts).map_err(wrong)? else { return Ok(None) };
    if matches!(caller, Caller::User(_)) {
        return Err(Problem::bad("assertion", "users hand on nobody's"));
    }
    shared.authenticator.handed_on(token, clock::now()).await.map(Some).map_err(wrong)
}

/// Writes down that a request was refused before it could be decided.
async fn record(shared: &Shared, asked: &Asked, ids: &Ids, command: &str, problem: &Problem) {
    let Some(contract) = &ids.contract else { return };
    let user = ids.user.as_ref().map(UserId::as_str);
    let (caller, why) = (Some(&asked.caller), problem.why());
    shared.service.refused_before(caller, contract.as_str(), user, command, &why, &asked.reference).await;
}

/// The path's contract in the document.
pub(super) struct ContractPath;

/// The path's contract and user in the document.
pub(super) struct UserPath;

/// The path's profile and login ID in the document.
pub(super) struct LoginPath;

impl IntoParams for ContractPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path("contract", <ContractText as utoipa::PartialSchema>::schema())]
    }
}

impl IntoParams for UserPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let user = in_path("user", <UserText as utoipa::PartialSchema>::schema());
        vec![in_path("contract", <ContractText as utoipa::PartialSchema>::schema()), user]
    }
}

impl IntoParams for LoginPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let profile = in_path("profile", <ProfileText as utoipa::PartialSchema>::schema());
        vec![profile, in_path("user", <UserText as utoipa::PartialSchema>::schema())]
    }
}

fn in_path(name: &str, schema: utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>) -> Parameter {
    let of = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    of.schema(Some(schema)).build()
}

#[cfg(test)]
mod tests {
    use super::super::body::AcquireBody;
    use super::*;

    fn refusal(text: &str) -> Problem {
        malformed(&serde_json::from_str::<AcquireBody>(text).err().unwrap())
    }

    #[test]
    fn a_malformed_body_is_told_by_field_and_place_and_not_repeated() {
        for (text, field) in [
            (r#"{"key":{"csr":"x"},"hunter2":1}"#, "hunter2"),
            (r#"{}"#, "key"),
            (r#"{"key":{"csr":"x"},"key":{"csr":"x"}}"#, "key"),
            (r#"{"key":{"csr":"x"},"acquisition_password":"hunter2"}"#, "acquisition_password"),
            (r#"{"key":"hunter2"}"#, "body"),
            (r#"{"key":{"csr":"hunter2","p12_password":""}}"#, "body"),
            (r#"{"key":{"csr":"x"},"staff":"hunter2"}"#, "body"),
            (r#"{"key":"#, "body"),
            ("", "body"),
            ("[]", "body"),
        ] {
            let problem = refusal(text);
            assert_eq!(problem.field.as_deref(), Some(field), "{text}");
            assert!(!problem.detail.unwrap().contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_json() {
        let is = |value: &str| is_json(&[(header::CONTENT_TYPE, value.parse().unwrap())].into_iter().collect());
        assert!(is("application/json") && is("Application/JSON; charset=UTF-8"));
        for wrong in ["", "text/json", "application/json-patch+json", "application/json; charset=shift_jis"] {
            assert!(!is(wrong), "{wrong}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
