//! Delivery over HTTP of what the store holds.
