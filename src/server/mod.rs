//! The whole server: catalog, store, workers, routes, and its orderly end.
