//! Import profiles in the embedded store.

use rusqlite::{Row, params};

use crate::domain::ids::ProfileName;
use crate::domain::import_profile::ImportProfile;
use crate::store::StoreFuture;
use crate::store::import_profiles::{PROFILES_MAX, ProfileStore, PutProfile};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::{json_at, unreadable};

/// Reads `name, title, header, map`.
pub(super) fn profile_at(row: &Row<'_>) -> rusqlite::Result<ImportProfile> {
    Ok(ImportProfile {
        name: ProfileName::parse(&row.get::<_, String>(0)?).map_err(|e| unreadable(0, e))?,
        title: row.get(1)?,
        header: json_at(row, 2)?,
        map: json_at(row, 3)?,
        builtin: false,
    })
}

impl ProfileStore for SqliteStore {
    fn profiles(&self) -> StoreFuture<Vec<ImportProfile>> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT name, title, header, map FROM import_profiles ORDER BY name")?
                .query_map([], profile_at)?
                .collect()
        })
    }

    fn put_profile(&self, profile: ImportProfile) -> StoreFuture<PutProfile> {
        self.write(move |tx| {
            let ImportProfile { name, title, header, map, .. } = &profile;
            let header = serde_json::to_string(header).map_err(|e| unreadable(2, e))?;
            let map = serde_json::to_string(map).map_err(|e| unreadable(3, e))?;
            let values = params![name.as_str(), title, header, map];
            let replaced = tx
                .prepare_cached("UPDATE import_profiles SET title = ?2, header = ?3, map = ?4 WHERE name = ?1")?
                .execute(values)?;
            if replaced > 0 {
                return Ok(PutProfile::Replaced);
            }
            let sql = "INSERT INTO import_profiles (name, title, header, map)
                SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM import_profiles) < ?5";
            let created = tx.prepare_cached(sql)?.execute(params![name.as_str(), title, header, map, PROFILES_MAX])?;
            Ok(if created > 0 { PutProfile::Created } else { PutProfile::Full })
        })
    }

    fn remove_profile(&self, name: &ProfileName) -> StoreFuture<bool> {
        let name = name.clone();
        self.write(move |tx| {
            let removed = tx.prepare_cached("DELETE FROM import_profiles WHERE name = ?1")?.execute([name.as_str()])?;
            Ok(removed > 0)
        })
    }
}
