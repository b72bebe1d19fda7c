//! What a row's columns hold, and what an error of the database means.

use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::{Error, ErrorKind, Result};
use crate::media::AssetId;

/// Makes an error of what the database said while `doing` something.
pub(super) fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| Error::new(kind_of(&error), format!("catalog: {doing}")).with_source(error)
}

fn kind_of(error: &sqlx::Error) -> ErrorKind {
    match error {
        #[cfg(feature = "postgres")]
        sqlx::Error::Database(error)
            if error
                .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                .is_some() =>
        {
            kind_of_state(error.code().as_deref().unwrap_or_default())
        }
        sqlx::Error::Database(error) => kind_of_code(error.code().as_deref()),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
            ErrorKind::Unavailable
        }
        sqlx::Error::Configuration(_) => ErrorKind::Invalid,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::DataLoss,
        _ => ErrorKind::Internal,
    }
}

/// The kind of an SQLite result code (<https://www.sqlite.org/rescode.html>), whose low byte is
/// the primary one.
fn kind_of_code(code: Option<&str>) -> ErrorKind {
    let code = code.and_then(|code| code.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        // BUSY, LOCKED, IOERR
        Some(5 | 6 | 10) => ErrorKind::Unavailable,
        // NOMEM, FULL
        Some(7 | 13) => ErrorKind::Exhausted,
        // READONLY, CANTOPEN
        Some(8 | 14) => ErrorKind::Invalid,
        // CORRUPT, NOTADB
        Some(11 | 26) => ErrorKind::DataLoss,
        _ => ErrorKind::Internal,
    }
}

/// The kind of an SQLSTATE (PostgreSQL, appendix A), whose first two letters are its class.
#[cfg(feature = "postgres")]
fn kind_of_state(state: &str) -> ErrorKind {
    match (state, state.get(..2).unwrap_or_default()) {
        // disk_full, out_of_memory
        ("53100" | "53200", _) => ErrorKind::Exhausted,
        // lock_not_available; connections, rollbacks for others' sake, resources, an operator's stop
        ("55P03" | "25P03", _) | (_, "08" | "40" | "53" | "57" | "58") => ErrorKind::Unavailable,
        // insufficient_privilege; authorization, no such database
        ("42501", _) | (_, "28" | "3D") => ErrorKind::Invalid,
        // data_corrupted, index_corrupted
        (_, "XX") if state != "XX000" => ErrorKind::DataLoss,
        _ => ErrorKind::Internal,
    }
}

/// A row with its columns by name.
pub(super) struct Columns<'a>(pub(super) &'a AnyRow);

impl Columns<'_> {
    pub(super) fn text(&self, name: &str) -> Result<String> {
        self.0.try_get(name).map_err(failed("reading a row"))
    }

    pub(super) fn text_or_none(&self, name: &str) -> Result<Option<String>> {
        self.0.try_get(name).map_err(failed("reading a row"))
    }

    pub(super) fn integer(&self, name: &str) -> Result<i64> {
        self.0.try_get(name).map_err(failed("reading a row"))
    }

    pub(super) fn integer_or_none(&self, name: &str) -> Result<Option<i64>> {
        self.0.try_get(name).map_err(failed("reading a row"))
    }

    pub(super) fn float_or_none(&self, name: &str) -> Result<Option<f64>> {
        self.0.try_get(name).map_err(failed("reading a row"))
    }

    pub(super) fn count(&self, name: &str) -> Result<u64> {
        let value = self.integer(name)?;
        u64::try_from(value).map_err(|_| damaged(name))
    }

    pub(super) fn small(&self, name: &str) -> Result<u32> {
        u32::try_from(self.integer(name)?).map_err(|_| damaged(name))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.integer(name)? != 0)
    }

    pub(super) fn asset_id(&self, name: &str) -> Result<AssetId> {
        AssetId::parse(&self.text(name)?).map_err(|_| damaged(name))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        from_json(name, &self.text(name)?)
    }

    pub(super) fn json_or_none<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let text = self.text_or_none(name)?;
        text.map(|text| from_json(name, &text)).transpose()
    }
}

fn from_json<T: DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| damaged(name).with_source(e))
}

/// A column holds what this program never wrote.
pub(super) fn damaged(name: &str) -> Error {
    let message = format!("catalog: column {name} holds what this version didn't write");
    Error::new(ErrorKind::DataLoss, message)
}

/// A value as JSON text for a column.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("writing JSON").with_source(e))
}

/// A count for a column; what no column can hold becomes the greatest it can.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
