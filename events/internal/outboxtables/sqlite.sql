-- Penstock's transactional outbox, version 1, for SQLite 3.38 or newer.
-- It may be run again: what is there stays as it is. Times are in milliseconds
-- since 1970.

-- Committed events that wait for a relay.
CREATE TABLE IF NOT EXISTS penstock_outbox (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id     TEXT NOT NULL,
    type         TEXT NOT NULL, -- source/NAME
    detail       TEXT NOT NULL, -- the event as the bus gets it, JSON
    enqueued_at  INTEGER NOT NULL,
    lease        TEXT NOT NULL DEFAULT '', -- which relay sends it now,
    leased_until INTEGER NOT NULL DEFAULT 0 -- and until when it alone may
);

-- Events that can never be sent as they are, and why.
CREATE TABLE IF NOT EXISTS penstock_outbox_aside (
    key          TEXT PRIMARY KEY, -- type#event_id
    event_id     TEXT NOT NULL,
    type         TEXT NOT NULL,
    detail       TEXT NOT NULL,
    enqueued_at  INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    set_aside_at INTEGER NOT NULL
);

-- The marks of Once.
CREATE TABLE IF NOT EXISTS penstock_outbox_marks (
    event_key  TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS penstock_outbox_marks_expiry ON penstock_outbox_marks (expires_at);

CREATE TABLE IF NOT EXISTS penstock_outbox_version (version INTEGER NOT NULL);
INSERT INTO penstock_outbox_version SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM penstock_outbox_version);
