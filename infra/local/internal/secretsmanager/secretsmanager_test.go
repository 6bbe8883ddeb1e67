package secretsmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// newService opens a service on the store in dir. close ends both, as the end
// of a process does.
func newService(t testing.TB, dir string) (s *Service, close func()) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err = New(st, Config{Account: "000000000000", Region: "us-east-1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() {
		s.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// serve returns an SDK client of a service.
func serve(t testing.TB, s *Service, log io.Writer) *sdk.Client {
	t.Helper()
	mux := awswire.NewMux(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	mux.JSON(Target, "1.1", s.Operations())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return sdk.New(sdk.Options{BaseEndpoint: &server.URL, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", "")})
}

func client(t testing.TB) *sdk.Client {
	t.Helper()
	s, end := newService(t, t.TempDir())
	t.Cleanup(end)
	return serve(t, s, io.Discard)
}

// valueOf returns a value that a search of outputs and logs would find; create,
// put and read go by its name.
func valueOf(name string) *string { return aws.String(secretstest.Value(name)) }

func create(t testing.TB, c *sdk.Client, name, value string) *sdk.CreateSecretOutput {
	t.Helper()
	out, err := c.CreateSecret(context.Background(), &sdk.CreateSecretInput{Name: &name, SecretString: valueOf(value)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func put(t testing.TB, c *sdk.Client, id, value string, stages ...string) *sdk.PutSecretValueOutput {
	t.Helper()
	out, err := c.PutSecretValue(context.Background(), &sdk.PutSecretValueInput{SecretId: &id, SecretString: valueOf(value), VersionStages: stages})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// read returns the value with a staging label; "" is the current one.
func read(t testing.TB, c *sdk.Client, id, stage string) string {
	t.Helper()
	in := &sdk.GetSecretValueInput{SecretId: &id}
	if stage != "" {
		in.VersionStage = &stage
	}
	out, err := c.GetSecretValue(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(aws.ToString(out.SecretString), secretstest.Value(""))
}

// refused checks that an error is an exception, and says something.
func refused(t testing.TB, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), message) {
		t.Errorf("got %v, want %s with %q", err, code, message)
	}
}

func TestASecretIsFoundByItsNameItsARNAndItsARNWithoutTheSuffix(t *testing.T) {
	c := client(t)
	// Two names of which one ends as an ARN's suffix does.
	made := create(t, c, "shop/dev/token", "one")
	create(t, c, "shop/dev/token-ABCDEF", "two")
	prefix := "arn:aws:secretsmanager:us-east-1:000000000000:secret:"
	if arn := *made.ARN; !strings.HasPrefix(arn, prefix+"shop/dev/token-") || len(arn) != len(prefix+"shop/dev/token-")+6 {
		t.Errorf("ARN %s", arn)
	}
	for id, want := range map[string]string{
		"shop/dev/token":                 "one",
		*made.ARN:                        "one",
		prefix + "shop/dev/token":        "one",
		"shop/dev/token-ABCDEF":          "two",
		prefix + "shop/dev/token-ABCDEF": "two",
	} {
		if got := read(t, c, id, ""); got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
	for _, id := range []string{"shop/dev/toke", prefix + "shop/dev/token-AAAAAA", "arn:aws:secretsmanager:eu-west-1:000000000000:secret:shop/dev/token"} {
		_, err := c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: &id})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) || missing.ErrorMessage() != "Secrets Manager can't find the specified secret." {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

func TestTheCurrentVersionBecomesThePreviousOne(t *testing.T) {
	c := client(t)
	first := create(t, c, "s", "one")
	put(t, c, "s", "two")
	if read(t, c, "s", "") != "two" || read(t, c, "s", "AWSPREVIOUS") != "one" {
		t.Fatal("the labels did not move")
	}
	third, err := c.UpdateSecret(t.Context(), &sdk.UpdateSecretInput{SecretId: aws.String("s"), SecretString: valueOf("three")})
	if err != nil {
		t.Fatal(err)
	}
	pending := put(t, c, "s", "four", "AWSPENDING")
	if !slices.Equal(pending.VersionStages, []string{"AWSPENDING"}) {
		t.Errorf("stages %v", pending.VersionStages)
	}
	if read(t, c, "s", "") != "three" || read(t, c, "s", "AWSPREVIOUS") != "two" || read(t, c, "s", "AWSPENDING") != "four" {
		t.Fatal("the labels did not move")
	}
	// The first has no label any more: it can be read by its id, and is
	// listed when asked for.
	got, err := c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: aws.String("s"), VersionId: first.VersionId})
	if err != nil || *got.SecretString != secretstest.Value("one") || len(got.VersionStages) != 0 {
		t.Errorf("the first version: %v %v", got, err)
	}
	described, err := c.DescribeSecret(t.Context(), &sdk.DescribeSecretInput{SecretId: aws.String("s")})
	if err != nil || len(described.VersionIdsToStages) != 3 || !slices.Equal(described.VersionIdsToStages[*third.VersionId], []string{"AWSCURRENT"}) {
		t.Errorf("%+v, %v", described, err)
	}
	for deprecated, want := range map[bool]int{false: 3, true: 4} {
		n := 0
		pages := sdk.NewListSecretVersionIdsPaginator(c, &sdk.ListSecretVersionIdsInput{SecretId: aws.String("s"), IncludeDeprecated: &deprecated, MaxResults: aws.Int32(1)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n += len(page.Versions)
		}
		if n != want {
			t.Errorf("deprecated %v: %d versions, want %d", deprecated, n, want)
		}
	}
	_, err = c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: aws.String("s"), VersionStage: aws.String("NONE")})
	refused(t, err, "ResourceNotFoundException", "staging label: NONE")
	_, err = c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: aws.String("s"), VersionId: first.VersionId, VersionStage: aws.String("AWSCURRENT")})
	refused(t, err, "InvalidRequestException", "not associated")
}

func TestAFirstVersionIsTheCurrentOneWhateverItsLabels(t *testing.T) {
	c := client(t)
	if _, err := c.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: aws.String("s")}); err != nil {
		t.Fatal(err)
	}
	_, err := c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: aws.String("s")})
	refused(t, err, "ResourceNotFoundException", "staging label: AWSCURRENT")
	put(t, c, "s", "one", "MINE")
	if read(t, c, "s", "") != "one" || read(t, c, "s", "MINE") != "one" {
		t.Error("the first version is not the current one")
	}
}

func TestAVersionKeepsBinaryValues(t *testing.T) {
	c := client(t)
	binary := append([]byte(*valueOf("binary")), 0, 1, 255)
	if _, err := c.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: aws.String("b"), SecretBinary: binary}); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: aws.String("b")})
	if err != nil || !bytes.Equal(got.SecretBinary, binary) || got.SecretString != nil {
		t.Errorf("%v %v", got, err)
	}
}

func TestARepeatWithTheSameTokenChangesNothing(t *testing.T) {
	c := client(t)
	token := strings.Repeat("t", 32)
	in := sdk.CreateSecretInput{Name: aws.String("s"), SecretString: valueOf("one"), ClientRequestToken: &token}
	first, err := c.CreateSecret(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.CreateSecret(t.Context(), &in); err != nil || *again.ARN != *first.ARN || *again.VersionId != token {
		t.Errorf("%v %v", again, err)
	}
	in.SecretString = valueOf("other")
	_, err = c.CreateSecret(t.Context(), &in)
	refused(t, err, "ResourceExistsException", "The operation failed because the secret s already exists.")

	token = strings.Repeat("u", 32)
	add := sdk.PutSecretValueInput{SecretId: aws.String("s"), SecretString: valueOf("two"), ClientRequestToken: &token}
	for range 2 {
		if _, err := c.PutSecretValue(t.Context(), &add); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, c, "s", "AWSPREVIOUS") != "one" {
		t.Error("the repeat moved the labels")
	}
	add.SecretString = valueOf("three")
	_, err = c.PutSecretValue(t.Context(), &add)
	refused(t, err, "ResourceExistsException", "already in use for a version of secret")
}

func TestWhatSecretsManagerRefusesIsRefusedByName(t *testing.T) {
	c := client(t)
	create(t, c, "s", "one")
	s := aws.String
	for what, call := range map[string]struct {
		do            func() error
		code, message string
	}{
		"a name outside of the alphabet": {func() error {
			_, err := c.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: s("no spaces")})
			return err
		}, "ValidationException", "no spaces"},
		"a name of 513": {func() error {
			_, err := c.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: s(strings.Repeat("n", 513))})
			return err
		}, "ValidationException", "1 to 512"},
		"a value of 65,537 bytes": {func() error {
			_, err := c.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: s("s"), SecretString: s(secretstest.Value(strings.Repeat("v", 65_537-len(*valueOf("")))))})
			return err
		}, "ValidationException", "SecretString has 65537 bytes: want 1 to 65536"},
		"an empty value": {func() error {
			_, err := c.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: s("s"), SecretString: s("")})
			return err
		}, "ValidationException", "SecretString has 0 bytes"},
		"no value": {func() error {
			_, err := c.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: s("s")})
			return err
		}, "InvalidRequestException", "either SecretString or SecretBinary"},
		"two values": {func() error {
			_, err := c.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: s("s"), SecretString: valueOf("v"), SecretBinary: []byte(*valueOf("v"))})
			return err
		}, "InvalidParameterException", "both"},
		"a short token": {func() error {
			_, err := c.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: s("s"), SecretString: valueOf("v"), ClientRequestToken: s("t")})
			return err
		}, "InvalidParameterException", "ClientRequestToken"},
		"a customer key": {func() error {
			_, err := c.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: s("k"), KmsKeyId: s("alias/mine")})
			return err
		}, "ValidationException", "KmsKeyId is not supported"},
		"replicas": {func() error {
			_, err := c.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: s("k"), AddReplicaRegions: []types.ReplicaRegionType{{Region: s("eu-west-1")}}})
			return err
		}, "ValidationException", "AddReplicaRegions is not supported"},
		"rotation": {func() error {
			_, err := c.RotateSecret(t.Context(), &sdk.RotateSecretInput{SecretId: s("s")})
			return err
		}, "UnknownOperationException", "RotateSecret is not supported"},
		"another filter": {func() error {
			_, err := c.ListSecrets(t.Context(), &sdk.ListSecretsInput{Filters: []types.Filter{{Key: "description", Values: []string{"x"}}}})
			return err
		}, "InvalidParameterException", `filter "description" is not supported`},
		"a made-up token": {func() error {
			_, err := c.ListSecrets(t.Context(), &sdk.ListSecretsInput{NextToken: s("x")})
			return err
		}, "InvalidNextTokenException", "NextToken"},
		"a window of 6 days": {func() error {
			_, err := c.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: s("s"), RecoveryWindowInDays: aws.Int64(6)})
			return err
		}, "InvalidParameterException", "between 7 and 30 days"},
		"a window and none": {func() error {
			_, err := c.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: s("s"), RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)})
			return err
		}, "InvalidParameterException", "in conjunction"},
		"a reserved tag": {func() error {
			_, err := c.TagResource(t.Context(), &sdk.TagResourceInput{SecretId: s("s"), Tags: []types.Tag{{Key: s("aws:x"), Value: s("y")}}})
			return err
		}, "InvalidParameterException", "reserved"},
	} {
		t.Run(what, func(t *testing.T) { refused(t, call.do(), call.code, call.message) })
	}
	if put(t, c, "s", strings.Repeat("v", 65_536-len(*valueOf("")))); len(read(t, c, "s", ""))+len(*valueOf("")) != 65_536 {
		t.Error("a value of 65,536 bytes was cut")
	}
}

func TestListsAreFilteredAndCutIntoPages(t *testing.T) {
	c := client(t)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("shop/dev/%d", i)
		create(t, c, name, "v")
		if i != 3 {
			want = append(want, name)
		}
	}
	create(t, c, "shop/prod/0", "v")
	if _, err := c.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: aws.String("shop/dev/3")}); err != nil {
		t.Fatal(err)
	}
	list := func(in sdk.ListSecretsInput) (names []string) {
		in.Filters = []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{"shop/dev/"}}}
		pages := sdk.NewListSecretsPaginator(c, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range page.SecretList {
				names = append(names, *one.Name)
			}
		}
		return names
	}
	if got := list(sdk.ListSecretsInput{MaxResults: aws.Int32(2)}); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := list(sdk.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true), MaxResults: aws.Int32(7)}); len(got) != 7 {
		t.Errorf("with the deleted one: %v", got)
	}
	slices.Reverse(want)
	if got := list(sdk.ListSecretsInput{MaxResults: aws.Int32(3), SortOrder: types.SortOrderTypeDesc}); !slices.Equal(got, want) {
		t.Errorf("backwards: %v", got)
	}
}

func TestTagsAndDescriptionChange(t *testing.T) {
	c := client(t)
	id := aws.String("s")
	create(t, c, "s", "v")
	if _, err := c.TagResource(t.Context(), &sdk.TagResourceInput{SecretId: id, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(t.Context(), &sdk.UntagResourceInput{SecretId: id, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateSecret(t.Context(), &sdk.UpdateSecretInput{SecretId: id, Description: aws.String("why")}); err != nil {
		t.Fatal(err)
	}
	got, err := c.DescribeSecret(t.Context(), &sdk.DescribeSecretInput{SecretId: id})
	if err != nil || len(got.Tags) != 1 || *got.Tags[0].Key != "b" || *got.Description != "why" || len(got.VersionIdsToStages) != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestADeletedSecretAnswersNoReadUntilItIsRestored(t *testing.T) {
	c := client(t)
	id := aws.String("s")
	made := create(t, c, "s", "one")
	gone, err := c.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: id, RecoveryWindowInDays: aws.Int64(7)})
	if err != nil {
		t.Fatal(err)
	}
	if days := time.Until(*gone.DeletionDate).Hours() / 24; days < 6.9 || days > 7 {
		t.Errorf("deleted in %v days", days)
	}
	const marked = "You can't perform this operation on the secret because it was marked for deletion."
	_, err = c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: id})
	refused(t, err, "InvalidRequestException", marked)
	_, err = c.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: id, SecretString: valueOf("x")})
	refused(t, err, "InvalidRequestException", marked)
	_, err = c.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: id})
	refused(t, err, "InvalidRequestException", marked)
	_, err = c.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: id, SecretString: valueOf("x")})
	refused(t, err, "InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
	if d, err := c.DescribeSecret(t.Context(), &sdk.DescribeSecretInput{SecretId: id}); err != nil || d.DeletedDate == nil {
		t.Errorf("%v %v", d, err)
	}
	if _, err := c.RestoreSecret(t.Context(), &sdk.RestoreSecretInput{SecretId: id}); err != nil {
		t.Fatal(err)
	}
	if read(t, c, *made.ARN, "") != "one" {
		t.Error("the value did not come back")
	}
}

func TestAForcedDeletionFreesTheNameAtOnce(t *testing.T) {
	c := client(t)
	first := create(t, c, "s", "one")
	force := &sdk.DeleteSecretInput{SecretId: aws.String("s"), ForceDeleteWithoutRecovery: aws.Bool(true)}
	for range 2 { // the second time there is none, which is no error
		if _, err := c.DeleteSecret(t.Context(), force); err != nil {
			t.Fatal(err)
		}
	}
	second := create(t, c, "s", "two")
	if *second.ARN == *first.ARN {
		t.Error("another secret has the same ARN")
	}
	_, err := c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: first.ARN})
	refused(t, err, "ResourceNotFoundException", "")
	_, err = c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: second.ARN, VersionId: first.VersionId})
	refused(t, err, "ResourceNotFoundException", "")
}

func TestSecretsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	s, end := newService(t, dir)
	c := serve(t, s, io.Discard)
	made := create(t, c, "s", "one")
	put(t, c, "s", "two")
	create(t, c, "gone", "three")
	if _, err := c.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: aws.String("gone")}); err != nil {
		t.Fatal(err)
	}
	read(t, c, "s", "")
	end()

	s, end = newService(t, dir)
	defer end()
	c = serve(t, s, io.Discard)
	if read(t, c, *made.ARN, "") != "two" || read(t, c, "s", "AWSPREVIOUS") != "one" {
		t.Error("the values are others")
	}
	_, err := c.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: aws.String("gone")})
	refused(t, err, "InvalidRequestException", "marked for deletion")
	if d, err := c.DescribeSecret(t.Context(), &sdk.DescribeSecretInput{SecretId: aws.String("s")}); err != nil || d.LastAccessedDate == nil {
		t.Errorf("%v %v", d, err)
	}
}

// inBubble runs a test with a fake clock. later ends the service, lets time
// pass and opens it again: the tickers of an open store would make a week
// long.
func inBubble(t *testing.T, test func(t *testing.T, s *Service, later func(time.Duration) *Service)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, end := newService(t, dir)
		defer func() { end() }()
		test(t, s, func(d time.Duration) *Service {
			end()
			time.Sleep(d)
			s, end = newService(t, dir)
			return s
		})
	})
}

// call calls an operation in the process, since the clock of synctest stands
// still while somebody waits on a socket.
func call[In, Out any](t testing.TB, op func(context.Context, *In) (*Out, error), in In) *Out {
	t.Helper()
	out, err := op(context.Background(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func code(err error) string {
	var e *awswire.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func token(n int) string { return fmt.Sprintf("%032d", n) }

func TestADeletedSecretIsGoneWhenItsWindowEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service, later func(time.Duration) *Service) {
		const day = 24 * time.Hour
		for i, name := range []string{"restored", "taken", "swept", "month"} {
			call(t, s.createSecret, createInput{Name: name, SecretString: valueOf("v"), ClientRequestToken: token(i)})
			in := deleteInput{SecretId: name, RecoveryWindowInDays: aws.Int(7)}
			if name == "month" {
				in.RecoveryWindowInDays = nil
			}
			call(t, s.deleteSecret, in)
		}
		if got, want := call(t, s.describeSecret, secretID{"month"}).DeletedDate, at(time.Now().Add(30*day)); got != want {
			t.Errorf("deleted on %v, want %v", got, want)
		}

		s = later(7*day - time.Second)
		call(t, s.restoreSecret, secretID{"restored"})
		call(t, s.describeSecret, secretID{"taken"})

		time.Sleep(time.Second) // from that very moment, whether swept or not
		if _, err := s.restoreSecret(t.Context(), &secretID{"taken"}); code(err) != "ResourceNotFoundException" {
			t.Errorf("after seven days: %v", err)
		}
		call(t, s.createSecret, createInput{Name: "taken", SecretString: valueOf("another"), ClientRequestToken: token(1)})
		if got := call(t, s.getSecretValue, getInput{SecretId: "taken"}); *got.SecretString != secretstest.Value("another") {
			t.Error("the old value came back")
		}

		time.Sleep(sweepInterval)
		synctest.Wait()
		values := 0
		for _, err := range s.store.Scan(store.Prefix(store.NewKey("secretsmanager.value"))) {
			if err != nil {
				t.Fatal(err)
			}
			values++
		}
		if len(s.secrets) != 3 || values != 3 {
			t.Errorf("%d secrets and %d values are kept, want three: restored, taken and month", len(s.secrets), values)
		}
	})
}

func TestASecretKeepsAHundredVersionsAndThoseOfTheLastDay(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service, later func(time.Duration) *Service) {
		call(t, s.createSecret, createInput{Name: "s", SecretString: valueOf("v"), ClientRequestToken: token(0)})
		for i := range 109 {
			call(t, s.putSecretValue, putInput{SecretId: "s", SecretString: valueOf("v"), ClientRequestToken: token(i + 1)})
		}
		if n := len(s.secrets["s"].Versions); n != 110 {
			t.Errorf("%d versions within a day, want 110", n)
		}
		s = later(25 * time.Hour)
		call(t, s.putSecretValue, putInput{SecretId: "s", SecretString: valueOf("v"), ClientRequestToken: token(110)})
		if n := len(s.secrets["s"].Versions); n != 100 {
			t.Errorf("%d versions after a day, want 100", n)
		}
		if _, err := s.getSecretValue(t.Context(), &getInput{SecretId: "s", VersionId: token(10)}); code(err) != "ResourceNotFoundException" {
			t.Errorf("the eleventh-oldest version: %v", err)
		}
		call(t, s.getSecretValue, getInput{SecretId: "s", VersionId: token(11)})
		call(t, s.getSecretValue, getInput{SecretId: "s", VersionStage: "AWSPREVIOUS"})
	})
}

func TestTheDayOfTheLastReadIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service, later func(time.Duration) *Service) {
		call(t, s.createSecret, createInput{Name: "s", SecretString: valueOf("v"), ClientRequestToken: token(0)})
		if got := call(t, s.describeSecret, secretID{"s"}); got.LastAccessedDate != 0 {
			t.Errorf("read before anybody read it: %v", got.LastAccessedDate)
		}
		s = later(30 * time.Hour)
		call(t, s.getSecretValue, getInput{SecretId: "s"})
		if got, want := call(t, s.describeSecret, secretID{"s"}).LastAccessedDate, at(time.Now().Truncate(24*time.Hour)); got != want {
			t.Errorf("last read on %v, want %v", got, want)
		}
	})
}

func TestNoErrorAndNoLogHoldsAValue(t *testing.T) {
	value := secretstest.Value("Zq9")
	s, end := newService(t, t.TempDir())
	var log bytes.Buffer
	mux := awswire.NewMux(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	mux.JSON(Target, "1.1", s.Operations())
	answers := func(operation, body string) string {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", Target+"."+operation)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=x")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code == http.StatusOK && operation == "PutSecretValue" {
			t.Errorf("%s %s was accepted", operation, body)
		}
		return w.Body.String()
	}
	bodies := []string{
		`{"SecretId":"s","SecretString":"` + value + `"}`,                                                               // no token
		`{"SecretId":"s","SecretString":"` + value + `","ClientRequestToken":"t"}`,                                      // a short one
		`{"SecretId":"s","SecretBinary":"` + value + `","ClientRequestToken":"` + token(1) + `"}`,                       // not base64
		`{"SecretId":"s","SecretString":{"k":"` + value + `"},"ClientRequestToken":"` + token(1) + `"}`,                 // not a text
		`{"SecretId":"s","SecretString":["` + value + `"],"ClientRequestToken":"` + token(1) + `"}`,                     // not a text
		`{"SecretId":"s","SecretString":"` + value + `","ClientRequestToken":"` + token(1) + `"`,                        // cut off
		`{"SecretId":"s","SecretString":"` + value + `","SecretString":"` + value + `"}`,                                // twice
		`{"SecretId":"s","SecretString":"` + strings.Repeat(value, 9000) + `"}`,                                         // too large
		`{"SecretId":"s","SecretString":"` + value + `","Nonsense":1}`,                                                  // a wrong parameter
		`{"SecretId":"none","SecretString":"` + value + `","ClientRequestToken":"` + token(1) + `"}`,                    // unknown
		`{"SecretId":"s","SecretString":"` + value + `\xff","ClientRequestToken":"` + token(1) + `"}`,                   // not UTF-8
		`{"SecretId":"s","SecretString":"other` + value + `","ClientRequestToken":"` + token(0) + `"}`,                  // another value
		`{"SecretId":"s","SecretString":"` + value + `","SecretBinary":"AAAA","ClientRequestToken":"` + token(1) + `"}`, // both
	}
	var said strings.Builder
	said.WriteString(answers("CreateSecret", `{"Name":"s","SecretString":"`+value+`","ClientRequestToken":"`+token(0)+`"}`))
	for _, body := range bodies {
		said.WriteString(answers("PutSecretValue", body))
	}
	for _, operation := range []string{"DescribeSecret", "ListSecretVersionIds"} {
		said.WriteString(answers(operation, `{"SecretId":"s"}`))
	}
	said.WriteString(answers("ListSecrets", `{}`))
	// With the store gone, calls fail inside, and that is logged.
	end()
	func() {
		defer func() { fmt.Fprint(&said, recover()) }()
		said.WriteString(answers("PutSecretValue", `{"SecretId":"s","SecretString":"`+value+`","ClientRequestToken":"`+token(2)+`"}`))
	}()
	if strings.Contains(said.String()+log.String(), value) {
		t.Errorf("the value is in\n%s\n%s", said.String(), log.String())
	}
}
