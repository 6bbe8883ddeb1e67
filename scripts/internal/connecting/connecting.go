// Package connecting is what the programs that are connectors share: the flags of
// a connector, and lines about what came of each call.
package connecting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/functions/connector"
	"github.com/penstock-dev/penstock/functions/connector/sqsdlq"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// Flags are the flags of a program that is a connector.
type Flags struct {
	Config connector.Config // what the flags say of it, besides Match

	match string
	dlq   string
}

// Add adds the flags to a command.
func (f *Flags) Add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.Config.Namespace, "namespace", "", "invoke only the functions of this `namespace`")
	flags.StringVar(&f.match, "match", "wildcard", "how topics match: equal, fold (upper and lower case are the same) or `wildcard`")
	flags.StringVar(&f.dlq, "dlq", "", "the `URL` of an SQS queue for what fails for good")
	flags.DurationVar(&f.Config.RebuildInterval, "rebuild", 10*time.Second, "how often the functions' topics are read anew")
	flags.IntVar(&f.Config.Concurrency, "concurrency", 100, "how many `calls` are under way at once")
}

// Start starts a connector of an environment. The caller must close it.
func (f *Flags) Start(ctx context.Context, target *cli.Target, log *slog.Logger) (*connector.Connector, error) {
	cfg := f.Config
	switch f.match {
	case "equal":
		cfg.Match = connector.Equal
	case "fold":
		cfg.Match = connector.EqualFold
	case "wildcard":
		cfg.Match = connector.Wildcard
	default:
		return nil, cli.Misusef("--match %q: want equal, fold or wildcard", f.match)
	}
	tags := connector.NewTags(resourcegroupstaggingapi.NewFromConfig(target.AWS), target.Names.Bus())
	tags.Logger, cfg.Logger, cfg.Source = log, log, tags
	if f.dlq != "" {
		cfg.DLQ = sqsdlq.New(sqs.NewFromConfig(target.AWS), f.dlq)
	}
	c, err := connector.New(lambda.NewFromConfig(target.AWS), cfg)
	if err != nil {
		return nil, cli.Misuse{Err: err}
	}
	if err := c.Start(ctx); err != nil {
		return nil, target.Explain(err)
	}
	return c, nil
}

// Report writes one line for each response. It is safe for concurrent use.
type Report struct {
	mu  sync.Mutex
	out io.Writer
}

// NewReport returns a report to out.
func NewReport(out io.Writer) *Report { return &Report{out: out} }

// Response implements [connector.Subscriber].
func (r *Report) Response(got connector.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if got.Missed > 0 {
		fmt.Fprintf(r.out, "%d responses are left out here: they came too fast\n", got.Missed)
	}
	if errors.Is(got.Err, connector.ErrNoMatch) {
		fmt.Fprintf(r.out, "%s  no function matches\n", got.Topic)
		return
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%s  %s  ", got.Topic, got.Function)
	if got.Err != nil {
		line.WriteString(cli.Brief(got.Err))
	} else {
		fmt.Fprintf(&line, "%d", got.Status)
	}
	fmt.Fprintf(&line, "  %v", got.Duration.Round(100*time.Microsecond))
	if got.Attempt > 1 {
		fmt.Fprintf(&line, "  attempt %d", got.Attempt)
	}
	switch {
	case got.DeadLettered:
		line.WriteString("  put into the DLQ")
	case got.Failed() && got.Final:
		line.WriteString("  given up")
	}
	if got.CallID != "" {
		fmt.Fprintf(&line, "  call %s", got.CallID)
	}
	fmt.Fprintln(r.out, line.String())
}
