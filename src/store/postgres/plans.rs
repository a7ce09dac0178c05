//! Plans of students.

use tokio_postgres::Row;

use crate::domain::ids::{TermId, UserName};
use crate::domain::plan::{PLANS_MAX, PlanName, PlannedSection};
use crate::domain::rehearsal;
use crate::store::StoreFuture;
use crate::store::plans::{Plan, PlanStore, PutPlan};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::locks::{Lock, lock};
use crate::store::postgres::rows::{integer, json, json_at, text_at, user_at};
use crate::store::postgres::transaction::Tx;

/// Reads `name, sections`.
fn plan_at(row: &Row) -> Result<Plan, Failure> {
    let name = PlanName::parse(text_at(row, 0)?).ok_or_else(|| Failure::unreadable(0, "not the name of a plan"))?;
    Ok(Plan { name, sections: json_at(row, 1)? })
}

/// Returns all plans of a student, by name.
pub(super) async fn plans_of(tx: &Tx, student: &UserName) -> Result<Vec<Plan>, Failure> {
    let sql = "SELECT name, sections FROM plans WHERE username = $1 ORDER BY name";
    tx.query(sql, &[&student.as_str()]).await?.iter().map(plan_at).collect()
}

async fn put(tx: &Tx, student: &UserName, plan: &Plan) -> Result<PutPlan, Failure> {
    // Only one transaction at a time counts the plans of a student, so that two hubs cannot exceed the limit.
    lock(tx, Lock::Plans, student.as_str()).await?;
    let (student, name, sections) = (student.as_str(), plan.name.as_str(), json(&plan.sections)?);
    let sql = "UPDATE plans SET sections = $3 WHERE username = $1 AND name = $2";
    if tx.execute(sql, &[&student, &name, &sections]).await? > 0 {
        return Ok(PutPlan::Replaced);
    }
    let sql = "INSERT INTO plans (username, name, sections) SELECT $1, $2, $3
         WHERE $2 = $4 OR (SELECT count(*) FROM plans WHERE username = $1 AND name <> $4) < $5";
    let created = tx.execute(sql, &[&student, &name, &sections, &PlanName::DEFAULT, &integer(PLANS_MAX)]).await?;
    Ok(if created > 0 { PutPlan::Created } else { PutPlan::Full })
}

async fn plans_for(tx: &Tx, term: &TermId, max: usize) -> Result<Vec<rehearsal::Plan>, Failure> {
    // The text before a CRN in the list, so that only plans with sections of the term are read.
    let part = format!("\"{term}-");
    let sql = "SELECT username, sections FROM plans WHERE name = $1 AND strpos(sections, $2) > 0 ORDER BY username";
    let mut plans = Vec::new();
    for row in tx.query(sql, &[&PlanName::DEFAULT, &part]).await? {
        let planned: Vec<PlannedSection> = json_at(&row, 1)?;
        let planned: Vec<_> = planned.into_iter().filter(|one| one.section.term == *term).collect();
        if plans.len() < max && !planned.is_empty() {
            plans.push((user_at(&row, 0)?, planned));
        }
    }
    Ok(plans)
}

impl PlanStore for PostgresStore {
    fn plan(&self, student: &UserName, name: &PlanName) -> StoreFuture<Option<Vec<PlannedSection>>> {
        let (student, name) = (student.clone(), name.clone());
        self.read(async move |tx| {
            let sql = "SELECT sections FROM plans WHERE username = $1 AND name = $2";
            let row = tx.query_opt(sql, &[&student.as_str(), &name.as_str()]).await?;
            row.map(|row| json_at(&row, 0)).transpose()
        })
    }

    fn plans(&self, student: &UserName) -> StoreFuture<Vec<Plan>> {
        let student = student.clone();
        self.read(async move |tx| plans_of(tx, &student).await)
    }

    fn put_plan(&self, student: &UserName, plan: Plan) -> StoreFuture<PutPlan> {
        let student = student.clone();
        self.write(async move |tx| put(tx, &student, &plan).await)
    }

    fn remove_plan(&self, student: &UserName, name: &PlanName) -> StoreFuture<bool> {
        let (student, name) = (student.clone(), name.clone());
        self.write(async move |tx| {
            let sql = "DELETE FROM plans WHERE username = $1 AND name = $2";
            Ok(tx.execute(sql, &[&student.as_str(), &name.as_str()]).await? > 0)
        })
    }

    fn plans_for(&self, term: &TermId, max: usize) -> StoreFuture<Vec<rehearsal::Plan>> {
        let term = term.clone();
        self.read(async move |tx| plans_for(tx, &term, max).await)
    }
}
