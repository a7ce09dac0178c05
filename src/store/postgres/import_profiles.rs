//! Import profiles on PostgreSQL.

use tokio_postgres::Row;

use crate::domain::ids::ProfileName;
use crate::domain::import_profile::ImportProfile;
use crate::store::StoreFuture;
use crate::store::import_profiles::{PROFILES_MAX, ProfileStore, PutProfile};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::locks::{Lock, lock};
use crate::store::postgres::people::text;
use crate::store::postgres::rows::{integer, json, json_at, text_at};
use crate::store::postgres::transaction::Tx;

/// Reads `name, title, header, map`.
fn profile_at(row: &Row) -> Result<ImportProfile, Failure> {
    Ok(ImportProfile {
        name: ProfileName::parse(text_at(row, 0)?).map_err(|e| Failure::unreadable(0, e))?,
        title: row.try_get(1)?,
        header: json_at(row, 2)?,
        map: json_at(row, 3)?,
        builtin: false,
    })
}

async fn put(tx: &Tx, profile: &ImportProfile) -> Result<PutProfile, Failure> {
    // Only one transaction at a time counts the profiles, so that two hubs cannot exceed the limit.
    lock(tx, Lock::ImportProfiles, "").await?;
    let ImportProfile { name, title, header, map, .. } = profile;
    let (title, header, map) = (text(title), json(header)?, json(map)?);
    let sql = "UPDATE import_profiles SET title = $2, header = $3, map = $4 WHERE name = $1";
    if tx.execute(sql, &[&name.as_str(), &title, &header, &map]).await? > 0 {
        return Ok(PutProfile::Replaced);
    }
    let sql = "INSERT INTO import_profiles (name, title, header, map)
         SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM import_profiles) < $5";
    let created = tx.execute(sql, &[&name.as_str(), &title, &header, &map, &integer(PROFILES_MAX)]).await?;
    Ok(if created > 0 { PutProfile::Created } else { PutProfile::Full })
}

impl ProfileStore for PostgresStore {
    fn profiles(&self) -> StoreFuture<Vec<ImportProfile>> {
        self.read(async |tx| {
            let sql = "SELECT name, title, header, map FROM import_profiles ORDER BY name";
            tx.query(sql, &[]).await?.iter().map(profile_at).collect()
        })
    }

    fn put_profile(&self, profile: ImportProfile) -> StoreFuture<PutProfile> {
        self.write(async move |tx| put(tx, &profile).await)
    }

    fn remove_profile(&self, name: &ProfileName) -> StoreFuture<bool> {
        let name = name.clone();
        self.write(async move |tx| {
            Ok(tx.execute("DELETE FROM import_profiles WHERE name = $1", &[&name.as_str()]).await? > 0)
        })
    }
}
