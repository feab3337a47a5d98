//! From the octets of one list to a list that may be put in force, or the reason why not (requirement R2).

use super::alarm::AlarmKind;
use super::authority::AuthorityFacts;
use super::background::make_way;
use super::lists::{Content, RevocationList};
use super::revoked::RevokedIndex;
use sekisho_pki::crl::{
    CertificateList, CrlError, MalformedList, NotUnderstood, RevocationListHeader, Scope, SignatureError, SignedList,
};
use sekisho_pki::name::DistinguishedName;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// Seconds that thisUpdate may lie ahead of this machine's clock: what two machines with a time service differ by at
/// the very worst, as Kerberos assumes too (RFC 4120 section 3.2.3). A list from further ahead would be taken for the
/// newest until that time has come, and no true one would replace it.
pub(super) const CLOCK_SKEW_SECONDS: i64 = 300;

/// Why a list is not accepted.
#[derive(Clone, Debug)]
pub(super) struct Rejection {
    pub(super) kind: AlarmKind,
    /// The CA of its issuer's name, when there is one.
    pub(super) ca: Option<Arc<str>>,
    pub(super) message: String,
}

/// Judges one list. Its signature is verified here, once.
///
/// The order is that of trust: name, key, and only then what the list says. A list that is validly signed and not
/// understood, or malformed, is accepted as that, for it must close its CA. Whatever nobody signed is only rejected:
/// anybody could have made it.
pub(super) fn examine(
    der: &[u8],
    file: &Arc<str>,
    authorities: &[AuthorityFacts],
    now: Timestamp,
) -> Result<RevocationList, Rejection> {
    let accepted = |signer: &AuthorityFacts, header: &RevocationListHeader, content| RevocationList {
        number: header.number.map(|number| number.to_string().into()),
        header: header.clone(),
        signer: signer.key(),
        file: Arc::clone(file),
        content,
    };
    match CertificateList::parse(der) {
        Ok(list) => {
            let signer = signer(list.signed(), list.header(), authorities)?;
            not_from_the_future(list.header(), signer, now)?;
            Ok(accepted(signer, list.header(), content(&list)))
        }
        Err(error) => {
            let list = MalformedList::parse(der, &error).ok_or_else(|| malformed(&error))?;
            // That its signer is not known is the reason; that it is malformed would be one only if it were.
            let signer = signer(list.signed(), list.header(), authorities)
                .map_err(|why| Rejection { message: format!("{}; {error}", why.message), ..why })?;
            not_from_the_future(list.header(), signer, now)?;
            let content = Content::NotUnderstood(NotUnderstood::Malformed(Box::new(error)));
            Ok(accepted(signer, list.header(), content))
        }
    }
}

fn content(list: &CertificateList<'_>) -> Content {
    let built = match &list.header().scope {
        Scope::NotUnderstood(what) => Err(CrlError::NotUnderstood(what.clone())),
        Scope::Complete | Scope::Partial(_) => RevokedIndex::build(list),
    };
    match built {
        Ok(index) => Content::Index(index),
        Err(CrlError::NotUnderstood(what)) => Content::NotUnderstood(what),
        Err(error) => Content::NotUnderstood(NotUnderstood::Malformed(Box::new(error))),
    }
}

fn not_from_the_future(
    header: &RevocationListHeader,
    signer: &AuthorityFacts,
    now: Timestamp,
) -> Result<(), Rejection> {
    if header.this_update <= now.plus_seconds(CLOCK_SKEW_SECONDS) {
        return Ok(());
    }
    Err(Rejection {
        kind: AlarmKind::FromTheFuture,
        ca: Some(Arc::clone(&signer.name)),
        message: format!("its thisUpdate {} lies in the future: it is {now}", header.this_update),
    })
}

/// The CA whose key signed a list: bound to the key, not only to the name.
fn signer<'a>(
    list: &SignedList<'_>,
    header: &RevocationListHeader,
    authorities: &'a [AuthorityFacts],
) -> Result<&'a AuthorityFacts, Rejection> {
    // RFC 5280 section 7.1: the same name may be spelled in other octets.
    let issuer = DistinguishedName::parse(list.issuer_der()).ok();
    let is_named = |one: &&AuthorityFacts| issuer.as_ref() == Some(one.certificate.subject());
    let mut named: Vec<_> = authorities.iter().filter(is_named).collect();
    let Some(first) = named.first().copied() else {
        let issuer = issuer.map_or_else(|| "?".to_owned(), |name| name.to_string());
        return Err(Rejection {
            kind: AlarmKind::UnknownIssuer,
            ca: None,
            message: format!("it was issued by {issuer}, which is no configured CA"),
        });
    };
    // The key identifier is only a hint, to hash a long list once and not once a key.
    let hint = header.authority_key_identifier.as_deref();
    named.sort_by_key(|one| hint.is_some() && one.certificate.subject_key_identifier() != hint);
    let mut failure = SignatureError::Invalid;
    for one in named {
        match list.verify_signature_in_pieces(one.certificate.subject_public_key_info(), &make_way) {
            Ok(()) if one.may_sign_lists() => return Ok(one),
            Ok(()) => {
                return Err(Rejection {
                    kind: AlarmKind::SignerNotAllowed,
                    ca: Some(Arc::clone(&one.name)),
                    message: "the keyUsage of its issuer's certificate does not allow it to sign lists (cRLSign)"
                        .into(),
                });
            }
            Err(SignatureError::Invalid) => {}
            Err(error) => failure = error,
        }
    }
    Err(Rejection { kind: AlarmKind::BadSignature, ca: Some(Arc::clone(&first.name)), message: failure.to_string() })
}

fn malformed(error: &CrlError) -> Rejection {
    Rejection { kind: AlarmKind::Malformed, ca: None, message: error.to_string() }
}
