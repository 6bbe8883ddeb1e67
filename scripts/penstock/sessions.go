package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/session/revocations"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

func newSessions(common *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "Function sessions: revoke them, rotate the key that they are signed by",
		Long: `Function sessions: revoke them, and rotate the key that they are signed by.

A function session is the token by which a function on HTTP reads and changes the
rows of the user that an event is about, for 10 to 20 minutes. There are sessions
where infra/environments.json says "storageApi": true.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSessionsRevoke(common), newSessionsRotateKey(common))
	return cmd
}

// sessionsTarget is the environment of the flags, which has a data API.
func sessionsTarget(cmd *cobra.Command, common *cli.Flags) (*cli.Target, error) {
	t, err := common.Target(cmd.Context())
	if err != nil {
		return nil, err
	}
	if !t.Env.StorageAPI {
		return nil, cli.Misusef(`environment %q has no function sessions: say "storageApi": true in infra/environments.json, and deploy`, t.Env.Name)
	}
	return t, t.Guard(cmd.Context())
}

func newSessionsRevoke(common *cli.Flags) *cobra.Command {
	values := map[revocations.Kind]*string{}
	cmd := &cobra.Command{
		Use:   "revoke --event ID | --function NAME | --session ID | --user ID",
		Short: "Revoke the sessions that were minted until now: one, or of an event, function or user",
		Long: `Revoke the sessions that were minted until now: one, by its id (jti), or all that
were minted for an event, a function or a user. They are refused from now on.

What is minted afterwards is valid: a function whose sessions were revoked goes on
with its next attempt.`,
		Example: `  penstock sessions revoke --function invoice-mailer
  penstock sessions revoke --user user-17 --env prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var kind revocations.Kind
			given := 0
			for one, value := range values {
				if *value != "" {
					kind, given = one, given+1
				}
			}
			if given != 1 {
				return cli.Misusef("which sessions? Say one of --session, --event, --function and --user")
			}
			if kind == revocations.Session {
				if _, err := uuid.Parse(*values[kind]); err != nil {
					return cli.Misusef("--session: want the id of a session, which is its jti and a UUID, and never the session itself")
				}
			}
			t, err := sessionsTarget(cmd, common)
			if err != nil {
				return err
			}
			table := &revocations.Table{Client: dynamodb.NewFromConfig(t.AWS), Name: t.Names.Table(names.SessionsTable)}
			until, err := table.Revoke(cmd.Context(), kind, *values[kind])
			if err != nil {
				return t.Explain(fmt.Errorf("revoking: %w", err))
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), map[string]any{"kind": kind, "value": *values[kind], "expires": until.UTC()})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "revoked in environment %s: what was minted until now, %s %s; all of it has expired by %s\n", t.Env.Name, kind, *values[kind], until.UTC().Format(time.TimeOnly+" MST"))
			return err
		},
	}
	for kind, about := range map[revocations.Kind]string{
		revocations.Session: "the `id` (jti) of one session", revocations.Event: "the `id` of an event",
		revocations.Function: "the short `name` of a function", revocations.User: "the `id` of a user",
	} {
		values[kind] = cmd.Flags().String(string(kind), "", about)
	}
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc(string(revocations.Function), completeFunctions))
	return cmd
}

func newSessionsRotateKey(common *cli.Flags) *cobra.Command {
	var compromised bool
	cmd := &cobra.Command{
		Use:   "rotate-key",
		Short: "Make the next key that function sessions are signed by",
		Long: fmt.Sprintf(`Make the next key that function sessions are signed by. It is published at once
and signs in %d minutes, when every program has read it; the old one is accepted
until its last session has expired, and %d minutes from now is of no use any more.
Until then the key cannot be rotated again.

With --compromised the new key signs at once, and what the old one has signed is
refused: by each program when it reads the keys next, within %d minutes.

The command makes a key, and reads none.`, int(session.SignsAfter.Minutes()), int(session.RotateAfter.Minutes()), int(session.KeysTTL.Minutes())),
		Example: `  penstock sessions rotate-key --env prod
  penstock sessions rotate-key --env prod --compromised`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := sessionsTarget(cmd, common)
			if err != nil {
				return err
			}
			client, id := secretsmanager.NewFromConfig(t.AWS), t.Names.SessionKeys()
			is, err := client.DescribeSecret(cmd.Context(), &secretsmanager.DescribeSecretInput{SecretId: &id})
			if missing := (*types.ResourceNotFoundException)(nil); errors.As(err, &missing) {
				return fmt.Errorf("environment %s has no secret %s yet: its data API is not deployed", t.Env.Name, id)
			}
			if err != nil {
				return t.Explain(fmt.Errorf("looking at secret %s: %w", id, err))
			}
			if err := rotatable(is, compromised); err != nil {
				return err
			}
			key, signsFrom, err := session.Rotation(time.Now(), compromised)
			if err != nil {
				return err
			}
			if _, err := client.PutSecretValue(cmd.Context(), &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &key}); err != nil {
				return t.Explain(fmt.Errorf("writing the new key to secret %s: %w", id, err))
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), map[string]any{"secret": id, "signsFrom": signsFrom, "compromised": compromised})
			}
			when := "signs from " + signsFrom.Format(time.TimeOnly+" MST")
			if compromised {
				when = fmt.Sprintf("signs at once, and within %d minutes every session that the old one has signed is refused", int(session.KeysTTL.Minutes()))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "new key in environment %s: it %s\n", t.Env.Name, when)
			return err
		},
	}
	cmd.Flags().BoolVar(&compromised, "compromised", false, "somebody else has the key: refuse what it has signed")
	return cmd
}

// rotatable refuses to drop a key whose sessions are still in use: the secret
// keeps two versions, and while one takes over from the other both are needed.
func rotatable(is *secretsmanager.DescribeSecretOutput, compromised bool) error {
	hasPrevious := false
	for _, stages := range is.VersionIdsToStages {
		hasPrevious = hasPrevious || slices.Contains(stages, "AWSPREVIOUS")
	}
	changed := cmp.Or(aws.ToTime(is.LastChangedDate), aws.ToTime(is.CreatedDate))
	if again := changed.Add(session.RotateAfter); hasPrevious && !compromised && time.Now().Before(again) {
		return cli.Refusedf("the key was rotated less than %d minutes ago, and the one before it is still needed: try again after %s; if the key is in wrong hands, say --compromised",
			int(session.RotateAfter.Minutes()), again.UTC().Format(time.TimeOnly+" MST"))
	}
	return nil
}
