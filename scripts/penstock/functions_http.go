package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/functions/egress"
	"github.com/penstock-dev/penstock/functions/webhook"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// httpFlags are what a function on HTTP is made of.
type httpFlags struct {
	url, secret, secretFile, description string
	events                               []string
	timeout                              int
}

func newFunctionsCreateHTTP(common *cli.Flags) *cobra.Command {
	var f httpFlags
	var apply application
	cmd := &cobra.Command{
		Use:   "create-http NAME --url URL --event TYPE...",
		Short: "Have an HTTP endpoint receive events",
		Long: `Have an HTTP endpoint receive events: a function on HTTP, which has no code.
The command writes its functions/NAME/function.json, with a subscription for each
event type, and makes the secret that deliveries are signed by. It comes to the
environment as by ` + "`penstock subscriptions create`" + `.

The secret is 32 random bytes, "whsec_…", in Secrets Manager. It is printed
nowhere; --secret-file writes it to a new file that only you can read, for whoever
runs the endpoint. Of a secret that is there already nothing is read or changed.

The URL begins with https:// and is that of a public address. On this machine it may
also lead to the machine itself where infra/environments.json says
"webhooks": {"allowLoopback": true}. An environment whose endpoint is elsewhere says
so there: "webhooks": {"urls": {"NAME": "https://…"}}.`,
		Example: `  penstock functions create-http order-hook --url https://hooks.example.com/penstock \
      --event savings/SAVINGS_WITHDRAWAL --secret-file order-hook.secret
  penstock functions create-http order-hook --url https://hooks.example.com/penstock --event STORAGE_INSERT --env prod --deploy`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			t, err := common.Target(ctx)
			if err != nil {
				return err
			}
			made, err := f.manifest(t, args[0])
			if err != nil {
				return err
			}
			if err := apply.prepare(cmd, t, made.function.Name); err != nil {
				return err
			}
			if err := t.Guard(ctx); err != nil {
				return err
			}
			s := signing{t, secretsmanager.NewFromConfig(t.AWS), cmd.ErrOrStderr()}
			if err := s.create(ctx, made.function.HTTP.Secret, made.function.Name, f.secretFile); err != nil {
				return err
			}
			if err := apply.run(ctx, made, made.file, made.text); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "the secret %s stays: another try signs by it\n", made.function.HTTP.Secret)
				return t.Explain(err)
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), struct {
					Name      string   `json:"name"`
					File      string   `json:"file"`
					URL       string   `json:"url"`
					Secret    string   `json:"secret"`
					Receives  []string `json:"receives"`
					Deployed  bool     `json:"deployed"`
					NeedsURLs []string `json:"needsUrls"`
				}{made.function.Name, made.file, made.function.URL(t.Env), made.function.HTTP.Secret, made.function.eventNames(), apply.live(), array(made.needURLs)})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "created %s: %s are delivered to %s\n", made.function.Name, strings.Join(made.function.eventNames(), ", "), made.function.URL(t.Env))
			for _, env := range made.needURLs {
				fmt.Fprintf(cmd.ErrOrStderr(), "environment %s cannot deliver to that URL: say where the endpoint is there, in %s: \"webhooks\": {\"urls\": {%q: \"https://…\"}}\n", env, manifest.EnvironmentsFile, made.function.Name)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "next: penstock events publish %s, and then penstock deliveries list\n", made.function.Subscriptions[0].Event)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "", "`URL` of the endpoint (required)")
	flags.StringArrayVar(&f.events, "event", nil, "event `type` to deliver, source/NAME or NAME; may be there several times (required)")
	flags.StringVar(&f.secret, "secret", "", "`name` of the secret that deliveries are signed by (default NAME-signing)")
	flags.StringVar(&f.secretFile, "secret-file", "", "also write the new secret to this `file`, which must not be there")
	flags.StringVar(&f.description, "description", "", "what the endpoint does with events")
	flags.IntVar(&f.timeout, "timeout", int(webhook.DefaultTimeout.Seconds()), "`seconds` that one delivery may take, 1 to 60")
	_ = cmd.RegisterFlagCompletionFunc("event", func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeTypes(nil, nil, toComplete)
	})
	_ = cmd.RegisterFlagCompletionFunc("url", cobra.NoFileCompletions)
	apply.addFlags(cmd)
	return cmd
}

// httpFunction is a manifest as it is written and read.
type httpFunction struct{ *manifest.Function }

func (f httpFunction) eventNames() (out []string) {
	for _, s := range f.Subscriptions {
		out = append(out, s.Event)
	}
	return out
}

// newManifest is a manifest that is not written yet.
type newManifest struct {
	root, file string
	text       []byte
	function   httpFunction
	needURLs   []string // environments that need another URL
}

// manifest makes the manifest and checks it with all others. It writes nothing.
func (f *httpFlags) manifest(t *cli.Target, name string) (*newManifest, error) {
	if f.url == "" || len(f.events) == 0 {
		return nil, cli.Misusef("--url and --event are required: where to deliver, and what (`penstock events list` has the types)")
	}
	if err := manifest.CheckFunctionName(name); err != nil {
		return nil, cli.Misuse{Err: err}
	}
	root := os.DirFS(t.Root)
	functions, err := manifest.Load(root)
	if err != nil {
		return nil, err
	}
	file := path.Join(manifest.FunctionsDir, name, manifest.FileName)
	if _, err := fs.Stat(root, path.Dir(file)); err == nil {
		return nil, cli.Misusef("there is a folder %s already: choose another name", path.Dir(file))
	}
	types, err := eventtypes.Load(root)
	if err != nil {
		return nil, err
	}
	var subscriptions []map[string]string
	for _, text := range f.events {
		event, err := types.Find(text)
		if err != nil {
			return nil, err
		}
		sub := strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(event.Name), "_", "-"), ".", "-")
		if slices.ContainsFunc(subscriptions, func(other map[string]string) bool { return other["name"] == sub }) {
			sub = strings.ReplaceAll(event.Source, ".", "-") + "-" + sub
		}
		subscriptions = append(subscriptions, map[string]string{"name": sub, "event": event.String()})
	}
	m := &newManifest{root: t.Root, file: file}
	if m.text, err = f.text(name, subscriptions); err != nil {
		return nil, err
	}
	parsed, err := manifest.Parse(file, m.text)
	if err != nil {
		return nil, err
	}
	tables, err := manifest.LoadTables(root)
	if err != nil {
		return nil, err
	}
	all := append(functions, parsed)
	if err := errors.Join(parsed.Validate(tables), manifest.Check(all, t.Names), manifest.CheckEnvironment(all, t.Env)); err != nil {
		return nil, cli.Misuse{Err: err}
	}
	m.function = httpFunction{&parsed}
	environments, err := manifest.LoadEnvironments(root)
	if err != nil {
		return nil, err
	}
	for _, env := range environments {
		if _, err := egress.CheckURL(parsed.URL(env), env.Webhooks.AllowLoopback); err != nil {
			m.needURLs = append(m.needURLs, env.Name)
		}
	}
	return m, nil
}

// text is the manifest as a person would write it.
func (f *httpFlags) text(name string, subscriptions []map[string]string) ([]byte, error) {
	quote := func(v any) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(v) // a text is JSON
		return strings.TrimSpace(b.String())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"name\": %s,\n", quote(name))
	if f.description != "" {
		fmt.Fprintf(&b, "  \"description\": %s,\n", quote(f.description))
	}
	fmt.Fprintf(&b, "  \"http\": {\"url\": %s, \"secret\": %s", quote(f.url), quote(cmp.Or(f.secret, name+"-signing")))
	if f.timeout != int(webhook.DefaultTimeout.Seconds()) {
		fmt.Fprintf(&b, ", \"timeoutSeconds\": %d", f.timeout)
	}
	b.WriteString("},\n")
	if f.timeout > 20 { // the function's own has 10 s more, and is 30 by default
		fmt.Fprintf(&b, "  \"timeoutSeconds\": %d,\n", f.timeout+10)
	}
	b.WriteString("  \"subscriptions\": [")
	for i, s := range subscriptions {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n    {\"name\": %s, \"event\": %s}", quote(s["name"]), quote(s["event"]))
	}
	b.WriteString("\n  ]\n}\n")
	return []byte(b.String()), nil
}

// Write implements edited.
func (m *newManifest) Write() error {
	if _, err := os.Stat(filepath.Join(m.root, filepath.FromSlash(m.file))); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has been made meanwhile: look, and try again", m.file)
	}
	if err := os.Mkdir(filepath.Dir(filepath.Join(m.root, filepath.FromSlash(m.file))), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return project.WriteFile(m.root, m.file, m.text)
}

// Undo implements edited.
func (m *newManifest) Undo() error {
	file := filepath.Join(m.root, filepath.FromSlash(m.file))
	if is, err := os.ReadFile(file); err != nil || !bytes.Equal(is, m.text) {
		return errors.Join(err, fmt.Errorf("%s has been changed meanwhile", m.file))
	}
	return errors.Join(os.Remove(file), os.Remove(filepath.Dir(file)))
}

// signing makes and rotates the secrets that deliveries are signed by. It reads
// none.
type signing struct {
	*cli.Target
	client *secretsmanager.Client
	notes  io.Writer
}

// create makes a secret, and leaves one alone that is there.
func (s signing) create(ctx context.Context, name, function, file string) error {
	id := s.Names.Secret(name)
	_, err := s.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
	var missing *types.ResourceNotFoundException
	switch {
	case err == nil && file != "":
		return cli.Refusedf("secret %q exists already in environment %s, and is not read, so that --secret-file could not have it: leave it out, or choose another --secret", name, s.Env.Name)
	case err == nil:
		fmt.Fprintf(s.notes, "secret %s exists already in environment %s: deliveries are signed by it\n", name, s.Env.Name)
		return nil
	case !errors.As(err, &missing):
		return s.Explain(fmt.Errorf("looking for secret %q: %w", name, err))
	}
	version := webhook.NewVersion(time.Time{})
	remove, err := writeSecretFile(file, version.Secret)
	if err != nil {
		return err
	}
	if _, err := s.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: &id, SecretString: aws.String(version.Text()), Description: aws.String("Signs what is delivered to " + function),
	}); err != nil {
		remove()
		return s.Explain(fmt.Errorf("creating secret %q: %w", name, err))
	}
	fmt.Fprintf(s.notes, "created secret %s in environment %s%s\n", name, s.Env.Name, inFile(file))
	return nil
}

// rotate makes the next version of a secret, and returns until when deliveries are
// signed by the one before it, too.
func (s signing) rotate(ctx context.Context, name, file string, compromised bool) (until time.Time, err error) {
	id := s.Names.Secret(name)
	is, err := s.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
	if err != nil {
		return until, s.Explain(fmt.Errorf("looking at secret %q: %w", name, err))
	}
	now := time.Now()
	hasPrevious := false
	for _, stages := range is.VersionIdsToStages {
		hasPrevious = hasPrevious || slices.Contains(stages, "AWSPREVIOUS")
	}
	changed := cmp.Or(aws.ToTime(is.LastChangedDate), aws.ToTime(is.CreatedDate))
	if again := changed.Add(webhook.Overlap); hasPrevious && !compromised && now.Before(again) {
		return until, cli.Refusedf("secret %q was rotated less than %d hours ago, and the one before it may still be in use: try again after %s; if the secret is in wrong hands, say --compromised",
			name, int(webhook.Overlap.Hours()), again.UTC().Format(time.RFC3339))
	}
	if !compromised {
		until = now.Add(webhook.Overlap).UTC().Truncate(time.Second)
	}
	version := webhook.NewVersion(until)
	remove, err := writeSecretFile(file, version.Secret)
	if err != nil {
		return until, err
	}
	if _, err := s.client.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: &id, SecretString: aws.String(version.Text())}); err != nil {
		remove()
		return until, s.Explain(fmt.Errorf("writing the new version of secret %q: %w", name, err))
	}
	return until, nil
}

// writeSecretFile writes a secret to a new file that only its owner can read, and
// returns what removes it again. Without a file there is nothing to do.
func writeSecretFile(file, secret string) (remove func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, cli.Misusef("--secret-file %s is there already: nothing is written over", file)
	}
	if err != nil {
		return nil, cli.Misusef("--secret-file: %w", err)
	}
	remove = func() { _ = os.Remove(file) }
	_, err = io.WriteString(f, secret+"\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		remove()
		return nil, fmt.Errorf("--secret-file: %w", err)
	}
	return remove, nil
}

func inFile(file string) string {
	if file == "" {
		return ""
	}
	return ", and wrote it to " + file
}

func newFunctionsRotateSecret(common *cli.Flags) *cobra.Command {
	var file string
	var compromised bool
	cmd := &cobra.Command{
		Use:   "rotate-secret NAME",
		Short: "Make the next secret that the deliveries of a function on HTTP are signed by",
		Long: fmt.Sprintf(`Make the next secret that the deliveries of a function on HTTP are signed by,
without a gap. Within %d minutes every delivery has two signatures, by the new
secret and by the old one, for %d hours: let the endpoint accept either from then on,
and the new one alone afterwards. An endpoint that compares _secret gets the old one
until the %[2]d hours are over, and then the new one. Until then the secret cannot be
rotated again.

With --compromised the old one is of no use any more: by each program within %[1]d
minutes.

In an environment that has no such secret yet it makes the first.`, int(webhook.SecretTTL.Minutes()), int(webhook.Overlap.Hours())),
		Example: `  penstock functions rotate-secret order-hook --secret-file new.secret
  penstock functions rotate-secret order-hook --env prod --compromised --secret-file new.secret`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := common.Target(cmd.Context())
			if err != nil {
				return err
			}
			f, err := findFunction(t.Root, args[0])
			if err != nil {
				return err
			}
			if f.Kind() != manifest.KindHTTP {
				return cli.Misusef("function %q is not on HTTP: it has no secret that deliveries are signed by", f.Name)
			}
			if err := t.Guard(cmd.Context()); err != nil {
				return err
			}
			s := signing{t, secretsmanager.NewFromConfig(t.AWS), cmd.ErrOrStderr()}
			until, err := s.rotate(cmd.Context(), f.HTTP.Secret, file, compromised)
			var missing *types.ResourceNotFoundException
			if errors.As(err, &missing) {
				return s.create(cmd.Context(), f.HTTP.Secret, f.Name, file)
			}
			if err != nil {
				return err
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), struct {
					Function      string    `json:"function"`
					Secret        string    `json:"secret"`
					PreviousUntil time.Time `json:"previousUntil,omitzero"`
				}{f.Name, f.HTTP.Secret, until})
			}
			both := time.Now().Add(webhook.SecretTTL).UTC().Format(time.TimeOnly + " MST")
			if compromised {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "new secret %s in environment %s: from %s every delivery is signed by it alone\n", f.HTTP.Secret, t.Env.Name, both)
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "new secret %s in environment %s: from %s until %s every delivery has two signatures, by it and by the old one\n", f.HTTP.Secret, t.Env.Name, both, until.Format(time.RFC3339))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&file, "secret-file", "", "also write the new secret to this `file`, which must not be there")
	cmd.Flags().BoolVar(&compromised, "compromised", false, "somebody else has the secret: do not sign by it any more")
	return cmd
}
