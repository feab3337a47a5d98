//! Every other record as columns, in the order of [`super::tables`].

use super::value::{Columns, Corrupt, Value};
use super::words::{self, counter, digest, identifier, int, maybe_serial, reason, seconds, serial};
use super::{
    CertificateRow, CompletedRow, ContractRow, CredentialOwner, CredentialRow, IdempotencyKey, IdempotencyRow,
    ListNumberRow, NewNotice, NoticeAbout, NoticeRow, Status, StatusChange, StatusRow,
};
use crate::audit::{self, Record};
use sekisho_lifecycle::profile::{Factor, UniqueName};
use sekisho_lifecycle::{Contract, ContractId, Counter, Intent, UserId, UserKey};
use sekisho_pki::fingerprint::Fingerprint;

pub(super) fn contract(row: &ContractRow) -> Vec<Value> {
    let contract = &row.contract;
    let mut columns = vec![
        contract.id.as_str().into(),
        (&*row.profile).into(),
        words::of(&words::FEATURE, contract.feature).into(),
        words::of(&words::ONE_TIME_PASSWORD, contract.one_time_password).into(),
    ];
    columns.extend(words::counter_columns(&contract.wrong_tries));
    columns.push(row.since.unix().into());
    columns
}

pub(super) fn read_contract(columns: &mut Columns) -> Result<ContractRow, Corrupt> {
    let id = identifier(ContractId::new(&columns.text()?))?;
    let profile = columns.text()?.into();
    let feature = words::read(&words::FEATURE, &columns.text()?)?;
    let one_time_password = words::read(&words::ONE_TIME_PASSWORD, &columns.text()?)?;
    let wrong_tries = counter(columns)?;
    let contract = Contract { id, feature, one_time_password, wrong_tries };
    Ok(ContractRow { contract, profile, since: seconds(columns)? })
}

pub(super) fn read_unique_name(columns: &mut Columns) -> Result<(UniqueName, UserKey), Corrupt> {
    let name = UniqueName { scope: columns.text()?.into(), name: columns.text()?.into() };
    let contract = identifier(ContractId::new(&columns.text()?))?;
    Ok((name, UserKey { contract, user: identifier(UserId::new(&columns.text()?))? }))
}

pub(super) fn certificate(row: &CertificateRow) -> Vec<Value> {
    let intent = &row.intent;
    vec![
        intent.serial.as_bytes().into(),
        row.user.contract.as_str().into(),
        row.user.user.as_str().into(),
        (&*row.authority).into(),
        intent.common_name.as_str().into(),
        intent.organizational_unit.as_deref().into(),
        intent.organization.as_deref().into(),
        intent.not_before.unix().into(),
        intent.not_after.unix().into(),
        i64::from(intent.issue_number).into(),
        row.public_key.as_slice().into(),
        row.begun_at.unix().into(),
        row.der.as_deref().into(),
        row.der.as_deref().map(|der| Value::from(Fingerprint::of(der).as_bytes().as_slice())).into(),
    ]
}

pub(super) fn read_certificate(columns: &mut Columns) -> Result<CertificateRow, Corrupt> {
    let serial_number = serial(&columns.bytes()?)?;
    let user = UserKey {
        contract: identifier(ContractId::new(&columns.text()?))?,
        user: identifier(UserId::new(&columns.text()?))?,
    };
    let authority = columns.text()?.into();
    let intent = Intent {
        serial: serial_number,
        common_name: columns.text()?,
        organizational_unit: columns.maybe_text()?,
        organization: columns.maybe_text()?,
        not_before: seconds(columns)?,
        not_after: seconds(columns)?,
        issue_number: words::u32(columns.int()?)?,
    };
    let (public_key, begun_at) = (digest(columns)?, seconds(columns)?);
    let der = columns.maybe_bytes()?.map(Into::into);
    Ok(CertificateRow { user, authority, intent, public_key, begun_at, der })
}

/// Serial, DER and fingerprint.
pub(super) fn completed(row: &CompletedRow) -> Vec<Value> {
    let fingerprint = Fingerprint::of(&row.der);
    vec![row.serial.as_bytes().into(), (&*row.der).into(), fingerprint.as_bytes().as_slice().into()]
}

pub(super) fn status(sequence: u64, change: &StatusChange) -> Vec<Value> {
    let (word, reason) = match change.status {
        Status::Revoked(reason) => ("revoked", Some(i64::from(reason.code()))),
        Status::Held => ("held", None),
        Status::Released => ("released", None),
    };
    vec![
        int(sequence).into(),
        (&*change.authority).into(),
        change.serial.as_bytes().into(),
        word.into(),
        reason.into(),
        change.at.unix().into(),
        change.not_after.unix().into(),
    ]
}

pub(super) fn read_status(columns: &mut Columns) -> Result<StatusRow, Corrupt> {
    let sequence = words::u64(columns.int()?)?;
    let authority = columns.text()?.into();
    let serial = serial(&columns.bytes()?)?;
    let status = match (columns.text()?.as_str(), columns.maybe_int()?) {
        ("revoked", Some(code)) => Status::Revoked(reason(code)?),
        ("held", None) => Status::Held,
        ("released", None) => Status::Released,
        _ => return Err(Corrupt("an unknown status")),
    };
    let change = StatusChange { authority, serial, status, at: seconds(columns)?, not_after: seconds(columns)? };
    Ok(StatusRow { sequence, change })
}

pub(super) fn read_list_number(columns: &mut Columns) -> Result<ListNumberRow, Corrupt> {
    let part = u16::try_from(columns.int()?).map_err(|_| Corrupt("not a part"))?;
    Ok(ListNumberRow { part, number: words::u64(columns.int()?)?, this_update: seconds(columns)? })
}

pub(super) fn record(record: &Record) -> Vec<Value> {
    let target = &record.entry.target;
    vec![
        int(record.sequence).into(),
        target.contract().as_str().into(),
        target.user().map(UserId::as_str).into(),
        record.text.as_str().into(),
        record.hash.as_slice().into(),
    ]
}

pub(super) fn read_record(columns: &mut Columns) -> Result<Record, Corrupt> {
    let sequence = words::u64(columns.int()?)?;
    let (contract, user) = (columns.text()?, columns.maybe_text()?);
    let text = columns.text()?;
    let entry = audit::decode(&text).map_err(|_| Corrupt("not a record of the audit log"))?;
    // They are what the history is found by: changed, a record would be hidden from its contract and still be chained.
    if entry.target.contract().as_str() != contract || entry.target.user().map(UserId::as_str) != user.as_deref() {
        return Err(Corrupt("the contract or user beside a record of the audit log is not the record's"));
    }
    Ok(Record { sequence, entry, text, hash: digest(columns)? })
}

pub(super) fn notice(id: u64, notice: &NewNotice) -> Vec<Value> {
    let (about, days) = match notice.about {
        NoticeAbout::Event(event) => (words::of(&words::NOTICE, event), None),
        NoticeAbout::Expiry(days) => ("expiry", Some(i64::from(days))),
        NoticeAbout::Contact => ("contact", None),
        NoticeAbout::Credentials => ("credentials", None),
    };
    vec![
        int(id).into(),
        (&*notice.once).into(),
        notice.to.contract.as_str().into(),
        notice.to.user.as_str().into(),
        about.into(),
        days.into(),
        notice.serial.as_ref().map(super::SerialNumber::as_bytes).into(),
        notice.not_after.map(super::Timestamp::unix).into(),
        notice.at.unix().into(),
        notice.at.unix().into(),
        0.into(),
        Value::Null,
        notice.mail.as_deref().into(),
    ]
}

/// The columns of the outbox, the profile of the contract, name, mail and language of the user.
pub(super) fn read_notice(columns: &mut Columns) -> Result<NoticeRow, Corrupt> {
    let id = words::u64(columns.int()?)?;
    let once = columns.text()?.into();
    let to = UserKey {
        contract: identifier(ContractId::new(&columns.text()?))?,
        user: identifier(UserId::new(&columns.text()?))?,
    };
    let about = match (columns.text()?.as_str(), columns.maybe_int()?) {
        ("expiry", Some(days)) => NoticeAbout::Expiry(u16::try_from(days).map_err(|_| Corrupt("not days"))?),
        ("contact", None) => NoticeAbout::Contact,
        ("credentials", None) => NoticeAbout::Credentials,
        (event, None) => NoticeAbout::Event(words::read(&words::NOTICE, event)?),
        _ => return Err(Corrupt("an unknown notice")),
    };
    let serial = maybe_serial(columns)?;
    let not_after = columns.maybe_int()?.map(super::Timestamp::from_unix);
    let at = seconds(columns)?;
    let _due = columns.maybe_int()?;
    let attempts = words::u32(columns.int()?)?;
    let sent_at = columns.maybe_int()?.map(super::Timestamp::from_unix);
    let mail: Option<std::sync::Arc<str>> = columns.maybe_text()?.map(Into::into);
    let profile = columns.text()?.into();
    let mut contact = super::user_columns::contact(columns)?;
    contact.mail = mail.clone().or(contact.mail);
    let notice = NewNotice { to, about, once, serial, not_after, at, mail };
    Ok(NoticeRow { id, notice, profile, contact, attempts, sent_at })
}

pub(super) fn credential(row: &CredentialRow) -> Vec<Value> {
    let (contract, user) = match &row.of {
        CredentialOwner::Contract(contract) => (contract, ""),
        CredentialOwner::User(key) => (&key.contract, key.user.as_str()),
    };
    vec![contract.as_str().into(), user.into(), row.factor.word().into(), row.verifier.as_str().into()]
}

pub(super) fn read_credential(columns: &mut Columns) -> Result<CredentialRow, Corrupt> {
    let contract = identifier(ContractId::new(&columns.text()?))?;
    let user = columns.text()?;
    let of = if user.is_empty() {
        CredentialOwner::Contract(contract)
    } else {
        CredentialOwner::User(UserKey { contract, user: identifier(UserId::new(&user))? })
    };
    Ok(CredentialRow { of, factor: words::read(&Factor::ALL, &columns.text()?)?, verifier: columns.text()? })
}

pub(super) fn idempotency(row: &IdempotencyRow) -> Vec<Value> {
    vec![
        (&*row.key.caller).into(),
        (&*row.key.key).into(),
        row.request.as_slice().into(),
        row.user.as_ref().map(UserId::as_str).into(),
        row.serial.as_ref().map(super::SerialNumber::as_bytes).into(),
        row.at.unix().into(),
    ]
}

pub(super) fn read_idempotency(columns: &mut Columns) -> Result<IdempotencyRow, Corrupt> {
    let key = IdempotencyKey { caller: columns.text()?.into(), key: columns.text()?.into() };
    let request = digest(columns)?;
    let user = columns.maybe_text()?.map(|id| identifier(UserId::new(&id))).transpose()?;
    Ok(IdempotencyRow { key, request, user, serial: maybe_serial(columns)?, at: seconds(columns)? })
}

pub(super) fn address(address: &str, counter: &Counter) -> Vec<Value> {
    let mut columns = vec![address.into()];
    columns.extend(words::counter_columns(counter));
    let last = counter.first_at.max(counter.locked_at).map_or(0, super::Timestamp::unix);
    columns.push(last.into());
    columns
}

/// The address and its counter.
pub(super) fn read_address(columns: &mut Columns) -> Result<(String, Counter), Corrupt> {
    Ok((columns.text()?, counter(columns)?))
}
