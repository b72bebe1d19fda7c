//! Tasks that were given up: look at them, and try them again.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::{fresh, looking, nothing, read_only};
use crate::asset_view::FailureView;
use crate::catalog::DeadTask;
use crate::clock::rfc3339;
use crate::ingest::{Ingest, Reopened};
use crate::problem::{Problem, only};
use crate::queue::Queue;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let dead = web::resource("/tasks/dead").route(looking().to(dead_tasks));
    let retry = web::resource("/tasks/{id}/retry").route(web::post().to(retry_task));
    config.service(read_only(dead)).service(only(retry, "POST"));
}

/// A task that was given up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DeadTask)]
pub(super) struct TaskView {
    /// Its number.
    id: i64,
    /// The asset it is of.
    asset: String,
    /// What was to be done.
    #[schema(value_type = Object)]
    work: serde_json::Value,
    /// How its last attempt ended.
    error: FailureView,
    /// How many attempts were made.
    attempts: u32,
    /// When it was given up (RFC 3339).
    #[schema(format = DateTime)]
    died_at: String,
}

/// The tasks that were given up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DeadTasks)]
pub(super) struct TaskList {
    /// The latest first.
    tasks: Vec<TaskView>,
}

impl From<DeadTask> for TaskView {
    fn from(task: DeadTask) -> Self {
        let work = serde_json::to_value(&task.work).unwrap_or_default();
        Self {
            id: task.id,
            asset: task.asset.to_string(),
            // Work without parameters is a bare word; an object has room for both.
            work: match work {
                serde_json::Value::String(name) => serde_json::json!({ name: {} }),
                serde_json::Value::Null => serde_json::json!({}),
                other => other,
            },
            error: FailureView {
                kind: task.failure.kind,
                message: task.failure.message,
            },
            attempts: task.attempts,
            died_at: rfc3339(task.died_at_millis),
        }
    }
}

/// List dead tasks
#[utoipa::path(
    get,
    path = "/tasks/dead",
    operation_id = "deadTasks",
    tag = "tasks",
    responses((status = 200, description = "Tasks given up, the latest first", body = TaskList)),
)]
pub(super) async fn dead_tasks(queue: web::Data<Queue>) -> Result<HttpResponse, Problem> {
    let dead = queue.dead().await?;
    let tasks = dead.into_iter().map(TaskView::from).collect();
    Ok(fresh(HttpResponse::Ok()).json(TaskList { tasks }))
}

/// Try a dead task again
///
/// Its asset is on its way again too, if it had failed.
#[utoipa::path(
    post,
    path = "/tasks/{id}/retry",
    operation_id = "retryTask",
    tag = "tasks",
    params(("id" = i64, Path, description = "The task's number")),
    responses((status = 204, description = "Queued")),
)]
pub(super) async fn retry_task(
    id: web::Path<i64>,
    queue: web::Data<Queue>,
    ingest: web::Data<Ingest>,
) -> Result<HttpResponse, Problem> {
    let dead = queue.dead().await?;
    let task = dead.into_iter().find(|task| task.id == *id);
    let Some(task) = task else {
        return Err(no_such_task());
    };
    // An asset that can't be reopened didn't fail, or is done for; its task may run all the same.
    // One that was has its index task queued again, which may be this very task.
    let reopened = ingest.reopen(&task.asset).await?;
    let queued = queue.retry(*id).await? || matches!(reopened, Reopened::Asset(_));
    match queued {
        true => Ok(nothing()),
        false => Err(no_such_task()),
    }
}

fn no_such_task() -> Problem {
    Problem::not_found("dead task")
}
