//! Plans in the embedded store.

use rusqlite::OptionalExtension;

use crate::domain::ids::{SectionId, UserName};
use crate::store::StoreFuture;
use crate::store::plans::PlanStore;

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::unreadable;

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
}
