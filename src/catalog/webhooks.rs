//! Webhooks: who wants to hear of what, and the log of what was sent. Signing and sending are in
//! `api`.
//!
//! Messages are written from the table of events by a cursor that moves in the same transaction, so
//! an event is told once, also if the program stopped right after it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;

use super::change::Change;
use super::keys::random;
use super::row::{Columns, damaged, failed, to_json};
use super::{Catalog, Event};
use crate::error::{Error, ErrorKind, Result};
use crate::media::{AssetId, AssetState};

/// What the secret of a webhook begins with (Standard Webhooks, "Signature scheme").
const SECRET_PREFIX: &str = "whsec_";
/// How long the secret before the last rotation stays valid.
const PREVIOUS_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// How long messages that were delivered or given up are kept.
const LOG_MILLIS: i64 = 30 * 24 * 60 * 60 * 1000;
/// The most webhooks.
const WEBHOOKS: i64 = 100;

/// What a webhook can hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Topic {
    /// An asset became playable.
    #[serde(rename = "asset.ready")]
    Ready,
    /// Everything of an asset is stored and verified.
    #[serde(rename = "asset.complete")]
    Complete,
    /// Nothing more will become of an asset.
    #[serde(rename = "asset.failed")]
    Failed,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Complete, Self::Failed];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "asset.ready",
            Self::Complete => "asset.complete",
            Self::Failed => "asset.failed",
        }
    }

    /// The topic of an event, if it is one that webhooks hear of.
    pub fn of(event: &Event) -> Option<Self> {
        let state = event.data.get("state").and_then(Value::as_str)?;
        match AssetState::parse(state)? {
            AssetState::Ready => Some(Self::Ready),
            AssetState::Complete => Some(Self::Complete),
            AssetState::Failed => Some(Self::Failed),
            AssetState::Uploading | AssetState::Indexing => None,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// A webhook to add.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Where messages are posted.
    pub url: String,
    /// What it hears of; nothing for all.
    pub topics: Vec<Topic>,
}

/// Who hears of what.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name in URLs.
    pub id: String,
    /// Where messages are posted.
    pub url: String,
    /// What messages are signed with: `whsec_` and 32 bytes in base64.
    pub secret: String,
    /// The secret before the last rotation, while it is valid.
    pub previous_secret: Option<String>,
    /// What it hears of; nothing for all.
    pub topics: Vec<Topic>,
    /// It said that it is gone and hears of nothing.
    pub disabled: bool,
    /// When it was added, in milliseconds since 1970.
    pub created_at_millis: i64,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("id", &self.id)
            .field("url", &self.url)
            .field("topics", &self.topics)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// Where a message is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It will be sent, or sent again.
    Pending,
    /// It was received.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// Its word in the API and in the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// A message to a webhook, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message's id, the same for every attempt.
    pub id: String,
    /// Its place in the order of messages.
    pub number: i64,
    /// To which webhook.
    pub webhook: String,
    /// What it is about.
    pub topic: Topic,
    /// What is posted: JSON.
    pub payload: String,
    /// Where it is on its way.
    pub state: DeliveryState,
    /// How often it was sent since it was written or replayed.
    pub attempts: u32,
    /// The HTTP status of the last answer.
    pub last_status: Option<u16>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was written, in milliseconds since 1970.
    pub created_at_millis: i64,
    /// When it is sent next, likewise; `None` if it isn't.
    pub next_attempt_at_millis: Option<i64>,
    /// When it was received, likewise.
    pub delivered_at_millis: Option<i64>,
}

/// How an attempt at a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It was received, with this status.
    Received(u16),
    /// It wasn't, and is sent again at that time, in milliseconds since 1970.
    Again(Miss, i64),
    /// It wasn't, and is given up.
    GivenUp(Miss),
    /// The webhook says it is gone: it is disabled, and all messages to it are given up.
    Gone(Miss),
}

/// Why a message wasn't received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: String,
}

impl Catalog {
    /// Adds a webhook, which hears of everything from now on.
    ///
    /// # Errors
    /// `Conflict` if there are as many as there may be.
    pub async fn create_webhook(&self, new: &NewWebhook) -> Result<Webhook> {
        let id = AssetId::from_random(random()?).to_string();
        let secret = new_secret()?;
        let insert = "INSERT INTO webhook (id, url, secret, events, disabled, created_at, \
            created_after) SELECT $1, $2, $3, $4, 0, $5, value FROM counter \
            WHERE name = 'event' AND (SELECT COUNT(*) FROM webhook) < $6 RETURNING *";
        let mut change = self.change().await?;
        let now = change.now_millis();
        let row = sqlx::query(insert)
            .bind(id)
            .bind(new.url.as_str())
            .bind(secret)
            .bind(to_json(&new.topics)?)
            .bind(now)
            .bind(WEBHOOKS)
            .fetch_optional(change.sql())
            .await
            .map_err(failed("adding a webhook"))?;
        let Some(row) = row else {
            let message = format!("there are {WEBHOOKS} webhooks already; remove one first");
            return Err(Error::new(ErrorKind::Conflict, message));
        };
        let webhook = webhook_from(&row, now)?;
        change.commit().await?;
        Ok(webhook)
    }

    /// All webhooks, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>> {
        let now = self.clock.now_millis();
        let mut connection = self.read().await?;
        let rows = sqlx::query("SELECT * FROM webhook ORDER BY created_at, id")
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing webhooks"))?;
        rows.iter().map(|row| webhook_from(row, now)).collect()
    }

    /// The webhook of that id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn webhook(&self, id: &str) -> Result<Option<Webhook>> {
        let now = self.clock.now_millis();
        let mut connection = self.read().await?;
        let row = sqlx::query("SELECT * FROM webhook WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("reading a webhook"))?;
        row.map(|row| webhook_from(&row, now)).transpose()
    }

    /// Removes a webhook with its log; `false` if there is none of that id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_webhook(&self, id: &str) -> Result<bool> {
        let mut change = self.change().await?;
        let done = sqlx::query("DELETE FROM webhook WHERE id = $1")
            .bind(id)
            .execute(change.sql())
            .await
            .map_err(failed("removing a webhook"))?;
        change.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives a webhook a new secret; the old one stays valid beside it for a day. `None` if there
    /// is none of that id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rotate_webhook(&self, id: &str) -> Result<Option<Webhook>> {
        let secret = new_secret()?;
        let update = "UPDATE webhook SET previous_secret = secret, previous_until = $3, \
            secret = $2 WHERE id = $1 RETURNING *";
        let mut change = self.change().await?;
        let now = change.now_millis();
        let row = sqlx::query(update)
            .bind(id)
            .bind(secret)
            .bind(now + PREVIOUS_MILLIS)
            .fetch_optional(change.sql())
            .await
            .map_err(failed("rotating a secret"))?;
        let webhook = row.map(|row| webhook_from(&row, now)).transpose()?;
        change.commit().await?;
        Ok(webhook)
    }

    /// The messages to a webhook, the latest first; those before number `before`, at most `limit`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn deliveries(
        &self,
        webhook: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let select = "SELECT * FROM delivery WHERE webhook = $1 AND number < $2 \
            ORDER BY number DESC LIMIT $3";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(webhook)
            .bind(before.unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing deliveries"))?;
        rows.iter().map(delivery_from).collect()
    }

    /// Sends a message again, whatever became of it, as if it were new; `None` if there is none of
    /// that id.
    ///
    /// # Errors
    /// `Conflict` if the webhook is disabled.
    pub async fn replay_delivery(&self, webhook: &str, id: &str) -> Result<Option<Delivery>> {
        let update = "UPDATE delivery SET state = 'pending', attempts = 0, next_attempt_at = $3, \
            delivered_at = NULL WHERE id = $1 AND webhook = $2 RETURNING *";
        let mut change = self.change().await?;
        let now = change.now_millis();
        let row = sqlx::query(update)
            .bind(id)
            .bind(webhook)
            .bind(now)
            .fetch_optional(change.sql())
            .await
            .map_err(failed("replaying a delivery"))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let enabled = sqlx::query("SELECT 1 FROM webhook WHERE id = $1 AND disabled = 0")
            .bind(webhook)
            .fetch_optional(change.sql())
            .await
            .map_err(failed("reading a webhook"))?;
        if enabled.is_none() {
            let message = "the webhook answered 410 Gone and is disabled; add it anew";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let delivery = delivery_from(&row)?;
        change.commit().await?;
        Ok(Some(delivery))
    }

    /// The next changes of state that webhooks weren't told of, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn untold_events(&self, limit: u32) -> Result<Vec<Event>> {
        let select = "SELECT sequence, asset, name, data, at FROM event \
            WHERE sequence > (SELECT value FROM counter WHERE name = 'told') \
            AND name = 'state' ORDER BY sequence LIMIT $1";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("reading events"))?;
        rows.iter().map(Event::from_row).collect()
    }

    /// Writes the message about an event for everybody who wants to hear of it, and moves on to the
    /// next event. Without a message, only moves on. Nothing happens if the event was told.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tell_webhooks(&self, event: &Event, message: Option<(Topic, &str)>) -> Result<()> {
        let mut change = self.change().await?;
        let moved = sqlx::query("UPDATE counter SET value = $1 WHERE name = 'told' AND value < $1")
            .bind(event.sequence)
            .execute(change.sql())
            .await
            .map_err(failed("writing messages"))?;
        if moved.rows_affected() == 0 {
            return Ok(());
        }
        if let Some((topic, payload)) = message {
            write_messages(&mut change, event, topic, payload).await?;
        }
        change.commit().await
    }

    /// What is to be sent now, with whom to: for each webhook the oldest message that is due.
    ///
    /// # Errors
    /// What the database says.
    pub async fn due_deliveries(&self) -> Result<Vec<(Delivery, Webhook)>> {
        let now = self.clock.now_millis();
        let select = "SELECT * FROM delivery WHERE number IN ( \
            SELECT MIN(number) FROM delivery \
            WHERE state = 'pending' AND next_attempt_at <= $1 AND webhook IN ( \
                SELECT id FROM webhook WHERE posting_until <= $1) GROUP BY webhook) \
            ORDER BY next_attempt_at, number";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(now)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("looking for deliveries"))?;
        drop(connection);
        let mut due = Vec::new();
        for row in &rows {
            let delivery = delivery_from(row)?;
            if let Some(webhook) = self.webhook(&delivery.webhook).await? {
                due.push((delivery, webhook));
            }
        }
        Ok(due)
    }

    /// Takes the turn to post to a webhook from other machines, until `until` or the attempt's end;
    /// `false` when another one has it. On one machine it is always there.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin_delivery(&self, delivery: &Delivery, until: i64) -> Result<bool> {
        if !self.is_shared() {
            return Ok(true);
        }
        let update = "UPDATE webhook SET posting_until = $3 WHERE id = $1 AND posting_until <= $2 \
            AND EXISTS (SELECT 1 FROM delivery WHERE id = $4 AND state = 'pending' \
                AND attempts = $5)";
        let mut change = self.change().await?;
        let now = change.now_millis();
        let done = sqlx::query(update)
            .bind(delivery.webhook.as_str())
            .bind(now)
            .bind(until)
            .bind(delivery.id.as_str())
            .bind(i64::from(delivery.attempts))
            .execute(change.sql())
            .await
            .map_err(failed("beginning a delivery"))?;
        change.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives the turn to post to a webhook back.
    async fn end_turn(&self, change: &mut Change, webhook: &str) -> Result<()> {
        if self.is_shared() {
            sqlx::query("UPDATE webhook SET posting_until = 0 WHERE id = $1")
                .bind(webhook)
                .execute(change.sql())
                .await
                .map_err(failed("ending a delivery"))?;
        }
        Ok(())
    }

    /// Notes how an attempt ended. Nothing happens if the message is gone with its webhook.
    ///
    /// # Errors
    /// What the database says.
    pub async fn end_delivery(&self, delivery: &Delivery, sent: &Sent) -> Result<()> {
        let mut change = self.change().await?;
        self.end_turn(&mut change, &delivery.webhook).await?;
        let now = change.now_millis();
        let (state, miss, next, delivered) = match sent {
            Sent::Received(status) => {
                let miss = (Some(*status), None);
                (DeliveryState::Delivered, miss, None, Some(now))
            }
            Sent::Again(miss, at) => (DeliveryState::Pending, missed(miss), Some(*at), None),
            Sent::GivenUp(miss) | Sent::Gone(miss) => {
                (DeliveryState::Failed, missed(miss), None, None)
            }
        };
        let update = "UPDATE delivery SET state = $2, last_status = $3, last_error = $4, \
            next_attempt_at = $5, delivered_at = $6, attempts = attempts + 1 WHERE id = $1";
        sqlx::query(update)
            .bind(delivery.id.as_str())
            .bind(state.name())
            .bind(miss.0.map(i64::from))
            .bind(miss.1)
            .bind(next)
            .bind(delivered)
            .execute(change.sql())
            .await
            .map_err(failed("noting a delivery"))?;
        if matches!(sent, Sent::Gone(_)) {
            disable(&mut change, &delivery.webhook).await?;
        }
        change.commit().await
    }
}

fn missed(miss: &Miss) -> (Option<u16>, Option<&str>) {
    (miss.status, Some(miss.error.as_str()))
}

async fn disable(change: &mut Change, webhook: &str) -> Result<()> {
    let statements = [
        "UPDATE webhook SET disabled = 1 WHERE id = $1",
        "UPDATE delivery SET state = 'failed', next_attempt_at = NULL, \
         last_error = 'the webhook answered 410 Gone to another message' \
         WHERE webhook = $1 AND state = 'pending'",
    ];
    for statement in statements {
        sqlx::query(statement)
            .bind(webhook)
            .execute(change.sql())
            .await
            .map_err(failed("disabling a webhook"))?;
    }
    Ok(())
}

async fn write_messages(
    change: &mut Change,
    event: &Event,
    topic: Topic,
    payload: &str,
) -> Result<()> {
    let now = change.now_millis();
    sqlx::query("DELETE FROM delivery WHERE created_at < $1 AND state <> 'pending'")
        .bind(now - LOG_MILLIS)
        .execute(change.sql())
        .await
        .map_err(failed("pruning deliveries"))?;
    let select = "SELECT * FROM webhook WHERE disabled = 0 AND created_after < $1 ORDER BY id";
    let rows = sqlx::query(select)
        .bind(event.sequence)
        .fetch_all(change.sql())
        .await
        .map_err(failed("listing webhooks"))?;
    for row in &rows {
        let webhook = webhook_from(row, now)?;
        if webhook.topics.is_empty() || webhook.topics.contains(&topic) {
            write_message(change, &webhook.id, topic, payload).await?;
        }
    }
    Ok(())
}

async fn write_message(
    change: &mut Change,
    webhook: &str,
    topic: Topic,
    payload: &str,
) -> Result<()> {
    let insert = "INSERT INTO delivery (id, number, webhook, event, payload, state, attempts, \
        created_at, next_attempt_at) VALUES ($1, $2, $3, $4, $5, 'pending', 0, $6, $6)";
    let number = change.next("delivery").await?;
    let now = change.now_millis();
    sqlx::query(insert)
        .bind(format!("msg_{}", AssetId::from_random(random()?)))
        .bind(number)
        .bind(webhook)
        .bind(topic.name())
        .bind(payload)
        .bind(now)
        .execute(change.sql())
        .await
        .map_err(failed("writing a message"))?;
    Ok(())
}

fn new_secret() -> Result<String> {
    let bytes = random::<32>()?;
    Ok(format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes)))
}

fn webhook_from(row: &AnyRow, now_millis: i64) -> Result<Webhook> {
    let columns = Columns(row);
    let until = columns.integer_or_none("previous_until")?;
    let previous = columns.text_or_none("previous_secret")?;
    Ok(Webhook {
        id: columns.text("id")?,
        url: columns.text("url")?,
        secret: columns.text("secret")?,
        previous_secret: previous.filter(|_| until.is_some_and(|until| now_millis < until)),
        topics: columns.json("events")?,
        disabled: columns.flag("disabled")?,
        created_at_millis: columns.integer("created_at")?,
    })
}

fn delivery_from(row: &AnyRow) -> Result<Delivery> {
    let columns = Columns(row);
    let topic = Topic::parse(&columns.text("event")?);
    let state = columns.text("state")?;
    let mut states = DeliveryState::ALL.into_iter();
    let state = states.find(|known| known.name() == state);
    let status = columns.integer_or_none("last_status")?;
    Ok(Delivery {
        id: columns.text("id")?,
        number: columns.integer("number")?,
        webhook: columns.text("webhook")?,
        topic: topic.ok_or_else(|| damaged("event"))?,
        payload: columns.text("payload")?,
        state: state.ok_or_else(|| damaged("state"))?,
        attempts: columns.small("attempts")?,
        last_status: status.and_then(|status| u16::try_from(status).ok()),
        last_error: columns.text_or_none("last_error")?,
        created_at_millis: columns.integer("created_at")?,
        next_attempt_at_millis: columns.integer_or_none("next_attempt_at")?,
        delivered_at_millis: columns.integer_or_none("delivered_at")?,
    })
}
