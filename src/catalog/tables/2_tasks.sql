-- Work that is queued, being done, or given up. What is done is removed.
CREATE TABLE task (
    id BIGINT PRIMARY KEY,              -- also the order of enqueuing
    asset TEXT NOT NULL REFERENCES asset (id) ON DELETE CASCADE,
    work TEXT NOT NULL,                 -- JSON
    priority BIGINT NOT NULL,           -- 0 is the most urgent
    position BIGINT NOT NULL,           -- of equally urgent ones the lowest goes first
    key TEXT,
    last BIGINT NOT NULL,               -- waits for all others of its asset
    state TEXT NOT NULL,                -- queued, running, dead
    failures BIGINT NOT NULL,           -- attempts that ended in an error
    crashes BIGINT NOT NULL,            -- attempts in a row that never ended
    fence BIGINT NOT NULL,              -- how often it was claimed; names the claim
    not_before BIGINT NOT NULL,         -- queued: when it may be claimed
    lease_until BIGINT NOT NULL,        -- running: when the claim lapses
    cancelled BIGINT NOT NULL,          -- running: its claim is to stop
    worker TEXT,                        -- who claimed it last
    failure TEXT,                       -- JSON: how the last attempt ended
    queued_at BIGINT NOT NULL,
    died_at BIGINT,
    UNIQUE (asset, key)
);
CREATE INDEX task_by_urgency ON task (state, priority, position, id);
