//! The tables, as steps that are taken once each and never change afterwards.

use sqlx::{Connection, SqliteConnection};

use super::row::failed;
use crate::error::{Error, Result};

/// Step n brings the tables from version n to n + 1. New steps go at the end.
const STEPS: &[&str] = &[
    include_str!("tables/1_assets.sql"),
    include_str!("tables/2_tasks.sql"),
    include_str!("tables/3_access.sql"),
    include_str!("tables/4_webhooks.sql"),
];

/// Takes the steps that were not yet taken, all or none.
///
/// # Errors
/// `Unsupported` if a later version of the program was here.
pub(super) async fn run(connection: &mut SqliteConnection) -> Result<()> {
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed("setting up"))?;
    take_steps(&mut transaction).await?;
    transaction.commit().await.map_err(failed("setting up"))
}

async fn take_steps(connection: &mut SqliteConnection) -> Result<()> {
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS migration (version BIGINT PRIMARY KEY)")
        .execute(&mut *connection)
        .await
        .map_err(failed("setting up"))?;
    let taken: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM migration")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed("setting up"))?;
    let taken = usize::try_from(taken).unwrap_or(usize::MAX);
    let Some(missing) = STEPS.get(taken..) else {
        return Err(Error::unsupported(
            "the catalog was written by a later version; run that version, or name another folder",
        ));
    };
    for (version, step) in (taken + 1..).zip(missing) {
        take(connection, version, step).await?;
    }
    Ok(())
}

async fn take(connection: &mut SqliteConnection, version: usize, step: &'static str) -> Result<()> {
    sqlx::raw_sql(step)
        .execute(&mut *connection)
        .await
        .map_err(failed("setting up tables"))?;
    let version = i64::try_from(version).expect("there are few steps");
    sqlx::query("INSERT INTO migration (version) VALUES ($1)")
        .bind(version)
        .execute(connection)
        .await
        .map_err(failed("setting up tables"))?;
    Ok(())
}
