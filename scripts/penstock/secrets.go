package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

const (
	// maxSecrets is how many secrets an environment has. It is Penstock's own
	// number: AWS takes 500,000 ("AWS Secrets Manager quotas").
	maxSecrets = 50

	// maxSecretValue is the largest value, in bytes ("AWS Secrets Manager
	// quotas").
	maxSecretValue = 65_536

	// How long a deleted secret can be restored, in days ("DeleteSecret",
	// Secrets Manager API reference).
	minRecoveryDays, maxRecoveryDays, defaultRecoveryDays = 7, 30, 30
)

func newSecrets(flags *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Keep secrets, and see which functions read them",
		Long: `Keep secrets, and see which functions read them.

A secret is a text of up to 65,536 bytes that belongs to an environment, which
has up to 50. A function reads those that "secrets" in its function.json names,
and no other. What is rotated together is best one secret that holds JSON.

No command shows a value: only a function can read it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSecretsCreate(flags), newSecretsList(flags), newSecretsUpdate(flags), newSecretsDelete(flags), newSecretsRestore(flags))
	return cmd
}

// secretStore is the secrets of an environment, as the commands see them.
type secretStore struct {
	*cli.Target
	client *secretsmanager.Client
	output string
	out    io.Writer
	notes  io.Writer
}

func openSecrets(cmd *cobra.Command, flags *cli.Flags) (*secretStore, error) {
	t, err := flags.Target(cmd.Context())
	if err != nil {
		return nil, err
	}
	return &secretStore{t, secretsmanager.NewFromConfig(t.AWS), flags.Output, cmd.OutOrStdout(), cmd.ErrOrStderr()}, nil
}

// id is a secret's name in Secrets Manager, from its short one.
func (s *secretStore) id(name string) *string { return aws.String(s.Names.Secret(name)) }

// list returns all secrets of the environment, by short name.
func (s *secretStore) list(ctx context.Context) (map[string]types.SecretListEntry, error) {
	prefix := s.Names.Secret("")
	pages := secretsmanager.NewListSecretsPaginator(s.client, &secretsmanager.ListSecretsInput{
		IncludePlannedDeletion: aws.Bool(true),
		Filters:                []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{prefix}}},
	})
	out := map[string]types.SecretListEntry{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.Explain(fmt.Errorf("listing secrets: %w", err))
		}
		for _, one := range page.SecretList {
			if name, ok := strings.CutPrefix(aws.ToString(one.Name), prefix); ok {
				out[name] = one
			}
		}
	}
	return out, nil
}

// users returns the functions that read each secret, as their manifests say.
func (s *secretStore) users() (map[string][]string, error) {
	functions, err := manifest.Load(os.DirFS(s.Root))
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, f := range slices.Concat(functions, manifest.System(functions)) {
		for _, secret := range f.AllSecrets() {
			out[secret] = append(out[secret], f.Name)
		}
	}
	return out, nil
}

// explain says what to do about a refused change.
func (s *secretStore) explain(ctx context.Context, doing, name string, err error) error {
	var unknown *types.ResourceNotFoundException
	var exists *types.ResourceExistsException
	var invalid *types.InvalidRequestException
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown):
		known, listErr := s.list(ctx)
		if listErr != nil {
			return listErr
		}
		return cli.Unknown("secret", name, slices.Sorted(maps.Keys(known)))
	case errors.As(err, &exists):
		return fmt.Errorf("secret %q exists already in environment %q: change its value with `penstock secrets update %s`", name, s.Env.Name, name)
	case errors.As(err, &invalid):
		// A name that waits for its deletion is one reason of several.
		if d, describeErr := s.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: s.id(name)}); describeErr == nil && d.DeletedDate != nil {
			return fmt.Errorf("secret %q is deleted, and its name is kept until %s: bring it back with `penstock secrets restore %s`, then change it with `penstock secrets update %s`", name, day(d.DeletedDate), name, name)
		}
	}
	return s.Explain(fmt.Errorf("%s secret %q: %w", doing, name, err))
}

// done prints the result of a change: v for programs, a line for people.
func (s *secretStore) done(v any, format string, args ...any) error {
	if s.output == "json" {
		return cli.JSON(s.out, v)
	}
	_, err := fmt.Fprintf(s.out, format+"\n", args...)
	return err
}

// secretChange is what programs are told of a change.
type secretChange struct {
	Name      string   `json:"name"`
	ARN       string   `json:"arn"`
	VersionID string   `json:"versionId,omitempty"`
	DeletesAt string   `json:"deletesAt,omitempty"` // RFC 3339
	Functions []string `json:"functions,omitempty"`
}

// openToWrite begins a command that gives a secret a value: it reads the value,
// finds which functions use which secrets, and then asks the guard.
func openToWrite(cmd *cobra.Command, flags *cli.Flags, value *valueFlags, name string) (s *secretStore, text string, users map[string][]string, err error) {
	if s, err = openSecrets(cmd, flags); err != nil {
		return nil, "", nil, err
	}
	if text, err = value.read(cmd, name); err != nil {
		return nil, "", nil, err
	}
	if users, err = s.users(); err != nil {
		return nil, "", nil, err
	}
	return s, text, users, s.Guard(cmd.Context())
}

func newSecretsCreate(flags *cli.Flags) *cobra.Command {
	var value valueFlags
	var description string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a secret",
		Long: `Create a secret.

` + valueHelp,
		Example: `  printf %s "$TOKEN" | penstock secrets create core-api-token
  penstock secrets create core-api-token                            # asks for it
  penstock secrets create core-api-key --value-file key.pem --description "signs our calls"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if err := manifest.CheckSecretName(name); err != nil {
				return cli.Misuse{Err: err}
			}
			s, text, users, err := openToWrite(cmd, flags, &value, name)
			if err != nil {
				return err
			}
			if err := s.checkRoom(cmd.Context(), name); err != nil {
				return err
			}
			in := &secretsmanager.CreateSecretInput{Name: s.id(name), SecretString: &text}
			if description != "" {
				in.Description = &description
			}
			out, err := s.client.CreateSecret(cmd.Context(), in)
			if err != nil {
				return s.explain(cmd.Context(), "creating", name, err)
			}
			if len(users[name]) == 0 {
				fmt.Fprintf(s.notes, "no function reads it yet: name it in \"secrets\" of a function.json\n")
			}
			return s.done(secretChange{Name: name, ARN: aws.ToString(out.ARN), VersionID: aws.ToString(out.VersionId), Functions: users[name]},
				"created secret %s in environment %s%s", name, s.Env.Name, readBy(users[name]))
		},
	}
	value.add(cmd)
	cmd.Flags().StringVar(&description, "description", "", "what it is for, as shown by list; never a part of the value")
	return cmd
}

// checkRoom refuses a secret beyond the most that an environment has. Those
// that wait for their deletion do not count; one that exists is told of later.
func (s *secretStore) checkRoom(ctx context.Context, name string) error {
	all, err := s.list(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(all, func(_ string, one types.SecretListEntry) bool { return one.DeletedDate != nil })
	if _, exists := all[name]; !exists && len(all) >= maxSecrets {
		return cli.Refusedf("environment %q has %d secrets, and %d are the most: delete one, or keep what is rotated together in one secret that holds JSON", s.Env.Name, len(all), maxSecrets)
	}
	return nil
}

func newSecretsUpdate(flags *cli.Flags) *cobra.Command {
	var value valueFlags
	var description string
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change the value of a secret",
		Long: `Change the value of a secret.

Functions see the new value within five minutes: let the old one stay valid for
that long.

` + valueHelp,
		Example: `  printf %s "$TOKEN" | penstock secrets update core-api-token
  penstock secrets update core-api-key --value-file key.pem`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSecrets(flags, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			s, text, users, err := openToWrite(cmd, flags, &value, name)
			if err != nil {
				return err
			}
			in := &secretsmanager.UpdateSecretInput{SecretId: s.id(name), SecretString: &text}
			if cmd.Flags().Changed("description") {
				in.Description = &description
			}
			out, err := s.client.UpdateSecret(cmd.Context(), in)
			if err != nil {
				return s.explain(cmd.Context(), "updating", name, err)
			}
			return s.done(secretChange{Name: name, ARN: aws.ToString(out.ARN), VersionID: aws.ToString(out.VersionId), Functions: users[name]},
				"updated secret %s in environment %s%s: functions see it within five minutes", name, s.Env.Name, readBy(users[name]))
		},
	}
	value.add(cmd)
	cmd.Flags().StringVar(&description, "description", "", "another description; without it, it stays")
	return cmd
}

func newSecretsDelete(flags *cli.Flags) *cobra.Command {
	var yes bool
	var days int64
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a secret, which can be restored for some days",
		Long: `Delete a secret, which can be restored for some days.

From now on no function can read it; one that has read it may use the value for
five minutes more, and for longer until its program starts anew. The name is
kept until the recovery days are over, then it is free again.

It names the functions whose manifests read the secret, and asks.`,
		Example: `  penstock secrets delete core-api-token
  penstock secrets delete core-api-token --recovery-days 7 -y`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSecrets(flags, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if days < minRecoveryDays || days > maxRecoveryDays {
				return cli.Misusef("--recovery-days %d: want %d to %d", days, minRecoveryDays, maxRecoveryDays)
			}
			s, err := openSecrets(cmd, flags)
			if err != nil {
				return err
			}
			users, err := s.users()
			if err != nil {
				return err
			}
			if err := s.Guard(cmd.Context()); err != nil {
				return err
			}
			// Asked only about one that exists.
			if _, err := s.client.DescribeSecret(cmd.Context(), &secretsmanager.DescribeSecretInput{SecretId: s.id(name)}); err != nil {
				return s.explain(cmd.Context(), "deleting", name, err)
			}
			question := fmt.Sprintf("Delete secret %s of environment %s%s?", name, s.Env.Name, readBy(users[name]))
			if err := cli.Confirm(cmd.Context(), cmd.InOrStdin(), s.notes, yes, question); err != nil {
				return err
			}
			out, err := s.client.DeleteSecret(cmd.Context(), &secretsmanager.DeleteSecretInput{SecretId: s.id(name), RecoveryWindowInDays: &days})
			if err != nil {
				return s.explain(cmd.Context(), "deleting", name, err)
			}
			return s.done(secretChange{Name: name, ARN: aws.ToString(out.ARN), DeletesAt: rfc3339(out.DeletionDate), Functions: users[name]},
				"deleted secret %s in environment %s%s: until %s, `penstock secrets restore %s` brings it back", name, s.Env.Name, readBy(users[name]), day(out.DeletionDate), name)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().Int64Var(&days, "recovery-days", defaultRecoveryDays, "for how many `days` it can be restored, 7 to 30")
	return cmd
}

func newSecretsRestore(flags *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "restore NAME",
		Short: "Bring a deleted secret back, with its value",
		Long: `Bring a deleted secret back, with its value.

It works until the date that list shows. Restoring one that is not deleted
changes nothing.`,
		Example:           `  penstock secrets restore core-api-token`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSecrets(flags, true),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			s, err := openSecrets(cmd, flags)
			if err != nil {
				return err
			}
			if err := s.Guard(cmd.Context()); err != nil {
				return err
			}
			if err := s.checkRoom(cmd.Context(), name); err != nil {
				return err
			}
			out, err := s.client.RestoreSecret(cmd.Context(), &secretsmanager.RestoreSecretInput{SecretId: s.id(name)})
			if err != nil {
				return s.explain(cmd.Context(), "restoring", name, err)
			}
			return s.done(secretChange{Name: name, ARN: aws.ToString(out.ARN)}, "restored secret %s in environment %s", name, s.Env.Name)
		},
	}
}

// listedSecret is a secret as programs see it. Times are RFC 3339.
type listedSecret struct {
	Name           string   `json:"name"`
	ARN            string   `json:"arn"`
	Description    string   `json:"description"`
	CreatedAt      string   `json:"createdAt"`
	ChangedAt      string   `json:"changedAt"`
	LastAccessedOn string   `json:"lastAccessedOn,omitempty"` // a date, as AWS tells it
	DeletesAt      string   `json:"deletesAt,omitempty"`
	Functions      []string `json:"functions"`
}

func newSecretsList(flags *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the secrets of an environment, never their values",
		Long: `List the secrets of an environment, never their values.

READ is the day on which one was last read. FUNCTIONS are those whose
manifests name it. A deleted one shows when it is gone for good; until then
it can be restored.`,
		Example: `  penstock secrets list
  penstock secrets list --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openSecrets(cmd, flags)
			if err != nil {
				return err
			}
			users, err := s.users()
			if err != nil {
				return err
			}
			all, err := s.list(cmd.Context())
			if err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(users)) {
				if _, exists := all[name]; !exists {
					fmt.Fprintf(s.notes, "secret %s does not exist%s: create it with `penstock secrets create %s`\n", name, readBy(users[name]), name)
				}
			}
			return s.print(all, users)
		},
	}
}

func (s *secretStore) print(all map[string]types.SecretListEntry, users map[string][]string) error {
	names := slices.Sorted(maps.Keys(all))
	if s.output == "json" {
		out := []listedSecret{}
		for _, name := range names {
			one := all[name]
			item := listedSecret{
				Name: name, ARN: aws.ToString(one.ARN), Description: aws.ToString(one.Description), CreatedAt: rfc3339(one.CreatedDate),
				ChangedAt: rfc3339(one.LastChangedDate), DeletesAt: rfc3339(one.DeletedDate), Functions: append([]string{}, users[name]...),
			}
			if one.LastAccessedDate != nil {
				item.LastAccessedOn = day(one.LastAccessedDate)
			}
			out = append(out, item)
		}
		return cli.JSON(s.out, out)
	}
	if len(names) == 0 {
		fmt.Fprintf(s.notes, "environment %s has no secrets\n", s.Env.Name)
		return nil
	}
	var rows [][]string
	for _, name := range names {
		one := all[name]
		rows = append(rows, []string{name, aws.ToString(one.Description), day(one.CreatedDate), day(one.LastChangedDate),
			day(one.LastAccessedDate), day(one.DeletedDate), strings.Join(users[name], ", ")})
	}
	return cli.Table(s.out, []string{"NAME", "DESCRIPTION", "CREATED", "CHANGED", "READ", "DELETED FOR GOOD", "FUNCTIONS"}, rows)
}

// readBy names the functions that read a secret, for the end of a phrase.
func readBy(functions []string) string {
	if len(functions) == 0 {
		return ""
	}
	return ", which is read by " + strings.Join(functions, ", ")
}

// day is the day of a time, in UTC, as Secrets Manager counts days; a hyphen
// for none.
func day(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

func rfc3339(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// completionTimeout bounds how long a person waits for names at a Tab.
const completionTimeout = 2 * time.Second

// completeSecrets offers the environment's secrets: those that are deleted, or
// the others.
func completeSecrets(flags *cli.Flags, deleted bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
		defer cancel()
		cmd.SetContext(ctx)
		s, err := openSecrets(cmd, flags)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		all, err := s.list(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		maps.DeleteFunc(all, func(_ string, one types.SecretListEntry) bool { return deleted == (one.DeletedDate == nil) })
		return slices.Sorted(maps.Keys(all)), cobra.ShellCompDirectiveNoFileComp
	}
}
