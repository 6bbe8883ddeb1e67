package outboxsql

import "github.com/penstock-dev/penstock/events/internal/outboxtables"

// sqlite are the statements of an outbox in SQLite. Lists are one parameter
// each, a JSON array.
type sqlite struct {
	enqueue, mark                          string
	waiting, take                          string
	remove, setAside, release, releaseAll  string
	backlog, listSetAside, putBack, unlist string
	expire                                 string
}

func newSQLite(t outboxtables.Tables) sqlite {
	return sqlite{
		enqueue: t.Fill(`INSERT INTO penstock_outbox (event_id, type, detail, enqueued_at)
	SELECT value ->> 0, value ->> 1, value ->> 2, ?2 FROM json_each(?1)`),
		mark: t.Fill(`INSERT INTO penstock_outbox_marks (event_key, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING`),

		waiting: t.Fill(`SELECT EXISTS (SELECT 1 FROM penstock_outbox WHERE leased_until <= ?1)`),
		take: t.Fill(`UPDATE penstock_outbox SET lease = ?1, leased_until = ?2
	WHERE seq IN (SELECT seq FROM penstock_outbox WHERE leased_until <= ?3 ORDER BY seq LIMIT ?4)
	RETURNING seq, event_id, type, detail, enqueued_at`),
		remove: t.Fill(`DELETE FROM penstock_outbox WHERE seq IN (SELECT value FROM json_each(?1)) AND lease = ?2`),
		setAside: t.Fill(`INSERT INTO penstock_outbox_aside (key, event_id, type, detail, enqueued_at, reason, set_aside_at)
	SELECT o.type || '#' || o.event_id, o.event_id, o.type, o.detail, o.enqueued_at, r.value ->> 1, ?2
	FROM json_each(?1) r JOIN penstock_outbox o ON o.seq = r.value ->> 0
	WHERE o.lease = ?3
	ON CONFLICT (key) DO UPDATE SET detail = excluded.detail, reason = excluded.reason, set_aside_at = excluded.set_aside_at`),
		release:    t.Fill(`UPDATE penstock_outbox SET leased_until = 0, lease = '' WHERE lease = ?1 AND seq IN (SELECT value FROM json_each(?2))`),
		releaseAll: t.Fill(`UPDATE penstock_outbox SET leased_until = 0, lease = '' WHERE lease = ?1`),

		backlog: t.Fill(`SELECT count(*), min(enqueued_at), (SELECT count(*) FROM penstock_outbox_aside) FROM penstock_outbox`),
		listSetAside: t.Fill(`SELECT key, event_id, type, detail, reason, set_aside_at FROM penstock_outbox_aside
	WHERE key > ?1 ORDER BY key LIMIT ?2`),
		putBack: t.Fill(`INSERT INTO penstock_outbox (event_id, type, detail, enqueued_at)
	SELECT event_id, type, detail, ?2 FROM penstock_outbox_aside WHERE key = ?1`),
		unlist: t.Fill(`DELETE FROM penstock_outbox_aside WHERE key = ?1`),
		expire: t.Fill(`DELETE FROM penstock_outbox_marks WHERE event_key IN (
	SELECT event_key FROM penstock_outbox_marks WHERE expires_at < ?1 LIMIT ?2)`),
	}
}
