package outboxpgx_test

import (
	"testing"

	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
)

func TestMain(m *testing.M) { postgres.Main(m) }
