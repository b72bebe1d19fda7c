//! `headwater plan INPUT`: what would be made of it. Encodes nothing.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::policy::PolicyArguments;
use super::{print, print_json};
use crate::error::Result;
use crate::media::Plan;
use crate::package::{self, Silent};
use crate::plan::{self, Prediction};
use crate::sandbox;
use crate::source::Source;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The video or audio file: a path, or s3://bucket/key
    input: PathBuf,
    #[command(flatten)]
    policy: PolicyArguments,
    /// Print the plan as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct JsonPlan<'a> {
    input: String,
    revision: &'a str,
    duration_s: f64,
    prediction: &'a Prediction,
    plan: &'a Plan,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let policy = arguments.policy.policy()?;
    let sandbox = sandbox::Options::default();
    let stop = AtomicBool::new(false);
    let source = Source::open(&arguments.input)?;
    let keys = arguments.policy.keys()?;
    let prepared = package::prepare(
        source,
        &policy,
        keys.as_ref(),
        &sandbox,
        None,
        &Silent,
        &stop,
    )?;
    let prediction = plan::predict(&prepared.plan, &prepared.index);
    if arguments.json {
        return print_json(&JsonPlan {
            input: arguments.input.display().to_string(),
            revision: &prepared.revision,
            duration_s: prepared.plan.duration.seconds(),
            prediction: &prediction,
            plan: &prepared.plan,
        });
    }
    print(&plan::describe(&prepared.plan, Some(&prediction)))
}
