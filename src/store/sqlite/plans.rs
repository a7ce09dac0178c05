//! Plans in the embedded store.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::ids::{TermId, UserName};
use crate::domain::plan::{PLANS_MAX, PlanName, PlannedSection};
use crate::domain::rehearsal;
use crate::store::StoreFuture;
use crate::store::plans::{Plan, PlanStore, PutPlan};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::accounts::user_name_at;
use crate::store::sqlite::rows::{json, json_at, unreadable};

/// Reads `name, sections`.
pub(super) fn plan_at(row: &Row<'_>) -> rusqlite::Result<Plan> {
    let name: String = row.get(0)?;
    let name = PlanName::parse(&name).ok_or_else(|| unreadable(0, "not the name of a plan"))?;
    Ok(Plan { name, sections: json_at(row, 1)? })
}

/// Returns all plans of a student, by name.
pub(super) fn plans_of(connection: &Connection, student: &UserName) -> rusqlite::Result<Vec<Plan>> {
    connection
        .prepare_cached("SELECT name, sections FROM plans WHERE user = ?1 ORDER BY name")?
        .query_map([student.as_str()], plan_at)?
        .collect()
}

impl PlanStore for SqliteStore {
    fn plan(&self, student: &UserName, name: &PlanName) -> StoreFuture<Option<Vec<PlannedSection>>> {
        let (student, name) = (student.clone(), name.clone());
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT sections FROM plans WHERE user = ?1 AND name = ?2")?
                .query_row([student.as_str(), name.as_str()], |row| json_at(row, 0))
                .optional()
        })
    }

    fn plans(&self, student: &UserName) -> StoreFuture<Vec<Plan>> {
        let student = student.clone();
        self.read(move |connection| plans_of(connection, &student))
    }

    fn put_plan(&self, student: &UserName, plan: Plan) -> StoreFuture<PutPlan> {
        let student = student.clone();
        self.write(move |tx| {
            let (student, name, sections) = (student.as_str(), plan.name.as_str(), json(&plan.sections)?);
            let replaced = tx
                .prepare_cached("UPDATE plans SET sections = ?3 WHERE user = ?1 AND name = ?2")?
                .execute(params![student, name, sections])?;
            if replaced > 0 {
                return Ok(PutPlan::Replaced);
            }
            let sql = "INSERT INTO plans (user, name, sections) SELECT ?1, ?2, ?3
                WHERE ?2 = ?4 OR (SELECT count(*) FROM plans WHERE user = ?1 AND name <> ?4) < ?5";
            let values = params![student, name, sections, PlanName::DEFAULT, PLANS_MAX];
            let created = tx.prepare_cached(sql)?.execute(values)?;
            Ok(if created > 0 { PutPlan::Created } else { PutPlan::Full })
        })
    }

    fn remove_plan(&self, student: &UserName, name: &PlanName) -> StoreFuture<bool> {
        let (student, name) = (student.clone(), name.clone());
        self.write(move |tx| {
            let removed = tx
                .prepare_cached("DELETE FROM plans WHERE user = ?1 AND name = ?2")?
                .execute([student.as_str(), name.as_str()])?;
            Ok(removed > 0)
        })
    }

    fn plans_for(&self, term: &TermId, max: usize) -> StoreFuture<Vec<rehearsal::Plan>> {
        let term = term.clone();
        self.read(move |connection| {
            // The text before a CRN in the list, so that only plans with sections of the term are parsed.
            let part = format!("\"{term}-");
            let sql = "SELECT user, sections FROM plans WHERE name = ?2 AND instr(sections, ?1) > 0 ORDER BY user";
            let mut query = connection.prepare_cached(sql)?;
            let mut rows = query.query([&*part, PlanName::DEFAULT])?;
            let mut plans = Vec::new();
            while let Some(row) = rows.next()?
                && plans.len() < max
            {
                let planned: Vec<PlannedSection> = json_at(row, 1)?;
                let planned: Vec<_> = planned.into_iter().filter(|one| one.section.term == term).collect();
                if !planned.is_empty() {
                    plans.push((user_name_at(row, 0)?, planned));
                }
            }
            Ok(plans)
        })
    }
}
