//! The loop that writes messages from events and posts them. One message at a time to each
//! webhook, so that one that hangs holds up no other.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Webhooks, message};
use crate::catalog::{Delivery, Event, Miss, Sent, Topic, Webhook};
use crate::error::Result;
use crate::outbound::Answer;
use crate::telemetry::tell_operator;

/// What lines for the operator begin with.
const PART: &str = "webhooks";

/// How long after a failed attempt the next is made, as Standard Webhooks suggests it ("Retry
/// schedule"). Then the message is given up.
const DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];
/// Events that are told in one go.
const EVENTS_AT_ONCE: u32 = 100;
/// For how long one machine keeps the turn to post to a webhook, should it stop meanwhile: longer
/// than a post may take.
const TURN_MILLIS: i64 = 30_000;
/// How often to look for messages that have become due.
const TICK: Duration = Duration::from_secs(1);

/// Posts on their way: each ends with the id of its webhook. Tasks of their own, since a future
/// that is left alone while it has its turn to write would hold up the catalog.
type Posts = JoinSet<String>;

/// Delivers until `stop`. A message that is being posted then is posted again at the next start.
pub async fn run(webhooks: Webhooks, stop: impl Future<Output = ()> + Send) {
    let mut events = webhooks.catalog.subscribe();
    let mut posts = Posts::new();
    let mut busy = HashSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        if let Err(error) = begin_due(&webhooks, &mut posts, &mut busy).await {
            tell_operator(PART, &format!("looking for messages: {error}"));
        }
        tokio::select! {
            () = &mut stop => return,
            Some(ended) = posts.join_next() => match ended {
                Ok(webhook) => {
                    busy.remove(&webhook);
                }
                // Whose it was isn't known. Those still on their way may then be posted twice.
                Err(error) => {
                    tell_operator(PART, &format!("a post ended early: {error}"));
                    busy.clear();
                }
            },
            () = next_change(&webhooks, &mut events) => {}
        }
    }
}

/// Writes what is to be told, and begins to post what is due.
async fn begin_due(
    webhooks: &Webhooks,
    posts: &mut Posts,
    busy: &mut HashSet<String>,
) -> Result<()> {
    webhooks.write_messages().await?;
    for (delivery, webhook) in webhooks.catalog.due_deliveries().await? {
        if busy.insert(webhook.id.clone()) {
            let webhooks = webhooks.clone();
            posts.spawn(async move {
                if let Err(error) = webhooks.deliver(&delivery, &webhook).await {
                    tell_operator(PART, &format!("message {}: {error}", delivery.id));
                }
                webhook.id
            });
        }
    }
    Ok(())
}

/// Waits until there may be something to write or to post.
async fn next_change(webhooks: &Webhooks, events: &mut Receiver<Event>) {
    let end = Instant::now() + TICK;
    let state_changed = async {
        // Of what it lost by falling behind, the table knows more.
        while let Ok(event) = events.recv().await {
            if event.name == "state" {
                return;
            }
        }
    };
    let changed = async {
        tokio::select! {
            () = state_changed => {}
            () = webhooks.replayed.notified() => {}
        }
    };
    // Both outcomes mean: look again.
    let _ = timeout_at(end, changed).await;
}

impl Webhooks {
    /// Writes the messages of all events that were not told yet.
    pub(super) async fn write_messages(&self) -> Result<()> {
        loop {
            let events = self.catalog.untold_events(EVENTS_AT_ONCE).await?;
            if events.is_empty() {
                return Ok(());
            }
            for event in &events {
                self.write_message(event).await?;
            }
        }
    }

    async fn write_message(&self, event: &Event) -> Result<()> {
        let asset = match Topic::of(event) {
            None => None,
            Some(topic) => {
                let asset = self.catalog.asset(&event.asset).await?;
                asset.map(|asset| (topic, asset))
            }
        };
        // About an asset that was removed meanwhile there is nothing to say.
        let message = asset.map(|(topic, asset)| {
            let payload = message::payload(event, topic, &asset, &self.base);
            (topic, payload)
        });
        let message = message.as_ref();
        let message = message.map(|(topic, payload)| (*topic, payload.as_str()));
        self.catalog.tell_webhooks(event, message).await
    }

    /// Posts a message once, and notes what came of it.
    pub(super) async fn deliver(&self, delivery: &Delivery, webhook: &Webhook) -> Result<()> {
        let now = self.clock.now_millis();
        if !self
            .catalog
            .begin_delivery(delivery, now + TURN_MILLIS)
            .await?
        {
            return Ok(());
        }
        let headers = message::headers(webhook, &delivery.id, &delivery.payload, now);
        let body = Bytes::from(delivery.payload.clone());
        let sent = match self.client.post(&webhook.url, &headers, body).await {
            Ok(answer) => judge(&answer, delivery.attempts, self.clock.now_millis()),
            Err(error) => {
                let (status, error) = (None, error.to_string());
                missed(
                    Miss { status, error },
                    delivery.attempts,
                    self.clock.now_millis(),
                )
            }
        };
        self.catalog.end_delivery(delivery, &sent).await
    }
}

/// What an answer means, after `attempts` earlier ones that failed.
fn judge(answer: &Answer, attempts: u32, now_millis: i64) -> Sent {
    let status = answer.status;
    if (200..300).contains(&status) {
        return Sent::Received(status);
    }
    let miss = |what: &str| Miss {
        status: Some(status),
        error: format!("the webhook answered {status}{what}"),
    };
    match status {
        410 => Sent::Gone(miss(" Gone and is disabled")),
        300..400 => missed(
            miss("; redirects are not followed, so name the URL behind it"),
            attempts,
            now_millis,
        ),
        _ => missed(miss(""), attempts, now_millis),
    }
}

fn missed(miss: Miss, attempts: u32, now_millis: i64) -> Sent {
    let attempt = usize::try_from(attempts).unwrap_or(usize::MAX);
    match DELAYS.get(attempt) {
        None => Sent::GivenUp(miss),
        Some(delay) => {
            let delay = i64::try_from(delay.as_millis()).expect("a day at most");
            Sent::Again(miss, now_millis + delay)
        }
    }
}
