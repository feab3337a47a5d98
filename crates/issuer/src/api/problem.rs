//! Refusals as the caller gets them: RFC 9457, `application/problem+json`.
//!
//! The `type` is stable and says what a program may do about it. Nothing here helps a guesser: what exactly was wrong
//! is in the log and in the audit log, under the reference number.

use crate::service::Refused;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sekisho_lifecycle::profile::Factor;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What every problem's type begins with.
const TYPE: &str = "urn:sekisho:problem:";

/// Seconds after which a caller may come again when a part does not answer.
const RETRY_AFTER: u64 = 2;

/// The kinds of problem, each with its stable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is its name in the table below")]
pub(super) enum Kind {
    AcquisitionRefused,
    NotPermitted,
    ProofRequired,
    NotPossibleNow,
    BadRequest,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    NotRepeatable,
    InProgress,
    FeedAhead,
    AlreadyThere,
    KeyNotAcceptable,
    NotAuthenticated,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    PayloadTooLarge,
    UnsupportedMediaType,
    RateLimited,
    Unavailable,
    Timeout,
}

impl Kind {
    /// Every kind: name, status, title in English and Japanese.
    pub(super) const ALL: [(Self, &'static str, StatusCode, &'static str, &'static str); 21] = {
        use StatusCode as S;
        [
            (
                Self::AcquisitionRefused,
                "acquisition-refused",
                S::FORBIDDEN,
                "The certificate cannot be acquired with what was given.",
                "入力された内容では証明書を取得できません。",
            ),
            (
                Self::NotPermitted,
                "not-permitted",
                S::FORBIDDEN,
                "You are not permitted to do this.",
                "この操作を行う権限がありません。",
            ),
            (
                Self::ProofRequired,
                "proof-required",
                S::FORBIDDEN,
                "A step of the authentication is to be done, or done again.",
                "認証の手続きが必要です。",
            ),
            (
                Self::NotPossibleNow,
                "not-possible-now",
                S::CONFLICT,
                "This is not possible in the present state.",
                "現在の状態ではこの操作を行えません。",
            ),
            (
                Self::BadRequest,
                "bad-request",
                S::BAD_REQUEST,
                "The request is not well-formed.",
                "リクエストの形式に誤りがあります。",
            ),
            (
                Self::IdempotencyKeyRequired,
                "idempotency-key-required",
                S::BAD_REQUEST,
                "This request needs an Idempotency-Key.",
                "Idempotency-Keyヘッダーが必要です。",
            ),
            (
                Self::IdempotencyKeyReused,
                "idempotency-key-reused",
                S::UNPROCESSABLE_ENTITY,
                "The Idempotency-Key was another request's.",
                "Idempotency-Keyは別のリクエストで使用されています。",
            ),
            (
                Self::NotRepeatable,
                "not-repeatable",
                S::CONFLICT,
                "It was done before, and what it gave out is not kept.",
                "処理は完了しており、結果を再度表示することはできません。",
            ),
            (
                Self::InProgress,
                "in-progress",
                S::CONFLICT,
                "The first request with this Idempotency-Key is being worked on.",
                "同じリクエストを処理中です。",
            ),
            (
                Self::FeedAhead,
                "feed-ahead",
                S::CONFLICT,
                "The store has not come to this sequence number.",
                "この通番はまだ存在しません。",
            ),
            (Self::AlreadyThere, "already-there", S::CONFLICT, "It is there already.", "すでに登録されています。"),
            (
                Self::KeyNotAcceptable,
                "key-not-acceptable",
                S::UNPROCESSABLE_ENTITY,
                "The certification request cannot be accepted.",
                "証明書署名要求を受け付けられません。",
            ),
            (
                Self::NotAuthenticated,
                "not-authenticated",
                S::UNAUTHORIZED,
                "The caller is not known.",
                "呼び出し元を確認できません。",
            ),
            (Self::NotFound, "not-found", S::NOT_FOUND, "There is nothing here.", "見つかりません。"),
            (
                Self::MethodNotAllowed,
                "method-not-allowed",
                S::METHOD_NOT_ALLOWED,
                "This cannot be done here.",
                "このメソッドは使用できません。",
            ),
            (
                Self::NotAcceptable,
                "not-acceptable",
                S::NOT_ACCEPTABLE,
                "It is not there in a form that you accept.",
                "指定された形式では提供できません。",
            ),
            (
                Self::PayloadTooLarge,
                "payload-too-large",
                S::PAYLOAD_TOO_LARGE,
                "The request is too large.",
                "リクエストが大きすぎます。",
            ),
            (
                Self::UnsupportedMediaType,
                "unsupported-media-type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "The body is to be application/json.",
                "本文はapplication/jsonで送信してください。",
            ),
            (
                Self::RateLimited,
                "rate-limited",
                S::TOO_MANY_REQUESTS,
                "Too many requests. Come again later.",
                "リクエストが多すぎます。時間をおいて再度お試しください。",
            ),
            (
                Self::Unavailable,
                "unavailable",
                S::SERVICE_UNAVAILABLE,
                "The service is not available. Come again later.",
                "サービスを利用できません。時間をおいて再度お試しください。",
            ),
            (
                Self::Timeout,
                "timeout",
                S::SERVICE_UNAVAILABLE,
                "It took too long. Repeat it with the same Idempotency-Key to learn whether it was done.",
                "タイムアウトしました。同じIdempotency-Keyで再送すると結果を確認できます。",
            ),
        ]
    };

    fn row(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        let found = Self::ALL.iter().find(|(kind, ..)| *kind == self);
        let closed = ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "", "");
        found.map_or(closed, |(_, name, status, title, title_ja)| (*name, *status, *title, *title_ja))
    }

    /// Its stable name.
    pub(super) fn name(self) -> &'static str {
        self.row().0
    }

    /// Its status.
    pub(super) fn status(self) -> StatusCode {
        self.row().1
    }

    /// The kind for a response that a library made.
    pub(super) fn of(status: StatusCode) -> Self {
        let closed = if status.is_client_error() { Self::BadRequest } else { Self::Unavailable };
        Self::ALL
            .iter()
            .find(|(kind, _, known, ..)| *known == status && !status.is_server_error() && *kind != Self::ProofRequired)
            .map_or(closed, |(kind, ..)| *kind)
    }
}

/// A refusal on its way out. The gate gives it its reference number and writes it.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// What it is.
    pub(super) kind: Kind,
    /// What is wrong in the request: of the caller's own making only.
    pub(super) field: Option<Arc<str>>,
    /// What is wrong with it.
    pub(super) detail: Option<Arc<str>>,
    /// The factors that are to be given.
    pub(super) required: Vec<Factor>,
    /// Seconds after which to come again.
    pub(super) retry_after: Option<u64>,
    /// What happened, for the log only.
    pub(super) cause: Option<Arc<str>>,
}

impl Problem {
    /// A problem of which its kind says all.
    pub(super) fn new(kind: Kind) -> Self {
        let retry_after = (kind.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER);
        Self { kind, field: None, detail: None, required: Vec::new(), retry_after, cause: None }
    }

    /// `bad-request`: that field cannot be taken.
    pub(super) fn bad(field: impl Into<Arc<str>>, detail: impl Into<Arc<str>>) -> Self {
        let (field, detail) = (Some(field.into()), Some(detail.into()));
        Self { field, detail, ..Self::new(Kind::BadRequest) }
    }

    /// With what happened, for the log.
    pub(super) fn because(self, cause: impl Into<Arc<str>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// Why, for the log and the audit log.
    pub(super) fn why(&self) -> String {
        let parts = [Some(self.kind.name()), self.field.as_deref(), self.detail.as_deref(), self.cause.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    }

    /// What is sent.
    pub(super) fn render(&self, reference: &str) -> Response {
        let (name, status, title, title_ja) = self.kind.row();
        let body = ProblemBody {
            r#type: format!("{TYPE}{name}"),
            title,
            title_ja,
            status: status.as_u16(),
            reference,
            field: self.field.as_deref(),
            detail: self.detail.as_deref(),
            required: (!self.required.is_empty()).then(|| self.required.iter().map(|one| one.word()).collect()),
        };
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, text).into_response();
        let mut put = |name: HeaderName, value: HeaderValue| response.headers_mut().insert(name, value);
        put(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            put(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 15.5.2 wants a challenge; no scheme is registered for certificates in the handshake.
            put(header::WWW_AUTHENTICATE, HeaderValue::from_static("TLS-Client-Certificate"));
        }
        response
    }
}

/// The body of a problem.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// `urn:sekisho:problem:<name>`: stable, for programs.
    #[schema(pattern = "^urn:sekisho:problem:[a-z-]+$", example = "urn:sekisho:problem:not-permitted")]
    r#type: String,
    /// For people, in English.
    title: &'a str,
    /// For people, in Japanese.
    title_ja: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The reference number of the request: in the logs and in the audit log.
    #[schema(example = "7Q3F-K0ZD-93MX-A1VT")]
    reference: &'a str,
    /// What in the request cannot be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// The factors that are to be given, all of them right; `current-certificate` is shown, not typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<Vec<&'a str>>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        use sekisho_lifecycle::PublicReason;
        match refused {
            Refused::Rules(reason) => Self::new(match reason {
                PublicReason::AcquisitionRefused => Kind::AcquisitionRefused,
                PublicReason::NotPermitted => Kind::NotPermitted,
                PublicReason::ProofRequired => Kind::ProofRequired,
                PublicReason::NotPossibleNow => Kind::NotPossibleNow,
            }),
            Refused::Proof(required) => Self { required, ..Self::new(Kind::ProofRequired) },
            Refused::Request(field, why) => Self::bad(field, why),
            Refused::Key(why) => Self { detail: Some(why), ..Self::new(Kind::KeyNotAcceptable) },
            Refused::IdempotencyKeyReused => Self::new(Kind::IdempotencyKeyReused),
            Refused::NotRepeatable => Self::new(Kind::NotRepeatable),
            Refused::InProgress => Self::new(Kind::InProgress),
            Refused::AlreadyThere => Self::new(Kind::AlreadyThere),
            Refused::Unavailable(why) => Self::new(Kind::Unavailable).because(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_a_name_and_both_titles() {
        let mut names = HashSet::new();
        for (kind, name, status, title, title_ja) in Kind::ALL {
            assert!(names.insert(name) && kind.name() == name && kind.status() == status, "{name}");
            assert!(status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE, "{name}");
            assert!(title.is_ascii() && !title_ja.is_ascii(), "{name}");
        }
    }

    #[test]
    fn a_librarys_refusal_is_the_problem_of_its_status() {
        for (status, kind) in [
            (StatusCode::METHOD_NOT_ALLOWED, Kind::MethodNotAllowed),
            (StatusCode::NOT_FOUND, Kind::NotFound),
            (StatusCode::PAYLOAD_TOO_LARGE, Kind::PayloadTooLarge),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, Kind::UnsupportedMediaType),
            (StatusCode::BAD_REQUEST, Kind::BadRequest),
            (StatusCode::IM_A_TEAPOT, Kind::BadRequest),
            (StatusCode::INTERNAL_SERVER_ERROR, Kind::Unavailable),
            (StatusCode::SERVICE_UNAVAILABLE, Kind::Unavailable),
        ] {
            assert_eq!(Kind::of(status), kind, "{status}");
        }
    }

    #[test]
    fn what_is_for_the_log_is_not_sent() {
        let problem = Problem::new(Kind::Unavailable).because("sqlite: disk I/O error");
        let response = problem.render("0000-0000-0000-0000");
        assert_eq!(response.headers()["retry-after"], "2");
        assert!(problem.why().contains("disk"));
        let body = futures_util::FutureExt::now_or_never(axum::body::to_bytes(response.into_body(), 4_096));
        let body = String::from_utf8(body.unwrap().unwrap().to_vec()).unwrap();
        assert!(!body.contains("disk") && body.contains("urn:sekisho:problem:unavailable"), "{body}");
    }
}
