package outboxpgx

// LockKey is the advisory lock of a relay that sleeps.
func LockKey(o *Outbox) int64 { return o.tables.LockKey() }
