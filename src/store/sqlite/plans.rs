//! Plans in the embedded store.

use rusqlite::OptionalExtension;

use crate::domain::ids::{Crn, SectionId, TermId, UserName};
use crate::domain::rehearsal::Plan;
use crate::store::StoreFuture;
use crate::store::plans::PlanStore;

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::accounts::user_name_at;
use crate::store::sqlite::rows::{json_at, unreadable};

impl PlanStore for SqliteStore {
    fn plan(&self, student: &UserName) -> StoreFuture<Vec<SectionId>> {
        let student = student.clone();
        self.read(move |connection| {
            let stored: Option<String> = connection
                .prepare_cached("SELECT sections FROM plans WHERE user = ?1")?
                .query_row([student.as_str()], |row| row.get(0))
                .optional()?;
            let ids: Vec<String> =
                serde_json::from_str(stored.as_deref().unwrap_or("[]")).map_err(|e| unreadable(0, e))?;
            ids.iter().map(|id| SectionId::parse(id).map_err(|e| unreadable(0, e))).collect()
        })
    }

    fn put_plan(&self, student: &UserName, sections: Vec<SectionId>) -> StoreFuture<()> {
        let student = student.clone();
        self.write(move |tx| {
            let list = serde_json::to_string(&sections).map_err(|e| unreadable(0, e))?;
            tx.prepare_cached(
                "INSERT INTO plans (user, sections) VALUES (?1, ?2) ON CONFLICT (user) DO UPDATE SET sections = ?2",
            )?
            .execute((student.as_str(), list))?;
            Ok(())
        })
    }

    fn plans_for(&self, term: &TermId, max: usize) -> StoreFuture<Vec<Plan>> {
        let term = term.clone();
        self.read(move |connection| {
            // The text before a CRN in the list, so that only plans with sections of the term are parsed.
            let part = format!("\"{term}-");
            let mut query = connection
                .prepare_cached("SELECT user, sections FROM plans WHERE instr(sections, ?1) > 0 ORDER BY user")?;
            let mut rows = query.query([part])?;
            let mut plans = Vec::new();
            while let Some(row) = rows.next()?
                && plans.len() < max
            {
                let ids: Vec<String> = json_at(row, 1)?;
                let ids = ids.iter().map(|id| SectionId::parse(id).map_err(|e| unreadable(1, e)));
                let ids: Vec<SectionId> = ids.collect::<rusqlite::Result<_>>()?;
                let planned: Vec<Crn> = ids.into_iter().filter(|id| id.term == term).map(|id| id.crn).collect();
                if !planned.is_empty() {
                    plans.push((user_name_at(row, 0)?, planned));
                }
            }
            Ok(plans)
        })
    }
}
