-- Where machines share the catalog: the one that alone has an asset's source, until it is stored for
-- all, and so alone does its tasks.
ALTER TABLE asset ADD COLUMN source_node TEXT;
ALTER TABLE task ADD COLUMN node TEXT;
-- Until when a machine is posting to it.
ALTER TABLE webhook ADD COLUMN posting_until BIGINT NOT NULL DEFAULT 0;
