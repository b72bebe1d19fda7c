//! `headwater keys DIR|URL --key-file FILE`: the content keys of what was packaged there, for a
//! licence service or a key server. They go to stdout and nowhere else.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::keys::KeySource;
use crate::layout::Key;
use crate::media::{ContentKey, EncryptionPlan, KeyPlan, Plan, Presentation};
use crate::store::BlockingStore;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What was packaged: a directory, or s3://bucket/prefix
    place: String,
    /// The key file that it was packaged with
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    plan: KeyPlan,
    /// 32 hexadecimal digits.
    key: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let keys = KeySource::read(&arguments.key_file)?;
    let plan = published_plan(&arguments.place)?;
    let Some(EncryptionPlan { keys: planned, .. }) = &plan.encryption else {
        let message = format!("{} is not encrypted", arguments.place);
        return Err(Error::new(ErrorKind::NotFound, message));
    };
    let row = |planned: &KeyPlan| {
        let key = keys.content_key(&plan.source_digest, planned)?;
        Ok(Row {
            plan: *planned,
            key: digits(&key),
        })
    };
    let rows: Vec<Row> = planned.iter().map(row).collect::<Result<_>>()?;
    super::print_json(&rows)
}

/// The plan of what is published in a place.
fn published_plan(place: &str) -> Result<Plan> {
    // Opening a store makes the folder.
    if !place.contains("://") {
        std::fs::metadata(place).map_err(|e| Error::io(format!("{place} can't be read"), e))?;
    }
    let store = BlockingStore::open(place)?;
    let record: Presentation = read(&store, &Key::Record)?;
    let plan = Key::Private {
        revision: record.revision,
        name: "plan.json".to_owned(),
    };
    read(&store, &plan)
}

fn read<T: serde::de::DeserializeOwned>(store: &BlockingStore, key: &Key) -> Result<T> {
    let missing = || {
        let message = format!("{key} is not there; name what `headwater package` wrote");
        Error::new(ErrorKind::NotFound, message)
    };
    let json = store.read(key)?.ok_or_else(missing)?;
    serde_json::from_slice(&json)
        .map_err(|e| Error::new(ErrorKind::DataLoss, format!("{key} can't be read")).with_source(e))
}

fn digits(key: &ContentKey) -> String {
    key.secret_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
