//! HTTP requests to addresses that users named: every address is checked before it is connected to.
