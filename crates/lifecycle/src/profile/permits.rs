//! Reads `[[permit]]` tables into the matrix.

use super::matrix::{ActorRole, Channel, Factor, Matrix, Operation, Permit, Whose};
use super::read::{declared, label};
use super::types::{Role, RoleName, Screen};
use sekisho_config::reader::{Document, Item, Section};
use sekisho_config::values;

/// The bank's desk, an actor in every profile.
pub(super) const STAFF: &str = "staff";

pub(super) fn read(document: &Document, root: &mut Section<'_>, roles: &[Role], screens: &[Screen]) -> Matrix {
    if !root.has("permit") {
        root.refuse_missing("permit", "add [[permit]] tables: what none of them names nobody may do");
    }
    let mut matrix = Matrix::default();
    for section in root.sections("permit") {
        let permit = permit(section, roles, screens);
        for earlier in &matrix.permits {
            // One message a pair: the rest of the overlap goes with it.
            if let Some(cell) = permit.cells().find(|cell| earlier.covers(cell)) {
                let message = format!(
                    "permits {} {} through {} which the permit at line {} does already; what must be proven would be unclear",
                    cell.operation.word(),
                    show_cell(&cell),
                    cell.channel.word(),
                    earlier.place.line
                );
                document.refuse(&permit.place, message);
            }
        }
        matrix.permits.push(permit);
    }
    matrix
}

fn show_cell(cell: &super::matrix::Cell<'_>) -> String {
    let by = match cell.by {
        ActorRole::Staff => STAFF,
        ActorRole::Role(role) => &role.0,
    };
    match cell.on {
        Some(on) => format!("by {by} on {on}"),
        None => format!("by {by}"),
    }
}

fn permit(mut section: Section<'_>, roles: &[Role], screens: &[Screen]) -> Permit {
    let whose = [("self", Whose::Own), ("other", Whose::Other)];
    let channels = [Channel::Online, Channel::PaperForm, Channel::StaffDesk].map(|channel| (channel.word(), channel));
    let operations = section.required("operation", "write [\"revoke\"]", |item| {
        let nothing = "this permits nothing";
        values::some_of(item, nothing, |element| values::one_of(element, "an operation", &Operation::ALL))
    });
    let by = section.required("by", "write the roles that may", |item| {
        values::some_of(item, "this permits nobody", |element| match element.as_str() {
            Some(STAFF) => Some(ActorRole::Staff),
            _ => role(element, roles).map(ActorRole::Role),
        })
    });
    let on_user = operations.first().is_none_or(|operation: &Operation| operation.is_on_user());
    if operations.iter().any(|operation| operation.is_on_user() != on_user) {
        let place = section.place_of("operation");
        section.document.refuse(&place, "mixes operations on users with operations on contracts; write two permits");
    }
    let on =
        section.optional("on", |item| values::some_of(item, "this permits nothing", |element| role(element, roles)));
    if on_user != section.has("on") {
        let place = section.place_of("on");
        let message =
            if on_user { "is missing; write the roles of the targets" } else { "has no meaning for a contract" };
        section.document.refuse(&place, message);
    }
    let permit = Permit {
        operations,
        by,
        on: on.unwrap_or_default(),
        whose: section.required("whose", "write [\"self\"], [\"other\"] or both", |item| {
            values::some_of(item, "this permits nothing", |element| values::one_of(element, "an answer", &whose))
        }),
        channels: section.required("channel", "write [\"online\"]", |item| {
            values::some_of(item, "this permits nothing", |element| values::one_of(element, "a channel", &channels))
        }),
        proofs: section.required("proof", "write what the actor must prove; [] for staff", |item| {
            values::list(item, |element| values::one_of(element, "a factor", &Factor::ALL))
        }),
        screen: section.optional("screen", |item| screen(item, screens)),
        form: section.optional("form", label),
        place: section.place.clone(),
    };
    check(&section, &permit);
    section.finish();
    permit
}

/// What no permit may say.
fn check(section: &Section<'_>, permit: &Permit) {
    let refuse = |key: &str, message: &str| section.document.refuse(&section.place_of(key), message);
    let staff = permit.by.contains(&ActorRole::Staff);
    let users = permit.by.iter().any(|by| *by != ActorRole::Staff);
    let online = permit.channels.contains(&Channel::Online);
    if staff && users {
        refuse(
            "by",
            "has staff beside users, who come through other channels and prove other things; write two permits",
        );
    } else if staff && online {
        refuse("channel", "has \"online\" for staff, whose channels are \"paper-form\" and \"staff-desk\"");
    } else if users && permit.channels.iter().any(|channel| *channel != Channel::Online) {
        refuse("channel", "is for users, whose only channel is \"online\"; a form on paper is entered by staff");
    }
    if staff && permit.whose.contains(&Whose::Own) {
        refuse("whose", "has \"self\" for staff, who have no certificate of this profile");
    }
    if staff && !permit.proofs.is_empty() {
        refuse("proof", "has factors for staff, who are two people instead; write []");
    }
    if users && permit.proofs.is_empty() && section.has("proof") {
        refuse("proof", "is empty: users must prove something");
    }
    if permit.channels.contains(&Channel::PaperForm) != permit.form.is_some() {
        refuse("form", "belongs to the channel \"paper-form\" and to no other: name the form there");
    }
    let self_only = [Operation::Acquire, Operation::Renew];
    if permit.operations.iter().any(|operation| self_only.contains(operation))
        && (permit.whose.contains(&Whose::Other) || staff)
    {
        refuse("whose", "lets somebody acquire or renew for another, who would then hold the other's key");
    }
    let other_only = [Operation::Register, Operation::SwitchOn, Operation::SwitchOff];
    if permit.operations.iter().any(|operation| other_only.contains(operation)) && permit.whose.contains(&Whose::Own) {
        refuse("whose", "has \"self\" for an operation that has no self");
    }
    let unlocks = [Operation::Unlock, Operation::Resume];
    if permit.operations.iter().any(|operation| unlocks.contains(operation)) && permit.whose.contains(&Whose::Own) {
        refuse("whose", "lets the locked or suspended free themselves");
    }
    let same = |by: &ActorRole| matches!(by, ActorRole::Role(role) if permit.on.contains(role));
    if permit.whose == [Whose::Own] && users && !permit.on.is_empty() && !permit.by.iter().all(same) {
        refuse("by", "has a role that \"on\" has not; whoever acts on themselves is in both");
    }
}

fn role(item: &Item<'_>, roles: &[Role]) -> Option<RoleName> {
    let name = values::name(item)?;
    let found = roles.iter().find(|role| *role.name.0 == *name).map(|role| role.name.clone());
    if found.is_none() {
        let known = values::choices(roles.iter().map(|role| &*role.name.0));
        item.refuse(format!("{name:?} is not a role of this file; write {known}"));
    }
    found
}

fn screen(item: &Item<'_>, screens: &[Screen]) -> Option<std::sync::Arc<str>> {
    let id = values::name(item)?;
    let found = declared(screens, &id).cloned();
    if found.is_none() {
        item.refuse(format!("{id:?} is not a screen of this file; add a [[screen]] table with that id"));
    }
    found
}
