package names

import "strings"

// The environment variables that a function is given: the contract between
// infra, which sets them, and the functions, which read them. A manifest's own
// "variables" may not begin with VarPrefix.
const (
	// VarPrefix begins every variable that Penstock sets.
	VarPrefix = "PENSTOCK_"

	// VarApp is the application's name. Every function has it.
	VarApp = "PENSTOCK_APP"

	// VarEnv is the environment's name. Every function has it.
	VarEnv = "PENSTOCK_ENV"

	// VarFunction is the function's short name, such as "withdrawal-fee".
	// Every function has it.
	VarFunction = "PENSTOCK_FUNCTION"

	// VarRetries says of each subscription when a failed event comes back, and
	// how often: a JSON object by the subscription's name. Every function with
	// subscriptions has it.
	VarRetries = "PENSTOCK_RETRIES"

	// VarBus is the event bus's name. Only the programs that put events on the
	// bus have it, as a pipeline that publishes: a function of Go code publishes by
	// way of the outbox.
	VarBus = "PENSTOCK_BUS"

	// VarFunctions are the functions of the project that a pipeline calls: a JSON
	// object of their names on Lambda by their short names.
	VarFunctions = "PENSTOCK_FUNCTIONS"

	// VarConnections are the connections that a pipeline calls by: a JSON object
	// of what environments.json says of them, by their names.
	VarConnections = "PENSTOCK_CONNECTIONS"

	// VarOutboxTable is the outbox table's name. The relay has it, and each
	// function whose manifest has "publishes" or "tables".
	VarOutboxTable = "PENSTOCK_OUTBOX_TABLE"

	// VarIdempotencyTable is the name of the table of deduplication marks.
	// Each function has it whose manifest has "idempotency", "publishes" or
	// "tables".
	VarIdempotencyTable = "PENSTOCK_IDEMPOTENCY_TABLE"

	// VarStateTable is the name of the table of stopped subscriptions. The
	// breaker has it, and functions on HTTP.
	VarStateTable = "PENSTOCK_STATE_TABLE"

	// VarCallbackHosts are the hosts that results may be sent to, separated by
	// spaces. The callback program has it.
	VarCallbackHosts = "PENSTOCK_CALLBACK_HOSTS"

	// VarEgress is EgressLocal in an environment on one machine, for programs that
	// may also send to it, and without TLS. Elsewhere it is not there.
	VarEgress = "PENSTOCK_EGRESS"

	// VarStorageTable is the name of the table of users' rows. The data API has
	// it.
	VarStorageTable = "PENSTOCK_STORAGE_TABLE"

	// VarSessionsTable is the name of the table of revoked function sessions. The
	// data API's authorizer has it.
	VarSessionsTable = "PENSTOCK_SESSIONS_TABLE"

	// VarSessionKeys is the name of the secret with the keys of function sessions.
	// Who mints or verifies them has it, where there is a data API.
	VarSessionKeys = "PENSTOCK_SESSION_KEYS"

	// VarSessionMinutes is how long a function session is valid. Who has
	// VarSessionKeys has it, too, if the environment says so.
	VarSessionMinutes = "PENSTOCK_SESSION_MINUTES"

	// VarOIDCIssuers are the issuers whose people may use the data API: a JSON
	// list of objects with issuer, audience and prefix. The data API's authorizer
	// has it.
	VarOIDCIssuers = "PENSTOCK_OIDC_ISSUERS"

	// VarWebhookURL is where a function on HTTP delivers events to.
	VarWebhookURL = "PENSTOCK_WEBHOOK_URL"

	// VarDeliveriesTable is the name of the table of the log of deliveries, and
	// VarDeliveriesDays how long it keeps them. Functions on HTTP have both.
	VarDeliveriesTable = "PENSTOCK_DELIVERIES_TABLE"
	VarDeliveriesDays  = "PENSTOCK_DELIVERIES_DAYS"

	// VarQueues are the names of the queues of a function's subscriptions: a JSON
	// object by the subscription's name. Functions on HTTP have it.
	VarQueues = "PENSTOCK_QUEUES"

	// VarTopic is the ARN of the topic by which people are told. The breaker has
	// it.
	VarTopic = "PENSTOCK_TOPIC"

	// VarUnsentQueue is the URL of the queue of what the auth trigger could not put
	// on the bus in time.
	VarUnsentQueue = "PENSTOCK_UNSENT_QUEUE"
)

// EgressLocal is the value of VarEgress.
const EgressLocal = "local"

// TableVar is the environment variable that holds a table's name, for each of
// the "tables" of a function's manifest: PENSTOCK_TABLE_SAVINGS_LEDGER for
// "savings-ledger".
func TableVar(table string) string {
	return "PENSTOCK_TABLE_" + strings.ToUpper(strings.ReplaceAll(table, "-", "_"))
}

// The tags of a subscription's queue, by which the breaker knows the
// subscription.
const (
	TagFunction     = "penstock:function"     // the function's short name
	TagSubscription = "penstock:subscription" // the subscription's name
	TagEvent        = "penstock:event"        // the event type, as savings/SAVINGS_WITHDRAWAL
	TagProbe        = "penstock:probe-after-minutes"
)
