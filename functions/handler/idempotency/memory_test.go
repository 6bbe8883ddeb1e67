package idempotency_test

import (
	"testing"

	"github.com/penstock-dev/penstock/functions/handler/idempotency"
	"github.com/penstock-dev/penstock/functions/handler/idempotency/storetest"
)

func TestMemoryIsAStore(t *testing.T) { storetest.Run(t, new(idempotency.Memory), "fee/") }
