//! The API over real sockets, with the catalog and queue behind it and no workers.

mod access;
mod assets;
mod events;
mod pull;
mod server;
mod upload;
