// Package dynamodb is Amazon DynamoDB as the local environment runs it: items
// with conditions, updates and queries, transactions, streams and expiry.
//
// The life of a write:
//
//  1. The request is decoded and its expressions are parsed; what DynamoDB
//     refuses without seeing an item is refused.
//  2. The items that it names are locked (see locks), in one order for all, so
//     that everything that is checked and written about an item happens one
//     after the other, and nobody waits for a neighbour.
//  3. Each change is evaluated: the item as it is, the condition, the item as
//     it will be.
//  4. All changes of the request, their stream records and the transaction's
//     token go into one batch. Its commit returns once it is durable; commits
//     that arrive together share one fsync.
//  5. The locks are released, the stream's readers are woken, and the write is
//     acknowledged.
//
// An item lies in the store as the JSON that the wire protocol gives it, which
// is also what its stream record shows: reading needs no decoding.
//
// Secondary indexes and the parameters that expressions replaced (Expected,
// AttributeUpdates, KeyConditions, …) are not implemented: an error names them.
// A write waits where DynamoDB would answer TransactionConflictException.
//
// [Service] is the core: it opens no socket. [Service.Operations] is its wire
// API.
package dynamodb

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Config says where a service's tables are.
type Config struct {
	Account string
	Region  string
	Meter   *meter.Meter // where request units are counted; nil: nowhere
	// Caller names the Lambda function that makes the request being answered,
	// empty if it is another caller; nil: nobody is named.
	Caller func(context.Context) string
	Logger *slog.Logger
}

// Service holds the tables of one account and region. It is safe for
// concurrent use. The zero value is not usable: call [New].
type Service struct {
	config    Config
	arnPrefix string // what a table's ARN has before its name
	store     *store.Store
	locks     *locks
	tokens    *tokens
	stop      chan struct{}
	done      chan struct{}

	mu     sync.RWMutex
	tables map[string]*table
}

// New returns the service with the tables, items and stream records that the
// store holds. [Service.Close] ends its background work.
func New(st *store.Store, config Config) (*Service, error) {
	s := &Service{
		config:    config,
		arnPrefix: fmt.Sprintf("arn:aws:dynamodb:%s:%s:table/", config.Region, config.Account),
		store:     st,
		locks:     newLocks(),
		stop:      make(chan struct{}),
		done:      make(chan struct{}),
		tables:    map[string]*table{},
	}
	var err error
	if s.tokens, err = loadTokens(st); err != nil {
		return nil, err
	}
	for entry, err := range st.Scan(store.Prefix(tableKey())) {
		if err != nil {
			return nil, err
		}
		var saved savedTable
		if err := json.Unmarshal(entry.Value, &saved); err != nil {
			return nil, fmt.Errorf("dynamodb: a table in the store: %w", err)
		}
		t, err := s.newTable(saved)
		if err != nil {
			return nil, err
		}
		s.tables[saved.Name] = t
	}
	go s.sweep()
	return s, nil
}

// Close ends the service's background work. It does not close the store.
func (s *Service) Close() {
	close(s.stop)
	<-s.done
}

// sweepInterval is how often items, stream records and tokens that have
// expired are removed. (DynamoDB deletes an expired item within a few days:
// "Using time to live (TTL) in DynamoDB".)
const sweepInterval = 5 * time.Minute

func (s *Service) sweep() {
	defer close(s.done)
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			for _, t := range s.all() {
				if err := s.expireItems(t, now); err != nil {
					s.config.Logger.Error("deleting expired items", "table", t.Name, "error", err)
				}
				if err := s.expireRecords(t, now); err != nil {
					s.config.Logger.Error("removing old stream records", "table", t.Name, "error", err)
				}
			}
			if err := s.expireTokens(now); err != nil {
				s.config.Logger.Error("removing old transaction tokens", "error", err)
			}
		}
	}
}

func invalid(format string, args ...any) error {
	return awswire.Errorf("ValidationException", format, args...)
}
