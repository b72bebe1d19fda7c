//! The tables, as steps that are taken once each and never change afterwards.

use std::sync::Arc;

use super::change;
use super::connection::Connection;
use super::pool::Pool;
use super::row::failed;
use crate::error::{Error, Result};

/// Step n brings the tables from version n to n + 1. New steps go at the end.
const STEPS: &[&str] = &[
    include_str!("tables/1_assets.sql"),
    include_str!("tables/2_tasks.sql"),
    include_str!("tables/3_access.sql"),
    include_str!("tables/4_webhooks.sql"),
    include_str!("tables/5_nodes.sql"),
];

/// For a server: rows of `task` live for seconds, so what is left of them is cleared away early,
/// or each claim would read through more and more of it.
const SERVER_SETTINGS: &str = "ALTER TABLE task SET (autovacuum_vacuum_scale_factor = 0.02, \
    autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0)";

/// Takes the steps that were not yet taken, all or none.
///
/// # Errors
/// `Unsupported` if a later version of the program was here.
pub(super) async fn run(writers: &Arc<Pool>, is_file: bool) -> Result<()> {
    let mut connection = writers.take().await?;
    // Several machines may start at once: each waits for the one before.
    change::begin(&mut connection, is_file).await?;
    let taken = take_steps(&mut connection, is_file).await;
    if taken.is_err() {
        connection.give_up();
        return taken;
    }
    change::commit(&mut connection).await
}

async fn take_steps(connection: &mut Connection, is_file: bool) -> Result<()> {
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
            "the catalog was written by a later version; run that version, or name another place",
        ));
    };
    for (version, step) in (taken + 1..).zip(missing) {
        take(connection, version, &step_for(step, is_file)).await?;
    }
    if !is_file && !missing.is_empty() {
        let set = sqlx::raw_sql(SERVER_SETTINGS).execute(connection).await;
        set.map_err(failed("setting up tables"))?;
    }
    Ok(())
}

/// A step as a place takes it. Text is compared byte by byte everywhere; a server would else use
/// the order of its language, in which ids and cursors sort differently.
fn step_for(step: &str, is_file: bool) -> String {
    match is_file {
        true => step.to_owned(),
        false => step.replace(" TEXT", " TEXT COLLATE \"C\""),
    }
}

async fn take(connection: &mut Connection, version: usize, step: &str) -> Result<()> {
    // The text of a step is one of `STEPS`.
    sqlx::raw_sql(sqlx::AssertSqlSafe(step))
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
