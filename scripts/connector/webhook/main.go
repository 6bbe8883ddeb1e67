// Command webhook is a connector of GitHub: it receives a repository's webhooks
// and invokes the functions that declare a topic github.<event>.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/connecting"
)

func main() { cli.Main("webhook", newCommand) }

// webhook is the command as its flags describe it.
type webhook struct {
	flags      *cli.Flags
	connecting connecting.Flags

	port             int
	path             string
	name, secretFile string
}

func newCommand(flags *cli.Flags) *cobra.Command {
	h := webhook{flags: flags}
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Receive GitHub's webhooks, and invoke the functions that declare github.<event>",
		Long: `Receive GitHub's webhooks, and invoke the functions that declare github.<event>,
until Ctrl-C. It listens on loopback: put what speaks TLS to the world before it.

A delivery is taken if its X-Hub-Signature-256 is that of the secret, which is one
of the environment's (--secret) or in a file (--secret-file). The functions get its
body as it is, and X-GitHub-Event and X-GitHub-Delivery among its headers. They are
called asynchronously; the answer is 202 once Lambda has accepted every call. A
delivery that is too large for that is called synchronously, and answered when the
functions have. With any other status GitHub shows the delivery as failed, and can
deliver it again.

The webhook's content type must be application/json.`,
		Example: `  penstock secrets create github-webhook
  webhook --secret github-webhook
  webhook --env prod --secret-file /run/secrets/github --port 9000 --dlq https://sqs…/webhooks-dlq`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return h.run(cmd) },
	}
	h.connecting.Add(cmd)
	f := cmd.Flags()
	f.IntVar(&h.port, "port", 8080, "the loopback `port` to listen on; 0 takes any free one")
	f.StringVar(&h.path, "path", "/github", "the `path` of the webhook's URL")
	f.StringVar(&h.name, "secret", "", "the `name` of the secret in the environment")
	f.StringVar(&h.secretFile, "secret-file", "", "the `file` that holds the secret")
	cmd.MarkFlagsMutuallyExclusive("secret", "secret-file")
	cmd.MarkFlagsOneRequired("secret", "secret-file")
	return cmd
}

func (h *webhook) run(cmd *cobra.Command) error {
	if h.path == "" || h.path[0] != '/' {
		return cli.Misusef("--path %q: it begins with a slash", h.path)
	}
	ctx := cmd.Context()
	target, err := h.flags.Target(ctx)
	if err != nil {
		return err
	}
	if err := target.Guard(ctx); err != nil {
		return err
	}
	read := fromFile(h.secretFile)
	if h.name != "" {
		read = fromSecretsManager(secretsmanager.NewFromConfig(target.AWS), target.Names.Secret(h.name))
	}
	// A secret that cannot be read is told at once, and not of each delivery.
	if value, err := read(ctx); err != nil {
		return target.Explain(fmt.Errorf("reading the webhook's secret: %w", err))
	} else if len(value) == 0 {
		return errors.New("the webhook's secret is empty")
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	h.connecting.Config.Timeout = answerWithin
	functions, err := h.connecting.Start(ctx, target, log)
	if err != nil {
		return err
	}
	functions.Subscribe(connecting.NewReport(cmd.OutOrStdout()))
	served := h.serve(ctx, cmd, &receiver{functions: functions, secret: &secret{read: read}, log: log})
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(served, functions.Close(closing))
}

// serve answers deliveries until ctx ends, and then those that were begun.
func (h *webhook) serve(ctx context.Context, cmd *cobra.Command, deliveries http.Handler) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", h.port))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(h.path, deliveries)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       answerWithin,
		WriteTimeout:      2 * answerWithin,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	fmt.Fprintf(cmd.OutOrStdout(), "listening on http://%s%s\n", listener.Addr(), h.path)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	return server.Shutdown(ending)
}
