package outboxcrash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// The tables of the local environment that a campaign uses.
var (
	rowsTable    = aws.String("penstock-local-accounts")
	dynamoConfig = outboxdynamo.Config{Table: "penstock-local-outbox", MarksTable: "penstock-local-idempotency"}
)

// relayProgram is in the path of the relay's program.
const relayProgram = "outbox-relay"

// environment is a local environment with the bus and the outbox, and no other
// function than the relay. The relay reaches all services through the
// campaign's bus.
func environment(ctx context.Context, s Spec, tell func(line)) error {
	root, err := project.Root()
	if err != nil {
		return err
	}
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		return err
	}
	snapshot.Stacks = slices.DeleteFunc(snapshot.Stacks, func(stack string) bool {
		return !strings.HasSuffix(stack, "-bus") && !strings.HasSuffix(stack, "-data")
	})
	for stack, template := range snapshot.Templates {
		if snapshot.Templates[stack], err = redirect(template, s.Bus); err != nil {
			return fmt.Errorf("stack %s: %w", stack, err)
		}
	}
	env, err := local.Start(ctx, local.Config{
		Snapshot: snapshot, Root: root, DataDir: s.Where, Account: "000000000000", Region: s.aws().Region,
		Logger: slog.Default(),
	})
	if err != nil {
		return err
	}
	defer env.Close()
	tell(line{What: "ready", URL: env.Endpoint()})
	<-ctx.Done()
	return nil
}

// redirect has the functions of a template reach AWS at a URL.
func redirect(template []byte, url string) ([]byte, error) {
	var t map[string]any
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, err
	}
	resources, _ := t["Resources"].(map[string]any)
	for _, r := range resources {
		resource, _ := r.(map[string]any)
		if resource["Type"] != "AWS::Lambda::Function" {
			continue
		}
		properties, _ := resource["Properties"].(map[string]any)
		environment, _ := properties["Environment"].(map[string]any)
		variables, ok := environment["Variables"].(map[string]any)
		if !ok {
			return nil, errors.New("a function without variables")
		}
		variables["AWS_ENDPOINT_URL"] = url
	}
	return json.Marshal(t)
}

// dynamoDatabase is the writer's side.
type dynamoDatabase struct{ outbox *outboxdynamo.Outbox }

func newDynamoDatabase(s Spec) dynamoDatabase {
	return dynamoDatabase{outboxdynamo.New(dynamodb.NewFromConfig(s.aws()), dynamoConfig)}
}

func (dynamoDatabase) close() {}

func (d dynamoDatabase) inTx(ctx context.Context, fn func(session) error) error {
	return d.outbox.InTx(ctx, func(s *outboxdynamo.Session) error { return fn(dynamoSession{s}) })
}

type dynamoSession struct{ *outboxdynamo.Session }

func (s dynamoSession) once(_ context.Context, key string) error { return s.Once(key) }

func (s dynamoSession) insert(_ context.Context, r row) error {
	written, err := json.Marshal(r.Events)
	if err != nil {
		return err
	}
	return s.Write(types.TransactWriteItem{Put: &types.Put{TableName: rowsTable, Item: map[string]types.AttributeValue{
		"id":     &types.AttributeValueMemberS{Value: r.ID},
		"events": &types.AttributeValueMemberS{Value: string(written)},
	}}})
}

// dynamoLedger is the campaign's side.
type dynamoLedger struct {
	client *dynamodb.Client
	store  *outboxdynamo.Store
}

func newDynamoLedger(s Spec) *dynamoLedger {
	client := dynamodb.NewFromConfig(s.aws())
	return &dynamoLedger{client, outboxdynamo.NewStore(client, dynamoConfig.Table)}
}

func (l *dynamoLedger) rows(ctx context.Context) (map[string][]writtenEvent, error) {
	out := map[string][]writtenEvent{}
	pages := dynamodb.NewScanPaginator(l.client, &dynamodb.ScanInput{TableName: rowsTable, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			id, _ := item["id"].(*types.AttributeValueMemberS)
			text, ok := item["events"].(*types.AttributeValueMemberS)
			if id == nil || !ok {
				return nil, fmt.Errorf("a row is not the campaign's: %v", item)
			}
			var written []writtenEvent
			if err := json.Unmarshal([]byte(text.Value), &written); err != nil {
				return nil, err
			}
			out[id.Value] = written
		}
	}
	return out, nil
}

func (l *dynamoLedger) waiting(ctx context.Context) (n int, err error) {
	for after := ""; ; {
		items, next, err := l.store.Page(ctx, after)
		if err != nil {
			return 0, err
		}
		for _, item := range items {
			if item.SetAside == "" {
				n += max(len(item.Entries), 1)
			}
		}
		if after = next; after == "" {
			return n, nil
		}
	}
}

func (l *dynamoLedger) setAside(ctx context.Context) (out []outbox.SetAside, err error) {
	for aside, err := range l.store.ListSetAside(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, aside)
	}
	return out, nil
}

// letAMinutePass does nothing: what a relay had taken, the stream offers again.
func (l *dynamoLedger) letAMinutePass(context.Context) error { return nil }

// relayProcess finds the process of the relay's program below an environment's;
// 0 if none runs.
func relayProcess(ctx context.Context, environment int) (pid int, err error) {
	out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	parent := map[int]int{}
	var candidates []int
	for l := range strings.Lines(string(out)) {
		fields := strings.Fields(l)
		if len(fields) < 3 {
			continue
		}
		id, _ := strconv.Atoi(fields[0])
		parent[id], _ = strconv.Atoi(fields[1])
		if strings.Contains(fields[2], relayProgram) {
			candidates = append(candidates, id)
		}
	}
	for _, id := range candidates {
		for at := id; at > 1; at = parent[at] {
			if at == environment {
				return id, nil
			}
		}
	}
	return 0, nil
}

// killRelayProgram kills the relay's program, if it runs.
func killRelayProgram(ctx context.Context, environment int) (killed bool, err error) {
	pid, err := relayProcess(ctx, environment)
	if err != nil || pid == 0 {
		return false, err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return false, err
	}
	return true, nil
}
