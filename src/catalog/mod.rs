//! The one door to SQL: assets, tasks, events, API keys, uploads, webhooks.
