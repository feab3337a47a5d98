//! Whether a certificate is revoked, and who knows it.

use super::Shared;
use super::answer::PropagationView;
use super::problem::{Kind, Problem};
use super::seek::Seek;
use crate::feed::{NodeState, Propagation};
use crate::store::Status;
use axum::Json;
use axum::extract::State;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

/// Serial numbers in hex: at most 20 octets (RFC 5280 section 4.1.2.2), either case, as openssl and the API write them.
const SERIAL: &str = "^([0-9A-Fa-f]{2}){1,20}$";

/// Of which authority.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RevocationQuery {
    /// The authority's name in the configuration; absent: whichever it is.
    #[param(max_length = 64)]
    authority: Option<String>,
}

/// The path's serial number in the document.
pub(super) struct SerialPath;

/// What became of a certificate's status, and how far it has come.
#[derive(Serialize, ToSchema)]
#[schema(as = Revocation)]
pub(super) struct RevocationView {
    /// In hex.
    #[schema(pattern = "^[0-9a-f]+$")]
    serial: String,
    /// The authority's name.
    authority: String,
    /// `revoked`, `held` (its user is suspended) or `released` (they are no more).
    status: &'static str,
    /// Why, as RFC 5280 names it; of one that is released, `null`.
    #[schema(required, example = "keyCompromise")]
    reason: Option<&'static str>,
    /// When it became so.
    #[schema(format = DateTime)]
    revoked_at: String,
    /// The number of this change of status.
    #[schema(minimum = 1)]
    sequence: u64,
    /// How far it has come; `null` where there is no feed.
    #[schema(required)]
    propagation: Option<SpreadView>,
}

/// How far a change has come, gateway by gateway.
#[derive(Serialize, ToSchema)]
#[schema(as = Spread)]
pub(super) struct SpreadView {
    /// The number of the change of status.
    #[schema(minimum = 1)]
    sequence: u64,
    /// Gateways that were seen lately.
    gateways: usize,
    /// Those that have it in force.
    have: usize,
    /// From the commit until the last of them said so; `null` while one lacks it, and where there are none.
    #[schema(required)]
    milliseconds: Option<u64>,
    /// Each of them, by name.
    nodes: Vec<NodeView>,
}

/// One gateway.
#[derive(Serialize, ToSchema)]
#[schema(as = SpreadNode)]
pub(super) struct NodeView {
    /// The name of its service.
    name: String,
    /// Which of the gateways with that service's certificate it is; `null` where it did not say.
    #[schema(required)]
    instance: Option<String>,
    /// Whether it has it in force: it has the change, and the feed is in force there for its authority.
    acknowledged: bool,
    /// From the commit until it said so.
    #[schema(required)]
    milliseconds: Option<u64>,
    /// When an issuer had to do with it last.
    #[schema(format = DateTime)]
    seen: String,
}

/// Shows the last change of a certificate's status and which gateways have it in force; right `read`. A certificate
/// whose status never changed is not found.
#[utoipa::path(
    get, path = "/v1/revocations/{serial}", tag = "revocations", params(SerialPath, RevocationQuery),
    responses((status = 200, description = "Its status.", body = RevocationView))
)]
pub(super) async fn show_revocation(
    State(shared): State<Arc<Shared>>,
    seek: Seek,
) -> Result<Json<RevocationView>, Problem> {
    let query: RevocationQuery = seek.query()?;
    let serial = seek.path_value("serial").and_then(serial).ok_or_else(|| Problem::bad("serial", "is not hex"))?;
    let found = shared.service.written(&seek.caller, &serial).await?;
    let is_asked = |authority: &str| query.authority.as_deref().is_none_or(|asked| asked == authority);
    let (row, written_ms) =
        found.filter(|(row, _)| is_asked(&row.change.authority)).ok_or_else(|| Problem::new(Kind::NotFound))?;
    let propagation = match &shared.feed {
        None => None,
        Some(feed) => {
            let nodes = feed.nodes(row.sequence, written_ms).await;
            let (sum, nodes) = nodes.map_err(|error| Problem::new(Kind::Unavailable).because(error.to_string()))?;
            Some(SpreadView::new(sum, nodes))
        }
    };
    let (status, reason) = match row.change.status {
        Status::Revoked(reason) => ("revoked", Some(reason.name())),
        Status::Held => ("held", Some(RevocationReason::CertificateHold.name())),
        Status::Released => ("released", None),
    };
    Ok(Json(RevocationView {
        serial: row.change.serial.to_string(),
        authority: row.change.authority.to_string(),
        status,
        reason,
        revoked_at: row.change.at.to_string(),
        sequence: row.sequence,
        propagation,
    }))
}

impl SpreadView {
    fn new(sum: Propagation, nodes: Vec<NodeState>) -> Self {
        let node = |node: NodeState| NodeView {
            name: node.name.to_string(),
            instance: node.instance.as_deref().map(str::to_owned),
            acknowledged: node.has,
            milliseconds: node.milliseconds,
            seen: node.seen.to_string(),
        };
        let Propagation { sequence, gateways, have, milliseconds } = sum;
        Self { sequence, gateways, have, milliseconds, nodes: nodes.into_iter().map(node).collect() }
    }
}

impl From<Propagation> for PropagationView {
    fn from(of: Propagation) -> Self {
        let Propagation { sequence, gateways, have, milliseconds } = of;
        Self { sequence, gateways, have, milliseconds }
    }
}

impl IntoParams for SerialPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(SERIAL));
        let of = ParameterBuilder::new().name("serial").parameter_in(ParameterIn::Path).required(Required::True);
        vec![of.description(Some("In hex.")).schema(Some(schema)).build()]
    }
}

/// From hex: of a positive number, whose leading sign octet may be left out.
fn serial(text: &str) -> Option<SerialNumber> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !(1..=20).contains(&pairs.len()) || !rest.is_empty() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let octets = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    let octets: Vec<u8> = std::iter::once(Some(0)).chain(octets).collect::<Option<_>>()?;
    SerialNumber::from_der_content(&octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_read_as_it_is_written() {
        for text in ["7f", "80", "00ff", "0b2a", "ffffffffffffffffffffffffffffffffffffffff"] {
            let read = serial(text).unwrap();
            assert_eq!(read.to_string(), text.strip_prefix("00").unwrap_or(text), "{text}");
            assert_eq!(serial(&text.to_uppercase()), Some(read), "{text}");
            assert!(read.as_bytes()[0] & 0x80 == 0, "{text} is negative");
        }
        for wrong in ["", "7", "7g", "+7", " 7f", "7f7", "0x7f", &"00".repeat(21), "７f"] {
            assert_eq!(serial(wrong), None, "{wrong}");
        }
    }
}
