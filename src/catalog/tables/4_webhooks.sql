CREATE TABLE webhook (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    previous_secret TEXT,
    previous_until BIGINT,
    events TEXT NOT NULL,               -- JSON; empty for all
    disabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_after BIGINT NOT NULL       -- number of the last event before it
);

CREATE TABLE delivery (
    id TEXT PRIMARY KEY,                -- the message's
    number BIGINT NOT NULL UNIQUE,      -- order of the messages
    webhook TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,                -- pending, delivered, failed
    attempts BIGINT NOT NULL,
    last_status BIGINT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    next_attempt_at BIGINT,
    delivered_at BIGINT
);
CREATE INDEX delivery_by_webhook ON delivery (webhook, number);
CREATE INDEX delivery_by_time ON delivery (state, next_attempt_at);

INSERT INTO counter (name, value) VALUES ('delivery', 0);
-- Number of the last event that was told; webhooks hear only of later ones.
INSERT INTO counter (name, value)
    SELECT 'told', value FROM counter WHERE name = 'event';
