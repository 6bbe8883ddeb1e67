package outboxtables

import "fmt"

// Postgres are the statements of an outbox in PostgreSQL.
type Postgres struct {
	// EnqueueOne takes an id, a type and a detail, Enqueue arrays of them.
	//
	// They wake the relay if one sleeps, at the commit. A notification makes a
	// transaction hold a lock of the whole cluster while it commits, and so all
	// such commits wait for each other ("NOTIFY"); so a writer notifies only if
	// somebody sleeps. A relay that is about to sleep takes the advisory lock
	// for itself, and then looks once more. A writer that gets the lock, shared,
	// knows that no relay sleeps, and holds it to its end, so that none can go
	// to sleep without seeing what it commits. A relay that cannot have the lock
	// looks again soon.
	EnqueueOne, Enqueue string
	// Mark takes an event key and a number of seconds, and affects no row if the
	// mark stands.
	Mark string

	// Take deletes and returns up to $1 rows that no other transaction has: a
	// relay commits the deletion once the bus has accepted them. The subquery
	// is evaluated once, and by its TIDs the rows are found without an index.
	Take string
	// Requeue takes arrays of seqs, ids, types, details and times of rows that
	// Take has deleted.
	Requeue string
	// SetAside takes arrays of keys, ids, types, details, times and reasons.
	SetAside string

	Backlog, ListSetAside, PutBack, Expire string

	// What a relay does to sleep; Notify wakes it without a commit.
	Listen, Notify, Lock, Unlock string
}

// Async lets the deletion of what was sent reach the disk a little after the
// commit: should the machine lose it, the events are sent again with the ids
// they have.
const Async = "SET LOCAL synchronous_commit TO off"

// Postgres returns the statements.
func (t Tables) Postgres() Postgres {
	return Postgres{
		EnqueueOne: fmt.Sprintf(t.Fill(`INSERT INTO penstock_outbox (event_id, type, detail) VALUES ($1, $2, $3)
	RETURNING CASE WHEN NOT pg_try_advisory_xact_lock_shared(%d) THEN pg_notify('%s', '')::text END`), t.LockKey(), t.Channel()),
		Enqueue: fmt.Sprintf(t.Fill(`WITH enqueued AS (
	INSERT INTO penstock_outbox (event_id, type, detail) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
) SELECT pg_notify('%s', '') WHERE NOT pg_try_advisory_xact_lock_shared(%d)`), t.Channel(), t.LockKey()),
		Mark: t.Fill(`INSERT INTO penstock_outbox_marks (event_key, expires_at)
	VALUES ($1, clock_timestamp() + $2 * interval '1 second') ON CONFLICT DO NOTHING`),
		Take: t.Fill(`DELETE FROM penstock_outbox WHERE ctid = ANY (ARRAY(
	SELECT ctid FROM penstock_outbox ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED
)) RETURNING seq, event_id, type, detail, enqueued_at`),
		Requeue: t.Fill(`INSERT INTO penstock_outbox (seq, event_id, type, detail, enqueued_at)
	SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])`),
		SetAside: t.Fill(`INSERT INTO penstock_outbox_aside (key, event_id, type, detail, enqueued_at, reason)
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
	ON CONFLICT (key) DO UPDATE SET detail = excluded.detail, reason = excluded.reason, set_aside_at = excluded.set_aside_at`),
		Backlog: t.Fill(`SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(enqueued_at)), 0)::float8,
	(SELECT count(*) FROM penstock_outbox_aside) FROM penstock_outbox`),
		ListSetAside: t.Fill(`SELECT key, event_id, type, detail, reason, set_aside_at FROM penstock_outbox_aside WHERE key > $1 ORDER BY key LIMIT $2`),
		PutBack: t.Fill(`WITH back AS (DELETE FROM penstock_outbox_aside WHERE key = $1 RETURNING event_id, type, detail)
	INSERT INTO penstock_outbox (event_id, type, detail) SELECT event_id, type, detail FROM back`),
		Expire: t.Fill(`DELETE FROM penstock_outbox_marks WHERE ctid = ANY (ARRAY(
	SELECT ctid FROM penstock_outbox_marks WHERE expires_at < clock_timestamp() LIMIT $1))`),
		Listen: "LISTEN " + t.Channel(),
		Notify: "NOTIFY " + t.Channel(),
		Lock:   fmt.Sprintf("SELECT pg_try_advisory_lock(%d)", t.LockKey()),
		Unlock: fmt.Sprintf("SELECT pg_advisory_unlock(%d)", t.LockKey()),
	}
}
