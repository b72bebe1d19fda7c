-- Numbers that are given out once each, in the order of commits.
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('event', 0), ('task', 0);

CREATE TABLE asset (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,                       -- JSON
    policy TEXT NOT NULL,               -- JSON
    source_url TEXT,
    source_bytes BIGINT,
    source_digest TEXT,
    revision TEXT,
    duration_s DOUBLE PRECISION,
    renditions TEXT NOT NULL,           -- JSON
    segments_done BIGINT NOT NULL,
    segments_total BIGINT NOT NULL,
    has_poster BIGINT NOT NULL,
    warnings TEXT NOT NULL,             -- JSON
    created_at BIGINT NOT NULL
);
CREATE INDEX asset_by_age ON asset (created_at, id);
CREATE INDEX asset_by_state ON asset (state);
CREATE INDEX asset_by_digest ON asset (source_digest);
CREATE INDEX asset_by_revision ON asset (revision);

CREATE TABLE event (
    sequence BIGINT PRIMARY KEY,
    asset TEXT NOT NULL REFERENCES asset (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    data TEXT NOT NULL,                 -- JSON
    at BIGINT NOT NULL
);
CREATE INDEX event_by_asset ON event (asset, sequence);
