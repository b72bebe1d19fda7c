//! Work in flight: whoever needs what is being fetched waits for it instead of fetching it again.
//!
//! A flight belongs to the table and to the task that flies it, never to a request: one that goes
//! away leaves the flight and its other passengers alone.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};

/// An error for everyone who waits.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    kind: ErrorKind,
    message: Arc<str>,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string().into(),
        }
    }

    pub(super) fn error(&self) -> Error {
        Error::new(self.kind, &*self.message)
    }
}

pub(super) type Outcome<T> = Result<T, Failure>;
type Seat<T> = Arc<watch::Sender<Option<Outcome<T>>>>;

/// The flights of one kind by what they fetch.
#[derive(Debug)]
pub(super) struct Flights<K, T> {
    table: Mutex<HashMap<K, Seat<T>>>,
}

/// What a newcomer finds.
pub(super) enum Joined<K: Hash + Eq, T, F> {
    /// It is there already.
    Found(F),
    /// Somebody fetches it.
    Waiting(Arrival<T>),
    /// Nobody does: the newcomer must have the landing flown.
    Leading(Landing<K, T>, Arrival<T>),
}

impl<K: Hash + Eq + Clone, T: Clone> Flights<K, T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::new(HashMap::new()),
        })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<K, Seat<T>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the flight for `key`. `found` looks once more whether it is there: it may have landed
    /// between the newcomer's look and this call.
    pub(super) fn join<F>(
        self: &Arc<Self>,
        key: &K,
        found: impl FnOnce() -> Option<F>,
    ) -> Joined<K, T, F> {
        let mut table = self.table();
        if let Some(seat) = table.get(key) {
            return Joined::Waiting(Arrival(seat.subscribe()));
        }
        if let Some(found) = found() {
            return Joined::Found(found);
        }
        let (sender, receiver) = watch::channel(None);
        let seat = Arc::new(sender);
        table.insert(key.clone(), Arc::clone(&seat));
        let landing = Landing {
            flights: Arc::clone(self),
            key: key.clone(),
            seat: Some(seat),
        };
        Joined::Leading(landing, Arrival(receiver))
    }

    /// Flights whose key is `key` no longer count: their passengers get what was fetched, but it
    /// is not kept, and newcomers start anew.
    pub(super) fn void<Q>(&self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.table().remove(key);
    }

    /// As [`Self::void`], for all keys that `is_void` names.
    pub(super) fn void_all(&self, is_void: impl Fn(&K) -> bool) {
        self.table().retain(|key, _| !is_void(key));
    }
}

/// A passenger's end of a flight.
pub(super) struct Arrival<T>(watch::Receiver<Option<Outcome<T>>>);

impl<T: Clone + Send + Sync> Arrival<T> {
    /// What was fetched.
    pub(super) async fn outcome(mut self) -> Outcome<T> {
        let landed = self.0.wait_for(Option::is_some).await;
        landed
            .ok()
            .and_then(|outcome| outcome.clone())
            .unwrap_or_else(|| Err(lost()))
    }
}

fn lost() -> Failure {
    Failure {
        kind: ErrorKind::Internal,
        message: "a read of the store was given up".into(),
    }
}

/// The flying task's end of a flight; dropped without [`Self::complete`], it fails the flight.
pub(super) struct Landing<K: Hash + Eq, T> {
    flights: Arc<Flights<K, T>>,
    key: K,
    seat: Option<Seat<T>>,
}

impl<K: Hash + Eq, T> Landing<K, T> {
    /// Ends the flight. `keep` stores the outcome where newcomers will find it; it is not called
    /// when the flight is void.
    pub(super) fn complete(mut self, outcome: Outcome<T>, keep: impl FnOnce(&Outcome<T>)) {
        self.end(outcome, keep);
    }

    fn end(&mut self, outcome: Outcome<T>, keep: impl FnOnce(&Outcome<T>)) {
        let Some(seat) = self.seat.take() else {
            return;
        };
        {
            let mut table = (self.flights.table.lock()).unwrap_or_else(PoisonError::into_inner);
            let is_valid = table
                .get(&self.key)
                .is_some_and(|current| Arc::ptr_eq(current, &seat));
            if is_valid {
                keep(&outcome);
                table.remove(&self.key);
            }
        }
        seat.send_replace(Some(outcome));
    }
}

impl<K: Hash + Eq, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.end(Err(lost()), |_| {});
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = Flights<String, u32>;

    fn lead(flights: &Arc<Numbers>) -> (Landing<String, u32>, Arrival<u32>) {
        match flights.join(&"a".to_owned(), || None::<u32>) {
            Joined::Leading(landing, arrival) => (landing, arrival),
            _ => panic!("nobody leads yet"),
        }
    }

    fn wait(flights: &Arc<Numbers>) -> Arrival<u32> {
        match flights.join(&"a".to_owned(), || None::<u32>) {
            Joined::Waiting(arrival) => arrival,
            _ => panic!("somebody leads"),
        }
    }

    #[tokio::test]
    async fn all_who_wait_get_what_the_first_fetched() {
        let flights = Numbers::new();
        let (landing, first) = lead(&flights);
        let second = wait(&flights);
        drop(first);
        landing.complete(Ok(7), |_| {});
        assert_eq!(second.outcome().await.unwrap(), 7);
        lead(&flights);
    }

    #[tokio::test]
    async fn a_lost_leader_fails_its_passengers_and_frees_the_way() {
        let flights = Numbers::new();
        let (landing, arrival) = lead(&flights);
        drop(landing);
        assert_eq!(
            arrival.outcome().await.unwrap_err().kind,
            ErrorKind::Internal
        );
        lead(&flights);
    }

    #[tokio::test]
    async fn what_a_void_flight_brings_is_not_kept() {
        let flights = Numbers::new();
        let (void, passenger) = lead(&flights);
        flights.void("a");
        let (valid, _) = lead(&flights);
        void.complete(Ok(1), |_| panic!("kept"));
        assert_eq!(passenger.outcome().await.unwrap(), 1);
        let newcomer = wait(&flights);
        let mut kept = false;
        valid.complete(Ok(2), |_| kept = true);
        assert!(kept);
        assert_eq!(newcomer.outcome().await.unwrap(), 2);
    }
}
