package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

func newDeliveriesResend(common *cli.Flags) *cobra.Command {
	var function string
	var yes bool
	cmd := &cobra.Command{
		Use:   "resend EVENT...",
		Short: "Deliver events again",
		Long: `Deliver events again, whatever became of them. Each goes into the queue of its
subscription, and so by all that any delivery goes by: it has its attempts and its
retries, a function session of its own, and the signature of that moment. It keeps its
id, which is the header webhook-id: an endpoint that has it already knows it.

What is sent is what the log has. An event that the log has only the start of
(it is larger than 128 KB), or whose attempts have expired, is replayed from the
archive: see ` + "`penstock replay`" + `.`,
		Example: `  penstock deliveries resend 0197a0b1-2c3d-7e4f-8a5b-6c7d8e9f0a1b
  penstock deliveries list --outcome failed --output json | jq -r '.attempts[].event' | sort -u |
      xargs penstock deliveries resend -y`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			d, err := openDeliveries(cmd, common, function)
			if err != nil {
				return err
			}
			if err := d.Guard(ctx); err != nil {
				return err
			}
			var again []deliveries.Attempt
			for _, event := range args {
				found, err := d.again(cmd, event)
				if err != nil {
					return err
				}
				again = append(again, found...)
			}
			var to []string
			for _, a := range again {
				to = append(to, fmt.Sprintf("%s to %s/%s", a.Event, a.Function, a.Subscription))
			}
			if err := cli.Confirm(ctx, cmd.InOrStdin(), cmd.ErrOrStderr(), yes, fmt.Sprintf("Deliver again in environment %s: %s?", d.Env.Name, strings.Join(to, ", "))); err != nil {
				return err
			}
			queues := sqs.NewFromConfig(d.AWS)
			sent := []resent{}
			for _, a := range again {
				name := d.Names.Queue(a.Function, a.Subscription)
				queue, err := queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
				if err != nil {
					return d.Explain(fmt.Errorf("looking for queue %s: %w", name, err))
				}
				body, err := bodyOf(a, d.AWS.Region)
				if err != nil {
					return err
				}
				out, err := queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: &body})
				if err != nil {
					return d.Explain(fmt.Errorf("sending to queue %s: %w (%d of %d were sent)", name, err, len(sent), len(again)))
				}
				sent = append(sent, resent{a.Event, a.Function, a.Subscription, aws.ToString(out.MessageId)})
				if !common.JSON() {
					fmt.Fprintf(cmd.OutOrStdout(), "sent %s to %s/%s\n", a.Event, a.Function, a.Subscription)
				}
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), sent)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&function, "function", "", "only to the function of this `name`")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	_ = cmd.RegisterFlagCompletionFunc("function", completeFunctions)
	return cmd
}

// resent is an event that was sent again, as programs see it.
type resent struct {
	Event        string `json:"event"`
	Function     string `json:"function"`
	Subscription string `json:"subscription"`
	Message      string `json:"message"`
}

// again are the last attempts of an event, one for each subscription that it was
// delivered by, whose requests are whole.
func (d *deliveryLog) again(cmd *cobra.Command, event string) (out []deliveries.Attempt, err error) {
	all, err := d.OfEvent(cmd.Context(), d.functions, event)
	if err != nil {
		return nil, d.explain(err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no attempt to deliver event %s to %s in environment %s: nothing was sent", event, strings.Join(d.functions, ", "), d.Env.Name)
	}
	last := map[string]int{}
	for _, a := range all {
		if !a.Request.Whole() || len(a.Request.Body) > deliveries.MaxRequest {
			return nil, cli.Refusedf("event %s has %d bytes, and the log has only the start of it: replay it from the archive (`penstock replay`); nothing was sent", event, a.Request.Bytes)
		}
		key := a.Function + "/" + a.Subscription
		if i, ok := last[key]; ok {
			out[i] = a
			continue
		}
		last[key] = len(out)
		out = append(out, a)
	}
	return out, nil
}

// bodyOf is an event as its rule puts it into the queue.
func bodyOf(a deliveries.Attempt, region string) (string, error) {
	var body struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(a.Request.Body), &body); err != nil {
		return "", fmt.Errorf("the log's request of event %s cannot be read: %w", a.Event, err)
	}
	t, err := events.ParseType(a.Type)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{
		"version": "0", "id": uuid.NewString(), "detail-type": t.Name, "source": t.Source, "account": "", "region": region, "resources": []string{},
		"time":   a.Metadata.OccurredAt.UTC().Format("2006-01-02T15:04:05Z"),
		"detail": map[string]any{"metadata": a.Metadata, "data": body.Data},
	})
	return string(text), err
}
