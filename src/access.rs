//! Who may use the API: keys, their scopes, and the open door of a loopback listener.
