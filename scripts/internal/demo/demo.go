// Package demo does Penstock's main job once, against a running environment,
// and checks the result to the last event.
//
// It writes withdrawals to the accounts table and publishes each after commit,
// in one outbox session; waits until the function withdrawal-fee has handled
// them; and then reconciles what it committed with the fees in the ledger and
// the events on the bus, both read through the AWS SDK like everything else
// here.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/infra/names"
)

// function and subscription are what the demo exercises.
const (
	function     = "withdrawal-fee"
	subscription = "withdrawals"
)

// writers is how many transactions are under way at once.
const writers = 8

// Config says where and what.
type Config struct {
	AWS         aws.Config
	Names       names.Names
	Withdrawals []savings.Withdrawal
	// Stalled is how long the demo waits without any progress before it counts
	// what is not there as missing; 0 means 30 s.
	Stalled time.Duration
	// Progress is told how many of the withdrawals have come how far. It is
	// called from one goroutine at a time, and may be nil.
	Progress func(phase string, done, total int)
}

// run is one demonstration.
type run struct {
	config Config
	db     *dynamodb.Client
	logs   *cloudwatchlogs.Client
	lambda *lambda.Client
	watch  *watcher

	mu        sync.Mutex
	committed map[string]*withdrawal // by event id
	started   time.Time
}

// withdrawal is what becomes of one withdrawal.
type withdrawal struct {
	savings.Withdrawal
	committedAt time.Time
	handledAt   time.Time // the first time
	seen        bool      // on the bus
	fees        []fee
	feeEvents   map[string]bool // ids of FEE_CHARGED events
}

// fee is a fee in the ledger.
type fee struct{ id, amount string }

// Run does the demonstration. An error means that it could not be carried out;
// what it found is in the report.
func Run(ctx context.Context, config Config) (*Report, error) {
	if config.Stalled == 0 {
		config.Stalled = 30 * time.Second
	}
	if config.Progress == nil {
		config.Progress = func(string, int, int) {}
	}
	r := &run{
		config:    config,
		db:        dynamodb.NewFromConfig(config.AWS),
		logs:      cloudwatchlogs.NewFromConfig(config.AWS),
		lambda:    lambda.NewFromConfig(config.AWS),
		committed: map[string]*withdrawal{},
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	percent, err := r.feePercent(ctx)
	if err != nil {
		return nil, err
	}
	remove, err := r.ensureToken(ctx)
	if err != nil {
		return nil, err
	}
	defer remove(context.WithoutCancel(ctx))
	watch, err := newWatcher(ctx, eventbridge.NewFromConfig(config.AWS), sqs.NewFromConfig(config.AWS), config)
	if err != nil {
		return nil, err
	}
	r.watch = watch
	// Even when the demo was interrupted, what it made on the bus is removed.
	defer watch.remove(context.WithoutCancel(ctx))

	r.started = time.Now()
	outcomes := make(chan error, 1)
	followed := &outcomeLog{run: r, from: r.started}
	go func() { outcomes <- followed.follow(ctx) }()
	if err := r.write(ctx); err != nil {
		return nil, err
	}
	followed.finish()
	if err := <-outcomes; err != nil {
		return nil, err
	}
	if err := r.watchEvents(ctx); err != nil {
		return nil, err
	}
	if err := r.readLedger(ctx); err != nil {
		return nil, err
	}
	return r.report(followed, percent)
}

// feePercent reads from the deployed function what it charges.
func (r *run) feePercent(ctx context.Context) (string, error) {
	name := r.config.Names.Function(function)
	out, err := r.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		return "", fmt.Errorf("the demo needs the function %s: %w", function, err)
	}
	if out.Environment == nil || out.Environment.Variables["FEE_PERCENT"] == "" {
		return "", fmt.Errorf("the demo needs the function %s to have the variable FEE_PERCENT", function)
	}
	return out.Environment.Variables["FEE_PERCENT"], nil
}

// coreToken is the secret that the function signs fees with.
const coreToken = "core-api-token"

// tokenMark begins the value that the demo gives it: one that tests search all
// outputs and logs for.
const tokenMark = "t0p-s3cret-demo-"

// ensureToken makes the secret that the function reads, with a random value,
// unless it exists. remove takes away what was made.
func (r *run) ensureToken(ctx context.Context) (remove func(context.Context), err error) {
	client := secretsmanager.NewFromConfig(r.config.AWS)
	name := r.config.Names.Secret(coreToken)
	_, err = client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: &name, Description: aws.String("made by the demo"), SecretString: aws.String(tokenMark + rand.Text()),
	})
	var exists *smtypes.ResourceExistsException
	if errors.As(err, &exists) {
		return func(context.Context) {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the demo needs the secret %s, which %s reads: %w", coreToken, function, err)
	}
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, removeTimeout)
		defer cancel()
		// An error is of no use to anybody: the environment is about to stop.
		_, _ = client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	}, nil
}

// write commits every withdrawal. The withdrawals of one account are written
// one after another, as an application would serialise them.
func (r *run) write(ctx context.Context) error {
	outbox := outboxdynamo.New(r.db, outboxdynamo.Config{Table: r.config.Names.Table(names.OutboxTable)})
	shares := make([][]savings.Withdrawal, writers)
	for _, w := range r.config.Withdrawals {
		h := fnv.New32a()
		h.Write([]byte(w.AccountID))
		i := h.Sum32() % writers
		shares[i] = append(shares[i], w)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, share := range shares {
		group.Go(func() error {
			for _, w := range share {
				if err := r.commit(ctx, outbox, w); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// commit writes one withdrawal to its account and publishes it, in one
// transaction.
func (r *run) commit(ctx context.Context, outbox *outboxdynamo.Outbox, w savings.Withdrawal) error {
	// Stamped and noted here, since the event may have been handled before
	// InTx returns.
	event := events.Stamp(ctx, w)
	noted := &withdrawal{Withdrawal: w, feeEvents: map[string]bool{}}
	r.mu.Lock()
	r.committed[event.ID] = noted
	r.mu.Unlock()
	err := outbox.InTx(ctx, func(s *outboxdynamo.Session) error {
		s.Write(types.TransactWriteItem{Update: &types.Update{
			TableName:        aws.String(r.config.Names.Table("accounts")),
			Key:              map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: w.AccountID}},
			UpdateExpression: aws.String("ADD withdrawn :amount, withdrawals :one SET lastTransactionId = :transaction"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":amount":      &types.AttributeValueMemberN{Value: strconv.FormatFloat(w.Amount, 'f', -1, 64)},
				":one":         &types.AttributeValueMemberN{Value: "1"},
				":transaction": &types.AttributeValueMemberS{Value: w.TransactionID},
			},
		}})
		return s.PublishAfterCommit(ctx, event)
	})
	if err != nil {
		return fmt.Errorf("withdrawal %s: %w", w.TransactionID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	noted.committedAt = time.Now()
	return nil
}

// readLedger finds the fees of this run's withdrawals.
func (r *run) readLedger(ctx context.Context) error {
	pages := dynamodb.NewScanPaginator(r.db, &dynamodb.ScanInput{
		TableName:                aws.String(r.config.Names.Table("ledger")),
		ProjectionExpression:     aws.String("id, withdrawalId, #amount"),
		ExpressionAttributeNames: map[string]string{"#amount": "amount"},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
		for _, item := range page.Items {
			id, _ := item["id"].(*types.AttributeValueMemberS)
			source, _ := item["withdrawalId"].(*types.AttributeValueMemberS)
			amount, _ := item["amount"].(*types.AttributeValueMemberN)
			if id == nil || source == nil || amount == nil {
				return errors.New("the ledger holds an item that is no fee")
			}
			if w := r.committed[source.Value]; w != nil {
				w.fees = append(w.fees, fee{id.Value, amount.Value})
			}
		}
	}
	return nil
}

// watchEvents reads from the bus, until nothing new comes, what this run
// published and caused.
func (r *run) watchEvents(ctx context.Context) error {
	complete := 0
	last := time.Now()
	return r.watch.each(ctx, func(batch []busEvent) (done bool) {
		for _, e := range batch {
			switch {
			case e.withdrawal():
				if w := r.committed[e.Detail.Metadata.ID]; w != nil {
					w.seen = true
				}
			case r.committed[e.Detail.Data.WithdrawalID] != nil:
				w := r.committed[e.Detail.Data.WithdrawalID]
				if len(w.feeEvents) == 0 {
					complete++
					last = time.Now()
				}
				w.feeEvents[e.Detail.Metadata.ID] = true
			}
		}
		r.config.Progress("checking", complete, len(r.committed))
		// After the last expected event the queue is read until it is empty: a
		// duplicate may be behind it.
		if len(batch) > 0 {
			return false
		}
		return complete == len(r.committed) || time.Since(last) > r.config.Stalled
	})
}

// ids returns the ids of the withdrawals that a test holds for, in the order
// of their commits.
func (r *run) ids(test func(*withdrawal) bool) []string {
	var out []string
	for id, w := range r.committed {
		if test(w) {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return r.committed[a].committedAt.Compare(r.committed[b].committedAt) })
	return out
}
