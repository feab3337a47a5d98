//! Contracts.

use super::Shared;
use super::answer::ContractView;
use super::body::{EquipContractBody, OpenBody, PlainBody};
use super::call::{Call, ContractPath, Look, Target};
use super::idempotency::{KeyOptional, KeyRequired};
use super::page::{ByIdentifier, ByNumber, Listed};
use super::problem::Problem;
use super::text::ContractText;
use super::told::HistoryView;
use crate::service::Act;
use crate::store::ContractRow;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Lists contracts by ID; services only.
#[utoipa::path(
    get, path = "/v1/contracts", tag = "contracts", params(ByIdentifier),
    responses((status = 200, description = "A page of them.", body = Listed<ContractView>))
)]
pub(super) async fn list_contracts(
    State(shared): State<Arc<Shared>>,
    look: Look,
) -> Result<Listed<ContractView>, Problem> {
    let after = look.page.after(ContractText::parse)?;
    let rows = shared.service.contracts(&look.caller, after.as_ref(), look.page.and_one()).await?;
    let show = |row: ContractRow| shared.contract_view(&row);
    Ok(look.page.listed(&look.path, rows, |row| row.contract.id.to_string(), show))
}

/// Opens a contract; by staff.
#[utoipa::path(
    post, path = "/v1/contracts", tag = "contracts", params(KeyRequired), request_body = OpenBody,
    responses((status = 201, description = "It is open.", body = ContractView))
)]
pub(super) async fn open_contract(
    State(shared): State<Arc<Shared>>,
    call: Call<OpenBody>,
) -> Result<Response, Problem> {
    let open = |(id, profile, one_time_password): <OpenBody as super::body::ActBody>::Own, target: &mut Target| {
        target.contract = id.id();
        Ok(Act::Open { profile: profile.as_str().into(), one_time_password: one_time_password.into() })
    };
    let (_, done) = call.perform(&shared, open).await?;
    let location = format!("/v1/contracts/{}", done.contract.contract.id);
    let view = shared.contract_view(&done.contract);
    Ok(created(&location, Json(view).into_response()))
}

/// Shows a contract.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}", tag = "contracts", params(ContractPath),
    responses((status = 200, description = "The contract.", body = ContractView))
)]
pub(super) async fn show_contract(
    State(shared): State<Arc<Shared>>,
    look: Look,
) -> Result<Json<ContractView>, Problem> {
    look.no_query()?;
    let row = shared.service.contract(&look.caller, look.contract()?).await?;
    Ok(Json(shared.contract_view(&row)))
}

/// Switches the certificate feature of a contract on; by staff.
#[utoipa::path(
    post, path = "/v1/contracts/{contract}/switch-on", tag = "contracts", params(ContractPath, KeyOptional),
    request_body = PlainBody, responses((status = 200, description = "It is on.", body = ContractView))
)]
pub(super) async fn switch_on(
    State(shared): State<Arc<Shared>>,
    call: Call<PlainBody>,
) -> Result<Json<ContractView>, Problem> {
    switch(&shared, call, Act::SwitchOn).await
}

/// Switches it off; the profile says what becomes of the certificates. By staff.
#[utoipa::path(
    post, path = "/v1/contracts/{contract}/switch-off", tag = "contracts", params(ContractPath, KeyOptional),
    request_body = PlainBody, responses((status = 200, description = "It is off.", body = ContractView))
)]
pub(super) async fn switch_off(
    State(shared): State<Arc<Shared>>,
    call: Call<PlainBody>,
) -> Result<Json<ContractView>, Problem> {
    switch(&shared, call, Act::SwitchOff).await
}

/// Sets the factors that a contract has as a whole; by staff.
#[utoipa::path(
    put, path = "/v1/contracts/{contract}/credentials", tag = "contracts", params(ContractPath, KeyOptional),
    request_body = EquipContractBody, responses((status = 204, description = "They are set."))
)]
pub(super) async fn equip_contract(
    State(shared): State<Arc<Shared>>,
    call: Call<EquipContractBody>,
) -> Result<StatusCode, Problem> {
    call.perform(&shared, |(credentials,), _| Ok(Act::Equip(credentials.into()))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows the operation history 操作履歴 of a contract, the newest first.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/history", tag = "contracts", params(ContractPath, ByNumber),
    responses((status = 200, description = "A page of it.", body = Listed<HistoryView>))
)]
pub(super) async fn contract_history(
    State(shared): State<Arc<Shared>>,
    look: Look,
) -> Result<Listed<HistoryView>, Problem> {
    super::users::history(&shared, &look, None).await
}

async fn switch(shared: &Arc<Shared>, call: Call<PlainBody>, act: Act) -> Result<Json<ContractView>, Problem> {
    let (_, done) = call.perform(shared, |(), _| Ok(act)).await?;
    let mut view = shared.contract_view(&done.contract);
    view.propagation = shared.propagation(done.changed).await;
    Ok(Json(view))
}

/// 201, and where it is.
pub(super) fn created(location: &str, mut response: Response) -> Response {
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
