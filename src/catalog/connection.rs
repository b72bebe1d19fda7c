//! A connection to whichever database the catalog is in.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyConnection, Either, Execute, Executor, SqlStr};
use tokio::time::{Instant, timeout_at};

/// What a statement answers piece by piece.
type Answer = Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>;

/// A connection whose statements end in time, and that knows whether it can be used again.
#[derive(Debug)]
pub(super) struct Connection {
    inner: AnyConnection,
    /// How long one statement may take: a server that the network was cut from says nothing for
    /// ever. `None` for a file.
    patience: Option<Duration>,
    /// Whether the last statement came to an end. One that was abandoned, by who asked for it or
    /// for time, leaves its answer behind for the next.
    is_sound: bool,
}

impl Connection {
    pub(super) fn new(inner: AnyConnection, patience: Option<Duration>) -> Self {
        Self {
            inner,
            patience,
            is_sound: true,
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// Has the connection closed rather than used again.
    pub(super) fn give_up(&mut self) {
        self.is_sound = false;
    }

    fn deadline(&self) -> Option<Instant> {
        self.patience.map(|patience| Instant::now() + patience)
    }
}

/// Waits for an answer until the deadline.
async fn by<T>(
    deadline: Option<Instant>,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let Some(deadline) = deadline else {
        return answer.await;
    };
    timeout_at(deadline, answer)
        .await
        .unwrap_or_else(|_| Err(timed_out()))
}

fn timed_out() -> sqlx::Error {
    let kind = std::io::ErrorKind::TimedOut;
    sqlx::Error::Io(std::io::Error::new(kind, "the database didn't answer"))
}

/// Whether the connection can go on after this: the database refused something, and didn't say
/// that it closes the connection (PostgreSQL: an operator's stop, a change left idle).
fn is_refusal(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let code = error.code().unwrap_or_default();
    !(code.starts_with("57P") || code == "25P03")
}

/// The pieces of an answer as they come.
struct Pieces<'e> {
    stream: BoxStream<'e, Answer>,
    is_sound: &'e mut bool,
    deadline: Option<Instant>,
    is_lost: bool,
}

impl Pieces<'_> {
    async fn next(mut self) -> Option<(Answer, Self)> {
        if self.is_lost {
            return None;
        }
        let next = by(self.deadline, async {
            self.stream.next().await.transpose()
        })
        .await;
        match next {
            Ok(Some(piece)) => Some((Ok(piece), self)),
            Ok(None) => {
                *self.is_sound = true;
                None
            }
            Err(error) => {
                *self.is_sound = is_refusal(&error);
                self.is_lost = true;
                Some((Err(error), self))
            }
        }
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Answer>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let deadline = self.deadline();
        self.is_sound = false;
        let pieces = Pieces {
            stream: (&mut self.inner).fetch_many(query),
            is_sound: &mut self.is_sound,
            deadline,
            is_lost: false,
        };
        stream::unfold(pieces, Pieces::next).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let deadline = self.deadline();
        self.is_sound = false;
        let answer = (&mut self.inner).fetch_optional(query);
        let is_sound = &mut self.is_sound;
        Box::pin(async move {
            let answer = by(deadline, answer).await;
            *is_sound = answer.as_ref().err().is_none_or(is_refusal);
            answer
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        (&mut self.inner).prepare_with(sql, parameters)
    }
}
