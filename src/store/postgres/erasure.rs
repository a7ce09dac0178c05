//! Erases a person from the store on PostgreSQL.

use crate::domain::alert::AlertContent;
use crate::domain::audience::UserRef;
use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::{TermId, UserName};
use crate::store::privacy::{Erasure, ErasureOutcome};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::locks::{Lock, lock};
use crate::store::postgres::people::maybe_text;
use crate::store::postgres::privacy::{current_terms, registrations};
use crate::store::postgres::rows::{json, json_at, text_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::Value;
use crate::store::postgres::{attempts, audit, marks};

/// Locks the rows of the terms in which the person `$1` has registrations or attempts, so that no hub commits a batch
/// of them until the erasure ends.
const LOCK_TERMS: &str = "
    SELECT t.id FROM terms AS t
    WHERE EXISTS (SELECT 1 FROM registrations AS r WHERE r.term = t.id AND r.username = $1)
       OR EXISTS (SELECT 1 FROM attempt_students AS s WHERE s.term = t.id AND s.username = $1)
    ORDER BY t.id FOR UPDATE";

/// Tables whose rows have no use without their person. The time up to which tokens are revoked stays, with the name,
/// because an old token would be valid without it.
const OWN_TABLES: [&str; 13] = [
    "accounts",
    "people",
    "plone_members",
    "students",
    "plans",
    "guardian_links",
    "schedule_feeds",
    "audit_people",
    "sign_ins",
    "second_factors",
    "recovery_codes",
    "provider_users",
    "provider_sign_ins",
];

/// Replaces the name with the pseudonym in everything that stays, and deletes the rest. The sequences of the terms do
/// not grow: a hub that has one of the terms in memory must load it again, which `rewrites` states.
pub(super) async fn erase(tx: &Tx, erasure: &Erasure, has_outbox: bool) -> Result<ErasureOutcome, Failure> {
    let Erasure { user, login, pseudonym, now } = erasure;
    lock(tx, Lock::Rewrite, "").await?;
    tx.query(LOCK_TERMS, &[&user.as_str()]).await?;
    let held = current_terms(tx, user, now).await?;
    if !held.is_empty() {
        return Ok(ErasureOutcome::Registered(held));
    }
    let mut terms: Vec<TermId> = Vec::new();
    for (term, registration) in registrations(tx, user).await? {
        if has_outbox {
            marks::mark(tx, &term, [registration.crn.as_str()], now.timestamp()).await?;
        }
        terms.push(term);
    }
    let names: &[&dyn Value] = &[&user.as_str(), &pseudonym.as_str()];
    tx.execute("UPDATE registrations SET username = $2 WHERE username = $1", names).await?;
    // The commitments in the chains of attempts cannot be traced to the name without the salts.
    terms.extend(attempts::terms_of(tx, user).await?);
    tx.execute("UPDATE attempt_students SET username = $2, salt = NULL WHERE username = $1", names).await?;
    terms.sort_unstable();
    terms.dedup();
    let ids: Vec<&str> = terms.iter().map(TermId::as_str).collect();
    tx.execute("UPDATE terms SET rewrites = rewrites + 1 WHERE id = ANY ($1)", &[&ids]).await?;
    let mut changed = rename_alerts(tx, user, pseudonym).await?;
    changed += rename_audit(tx, user, login.as_deref(), pseudonym).await?;
    changed += rename_tasks(tx, user, pseudonym).await?;
    for table in OWN_TABLES {
        changed += tx.execute(&format!("DELETE FROM {table} WHERE username = $1"), &[&user.as_str()]).await?;
    }
    if terms.is_empty() && changed == 0 {
        return Ok(ErasureOutcome::Unknown);
    }
    Ok(ErasureOutcome::Erased(terms))
}

/// Replaces the name in alerts, among their recipients and in acknowledgements. Returns the number of rows, without the
/// alerts that only name the person in their audience.
async fn rename_alerts(tx: &Tx, user: &UserName, pseudonym: &UserName) -> Result<u64, Failure> {
    // A scan, because an alert that was never sent has no recipients. Alerts are deleted after the retention period.
    let sql = "SELECT id, content FROM alerts WHERE strpos(content, $1) > 0 ORDER BY id FOR UPDATE";
    for row in tx.query(sql, &[&json(user.as_str())?]).await? {
        let mut content: AlertContent = json_at(&row, 1)?;
        let mut of_user: Vec<&mut UserRef> = content.audience.users.iter_mut().filter(|name| name.0 == *user).collect();
        if of_user.is_empty() {
            continue;
        }
        of_user.iter_mut().for_each(|name| name.0 = pseudonym.clone());
        let sql = "UPDATE alerts SET content = $2 WHERE id = $1";
        tx.execute(sql, &[&text_at(&row, 0)?, &json(&content)?]).await?;
    }
    let mut changed = 0;
    for sql in [
        "UPDATE alerts SET sender = $2, sender_name = NULL WHERE sender = $1",
        "UPDATE alert_recipients SET username = $2 WHERE username = $1",
        "UPDATE alert_acks SET username = $2 WHERE username = $1",
    ] {
        changed += tx.execute(sql, &[&user.as_str(), &pseudonym.as_str()]).await?;
    }
    Ok(changed)
}

/// Replaces the name in the audit trail, and removes addresses and details that name the person. Returns the number of
/// rows.
async fn rename_audit(tx: &Tx, user: &UserName, login: Option<&str>, pseudonym: &UserName) -> Result<u64, Failure> {
    let names: &[&dyn Value] = &[&user.as_str(), &pseudonym.as_str()];
    // The subject of a sign-in is the name that was typed. A failed sign-in has no user.
    let sql = "UPDATE audit SET subject = $2, detail = '', coded = NULL
         WHERE starts_with(action, 'login') AND (username = $1 OR (username IS NULL AND subject = $3))";
    tx.execute(sql, &[&user.as_str(), &pseudonym.as_str(), &maybe_text(login)]).await?;
    // Not with a pattern, in which a name could contain wildcards.
    let sql = "UPDATE audit SET detail = '', coded = NULL WHERE action = $1 AND right(detail, length($2)) = $2";
    let withheld = AuditDetail::Withheld { title: String::new(), sender: user.to_string() };
    for (action, end) in [("plone.write", format!(" of {user}")), ("alert.withhold", withheld.to_string())] {
        tx.execute(sql, &[&action, &end]).await?;
    }
    // `detail` and `coded` are shortened separately, so the name may be in only one of them.
    let sql = "UPDATE audit SET detail = '', coded = NULL
         WHERE username = $1 AND (strpos(detail, $1) > 0 OR strpos(coded, $2) > 0)";
    let quoted = json(user.as_str())?;
    tx.execute(sql, &[&user.as_str(), &quoted.trim_matches('"')]).await?;
    let by_user = "UPDATE audit SET username = $2, ip = NULL WHERE username = $1";
    let about = format!(
        "UPDATE audit SET subject = $2, detail = '', coded = NULL WHERE subject = $1 AND {}",
        audit::IS_ABOUT_A_USER
    );
    Ok(tx.execute(by_user, names).await? + tx.execute(&about, names).await?)
}

/// Replaces the name in import tasks. Returns the number of rows.
async fn rename_tasks(tx: &Tx, user: &UserName, pseudonym: &UserName) -> Result<u64, Failure> {
    let sql = "SELECT id, body FROM import_tasks WHERE strpos(body, $1) > 0 ORDER BY id FOR UPDATE";
    let mut changed = 0;
    for row in tx.query(sql, &[&json(user.as_str())?]).await? {
        let mut body: serde_json::Value = json_at(&row, 1)?;
        let Some(starter) = body.get_mut("started_by").filter(|starter| starter.as_str() == Some(user.as_str())) else {
            continue;
        };
        *starter = pseudonym.as_str().into();
        let sql = "UPDATE import_tasks SET body = $2 WHERE id = $1";
        changed += tx.execute(sql, &[&text_at(&row, 0)?, &json(&body)?]).await?;
    }
    Ok(changed)
}
