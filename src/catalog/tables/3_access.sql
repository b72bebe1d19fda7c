CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,   -- SHA-256, hexadecimal
    scopes TEXT NOT NULL,               -- JSON
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);

-- Uploads that may be resumed.
CREATE TABLE upload (
    asset TEXT PRIMARY KEY REFERENCES asset (id) ON DELETE CASCADE,
    length BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX upload_by_expiry ON upload (expires_at);

-- Requests that may be sent again. The asset may have been removed since.
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    asset TEXT,                         -- NULL while the request runs
    begun_at BIGINT NOT NULL
);
CREATE INDEX idempotency_by_age ON idempotency (begun_at);

CREATE TABLE caption (
    asset TEXT NOT NULL REFERENCES asset (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    language TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (asset, id)
);
