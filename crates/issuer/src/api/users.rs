//! Users: the list, registration, how to reach them, what they may read.

use super::Shared;
use super::answer::{DoneView, UserView};
use super::body::{ActBody, EquipBody, ReachBody, RegisterBody};
use super::call::{Call, ContractPath, LoginPath, Look, Target, UserPath};
use super::contracts::created;
use super::idempotency::{KeyOptional, KeyRequired};
use super::page::{ByIdentifier, ByNumber, LimitOnly, Listed, NUMBER};
use super::problem::{Kind, Problem};
use super::text::UserText;
use super::told::{HistoryView, NoticeView};
use crate::service::Act;
use crate::store::{Contact, UserRow};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sekisho_ca::download::pem;
use sekisho_lifecycle::UserId;
use sekisho_lifecycle::profile::RoleName;
use sekisho_runtime::clock;
use std::sync::Arc;

/// A chain in PEM (RFC 8555 section 9.1): the certificate first, without the root.
const PEM_CHAIN: &str = "application/pem-certificate-chain";

/// One certificate in DER (RFC 2585).
const DER: &str = "application/pkix-cert";

/// Lists the users of a contract 利用者一覧, by ID.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/users", tag = "users", params(ContractPath, ByIdentifier),
    responses((status = 200, description = "A page of them.", body = Listed<UserView>))
)]
pub(super) async fn list_users(State(shared): State<Arc<Shared>>, look: Look) -> Result<Listed<UserView>, Problem> {
    let after = look.page.after(UserText::parse)?;
    let contract = look.contract()?;
    let rows = shared.service.users(&look.caller, contract, after.as_ref(), look.page.and_one()).await?;
    let contract = shared.service.contract(&look.caller, contract).await?;
    let (profile, now) = (shared.profile(&contract)?, clock::now());
    let show = |row: UserRow| UserView::new(&row, profile, &look.caller, now);
    Ok(look.page.listed(&look.path, rows, |row| row.user.key.user.to_string(), show))
}

/// Registers a user 利用者登録. Where the profile opens acquisitions by offer, one comes with it.
#[utoipa::path(
    post, path = "/v1/contracts/{contract}/users", tag = "users", params(ContractPath, KeyRequired),
    request_body = RegisterBody, responses((status = 201, description = "They are registered.", body = DoneView))
)]
pub(super) async fn register_user(
    State(shared): State<Arc<Shared>>,
    call: Call<RegisterBody>,
) -> Result<Response, Problem> {
    let register = |(id, role, contact): <RegisterBody as ActBody>::Own, target: &mut Target| {
        target.user = id.id();
        let role = RoleName(role.as_str().into());
        Ok(Act::Register { role, contact: contact.map_or_else(Contact::default, Contact::from) })
    };
    let (caller, done) = call.perform(&shared, register).await?;
    let user = done.user.as_ref().map(|row| row.user.key.clone());
    let view = shared.done_view(done, &caller).await?;
    let location = user.map(|key| format!("/v1/contracts/{}/users/{}", key.contract, key.user)).unwrap_or_default();
    Ok(created(&location, view.into_response()))
}

/// Shows a user.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/users/{user}", tag = "users", params(UserPath),
    responses((status = 200, description = "The user.", body = UserView))
)]
pub(super) async fn show_user(State(shared): State<Arc<Shared>>, look: Look) -> Result<Json<UserView>, Problem> {
    look.no_query()?;
    let (contract, row) = shared.service.user(&look.caller, &look.user()?).await?;
    Ok(Json(UserView::new(&row, shared.profile(&contract)?, &look.caller, clock::now())))
}

/// Finds the user of a login ID, of a product whose login IDs are unique in the bank: they type no contract. Where there
/// is none, an acquisition goes on with any contract that is not there, and is answered as a wrong factor is.
#[utoipa::path(
    get, path = "/v1/profiles/{profile}/users/{user}", tag = "users", params(LoginPath),
    responses((status = 200, description = "The user, with their contract.", body = UserView))
)]
pub(super) async fn show_login(State(shared): State<Arc<Shared>>, look: Look) -> Result<Json<UserView>, Problem> {
    look.no_query()?;
    let (profile, login) = look.login()?;
    let (contract, row) = shared.service.user_of_login(&look.caller, profile, login).await?;
    Ok(Json(UserView::new(&row, shared.profile(&contract)?, &look.caller, clock::now())))
}

/// Sets how to reach a user; by staff.
#[utoipa::path(
    put, path = "/v1/contracts/{contract}/users/{user}/contact", tag = "users", params(UserPath, KeyOptional),
    request_body = ReachBody, responses((status = 200, description = "The user as they are now.", body = DoneView))
)]
pub(super) async fn reach_user(State(shared): State<Arc<Shared>>, call: Call<ReachBody>) -> Result<DoneView, Problem> {
    let (caller, done) = call.perform(&shared, |(contact,), _| Ok(Act::Reach(contact.into()))).await?;
    shared.done_view(done, &caller).await
}

/// Sets a user's factors; by staff.
#[utoipa::path(
    put, path = "/v1/contracts/{contract}/users/{user}/credentials", tag = "users", params(UserPath, KeyOptional),
    request_body = EquipBody, responses((status = 204, description = "They are set."))
)]
pub(super) async fn equip_user(
    State(shared): State<Arc<Shared>>,
    call: Call<EquipBody>,
) -> Result<StatusCode, Problem> {
    call.perform(&shared, |(credentials,), _| Ok(Act::Equip(credentials.into()))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows the last certificate that a user acquired, alive or not.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/users/{user}/certificate", tag = "users", params(UserPath),
    responses((
        status = 200, description = "The certificate; in PEM with those above it, without the root.",
        content((String = "application/pem-certificate-chain"), (Vec<u8> = "application/pkix-cert"))
    ))
)]
pub(super) async fn show_certificate(State(shared): State<Arc<Shared>>, look: Look) -> Result<Response, Problem> {
    look.no_query()?;
    let form = acceptable(&look.headers).ok_or_else(|| Problem::new(Kind::NotAcceptable))?;
    let row = shared.service.certificate(&look.caller, &look.user()?).await?;
    let found = row.and_then(|row| Some((row.der.clone()?, row)));
    let (der, row) = found.ok_or_else(|| Problem::new(Kind::NotFound))?;
    let content = if form == DER {
        der.to_vec()
    } else {
        let above = shared.service.certificates_above(&row);
        std::iter::once(&der).chain(&above).map(|one| pem("CERTIFICATE", one)).collect::<String>().into_bytes()
    };
    Ok(([(header::CONTENT_TYPE, form), (header::VARY, "Accept")], content).into_response())
}

/// Shows the operation history 操作履歴 of a user, the newest first.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/users/{user}/history", tag = "users", params(UserPath, ByNumber),
    responses((status = 200, description = "A page of it.", body = Listed<HistoryView>))
)]
pub(super) async fn user_history(
    State(shared): State<Arc<Shared>>,
    look: Look,
) -> Result<Listed<HistoryView>, Problem> {
    let user = look.user()?.user;
    history(&shared, &look, Some(&user)).await
}

/// Shows the newest notices to a user.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/users/{user}/notices", tag = "users", params(UserPath, LimitOnly),
    responses((status = 200, description = "The newest of them; there is no next page.", body = Listed<NoticeView>))
)]
pub(super) async fn user_notices(State(shared): State<Arc<Shared>>, look: Look) -> Result<Listed<NoticeView>, Problem> {
    if look.page.after.is_some() {
        return Err(Problem::bad("after", "there is none here"));
    }
    let rows = shared.service.notices(&look.caller, &look.user()?, look.page.limit).await?;
    Ok(look.page.listed(&look.path, rows, |row| row.id.to_string(), NoticeView::from))
}

/// A page of history.
pub(super) async fn history(
    shared: &Shared,
    look: &Look,
    user: Option<&UserId>,
) -> Result<Listed<HistoryView>, Problem> {
    let before = look.page.after(number)?;
    let contract = look.contract()?;
    let rows = shared.service.history(&look.caller, contract, user, before, look.page.and_one()).await?;
    // Only to name the screens: the history of a contract that is not there (any more) is shown without.
    let row = shared.service.contract(&look.caller, contract).await.ok();
    let profile = row.as_ref().and_then(|row| shared.service.profile(row));
    let show = |record| HistoryView::new(record, profile.map(|profile| &**profile), &look.caller);
    Ok(look.page.listed(&look.path, rows, |record| record.sequence.to_string(), show))
}

/// A cursor as [`NUMBER`] has it.
fn number(text: &str) -> Option<u64> {
    debug_assert!(NUMBER.ends_with("{0,17}$"), "the length below is the rule's");
    let plain = text.len() <= 18 && !text.starts_with('0') && text.bytes().all(|octet| octet.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The form that a client takes, PEM before DER; RFC 9110 section 12.5.1 without weights but for `q=0`.
fn acceptable(headers: &HeaderMap) -> Option<&'static str> {
    let values: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() {
        return Some(PEM_CHAIN);
    }
    let mut ranges: Vec<&str> = Vec::new();
    for range in values.iter().flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let refused = |part: &str| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        if !parts.any(refused) {
            ranges.push(essence);
        }
    }
    let takes = |form: &str| {
        ranges.iter().any(|range| range.eq_ignore_ascii_case(form) || matches!(*range, "*/*" | "application/*"))
    };
    [PEM_CHAIN, DER].into_iter().find(|form| takes(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &[&str]) -> Option<&'static str> {
        acceptable(&accept.iter().map(|value| (header::ACCEPT, value.parse().unwrap())).collect())
    }

    #[test]
    fn a_certificate_is_given_in_the_form_that_is_asked_for() {
        for accept in [&[][..], &["*/*"], &["application/*;q=0.5"], &["text/html, application/pem-certificate-chain"]] {
            assert_eq!(form(accept), Some(PEM_CHAIN), "{accept:?}");
        }
        assert_eq!(form(&["application/pkix-cert"]), Some(DER));
        assert_eq!(form(&["text/html", "Application/PKIX-Cert;q=0.1"]), Some(DER));
        for accept in [&["text/html"][..], &["application/pkix-cert;q=0"], &[""]] {
            assert_eq!(form(accept), None, "{accept:?}");
        }
    }

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(number("12"), Some(12));
        assert_eq!(number("999999999999999999"), Some(999_999_999_999_999_999));
        for wrong in ["", "0", "01", "+1", "-1", "1 ", "1000000000000000000", "１"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }
}
