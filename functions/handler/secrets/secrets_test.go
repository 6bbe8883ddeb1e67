package secrets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/functions/handler/secrets"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

// What the secret holds, one after the other.
var abc, older, newer = secretstest.Value("abc"), secretstest.Value("old"), secretstest.Value("new")

// manager is a Secrets Manager of one secret, and counts how often it is asked.
type manager struct {
	name    string
	version string
	value   *string
	err     error
	reads   int
}

func (m *manager) DescribeSecret(_ context.Context, in *secretsmanager.DescribeSecretInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error) {
	if m.err != nil {
		return nil, m.err
	}
	if *in.SecretId != m.name {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Secrets Manager can't find the specified secret.")}
	}
	out := &secretsmanager.DescribeSecretOutput{Name: in.SecretId}
	if m.version != "" {
		out.VersionIdsToStages = map[string][]string{m.version: {"AWSCURRENT"}}
	}
	return out, nil
}

func (m *manager) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	m.reads++
	if m.err != nil {
		return nil, m.err
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: m.value, VersionId: &m.version}, nil
}

func newCache(t *testing.T, m *manager) *secrets.Cache {
	t.Helper()
	t.Setenv("PENSTOCK_APP", "shop")
	t.Setenv("PENSTOCK_ENV", "prod")
	c, err := secrets.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, c *secrets.Cache, name string) string {
	t.Helper()
	s, err := c.Get(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "token" {
		t.Errorf("the secret's name is %q", s.Name)
	}
	return s.Value.Reveal()
}

func TestASecretIsReadByItsNameInTheManifest(t *testing.T) {
	c := newCache(t, &manager{name: "shop/prod/token", version: "1", value: &abc})
	for _, name := range []string{"token", "shop/prod/token"} {
		if got := get(t, c, name); got != abc {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestAValueIsKeptForAtMostFiveMinutes(t *testing.T) {
	// The environment is set outside of the bubble.
	m := &manager{name: "shop/prod/token", version: "1", value: &older}
	c := newCache(t, m)
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			get(t, c, "token")
		}
		if m.reads != 1 {
			t.Fatalf("read %d times", m.reads)
		}
		m.version, m.value = "2", &newer
		time.Sleep(secrets.TTL/2 - time.Second)
		if got := get(t, c, "token"); got != older {
			t.Errorf("after less than half of the time: %q", got)
		}
		time.Sleep(secrets.TTL/2 + time.Second)
		if got := get(t, c, "token"); got != newer || m.reads != 2 {
			t.Errorf("after five minutes: %q, read %d times", got, m.reads)
		}
	})
}

func TestAValueStaysInUseWhileSecretsManagerCannotBeReached(t *testing.T) {
	m := &manager{name: "shop/prod/token", version: "1", value: &abc}
	c := newCache(t, m)
	synctest.Test(t, func(t *testing.T) {
		get(t, c, "token")
		m.err = errors.New("no route to host")
		time.Sleep(2 * secrets.TTL)
		if got := get(t, c, "token"); got != abc {
			t.Errorf("got %q", got)
		}
		m.err, m.version, m.value = nil, "2", &newer
		time.Sleep(secrets.TTL)
		if got := get(t, c, "token"); got != newer {
			t.Errorf("afterwards: %q", got)
		}
	})
}

func TestAFailureIsNotKept(t *testing.T) {
	m := &manager{name: "shop/prod/token", version: "1", value: &abc, err: errors.New("no route to host")}
	c := newCache(t, m)
	synctest.Test(t, func(t *testing.T) {
		if _, err := c.Get(t.Context(), "token"); err == nil || !strings.Contains(err.Error(), `secret "token" (shop/prod/token): no route to host`) {
			t.Fatal(err)
		}
		m.err = nil
		time.Sleep(5 * time.Second)
		if got := get(t, c, "token"); got != abc {
			t.Errorf("got %q", got)
		}
	})
}

func TestAnErrorNamesTheSecretAndTheWayOut(t *testing.T) {
	secret := manager{name: "shop/prod/token", version: "1", value: &abc}
	for _, c := range []struct {
		name string
		edit func(*manager)
		want string
	}{
		{"missing", func(m *manager) { m.name = "other" }, `does not exist: create it with ` + "`penstock secrets create token`"},
		{"denied", func(m *manager) {
			m.err = &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not authorized"}
		}, `is not granted to this function: name it in "secrets" of its function.json, and deploy`},
		{"deleted", func(m *manager) {
			m.err = &types.InvalidRequestException{Message: aws.String("it was marked for deletion")}
		}, "`penstock secrets restore token`"},
		{"without a value", func(m *manager) { m.version = "" }, "`penstock secrets update token`"},
		{"binary", func(m *manager) { m.value = nil }, "is binary: only text can be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := secret
			c.edit(&m)
			_, err := newCache(t, &m).Get(t.Context(), "token")
			if err == nil || !strings.Contains(err.Error(), `secret "token" (shop/prod/token)`) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), abc) {
				t.Errorf("the error holds the value: %v", err)
			}
		})
	}
}

func TestWithoutItsNamesAFunctionIsTold(t *testing.T) {
	t.Setenv("PENSTOCK_APP", "shop")
	t.Setenv("PENSTOCK_ENV", "")
	if _, err := secrets.New(&manager{}); err == nil || !strings.Contains(err.Error(), "PENSTOCK_ENV is not set") {
		t.Errorf("got %v", err)
	}
}

func TestAValueShowsItselfToNobodyButReveal(t *testing.T) {
	text := secretstest.Value("Zq9")
	secret := secrets.Secret{Name: "token", Value: secrets.NewValue(text)}
	type hidden struct{ inner secrets.Secret } // fmt calls no method of an unexported field
	shapes := []any{
		secret, &secret, secret.Value, &secret.Value, hidden{secret}, &hidden{secret}, []secrets.Secret{secret}, map[string]secrets.Value{"k": secret.Value},
		map[string]any{"k": secret}, struct{ V any }{secret.Value}, []any{secret.Value}, fmt.Errorf("with %v and %s", secret, secret.Value), slog.AnyValue(secret),
	}
	contains := func(what, got string) {
		t.Helper()
		for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), fmt.Sprintf("% x", text), strings.Trim(fmt.Sprint([]byte(text)), "[]")} {
			if strings.Contains(got, form) {
				t.Errorf("%s shows it: %s", what, got)
			}
		}
	}
	var verbs []string
	for v := 'A'; v <= 'z'; v++ {
		verbs = append(verbs, string(v))
	}
	for _, shape := range shapes {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "10", ".3", "+#", "[1]"} {
			for _, verb := range verbs {
				contains(fmt.Sprintf("%%%s%s of %T", flags, verb, shape), fmt.Sprintf("%"+flags+verb, shape))
			}
		}
		contains("Print", fmt.Sprint(shape))
		contains("Println", fmt.Sprintln(shape))

		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "a", shape, slog.Group("g", "b", shape))
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "a", shape, slog.Group("g", "b", shape))
		contains(fmt.Sprintf("slog of %T", shape), log.String())
		if asJSON, err := json.Marshal(shape); err == nil {
			contains(fmt.Sprintf("JSON of %T", shape), string(asJSON))
		}
	}
	asXML, err := xml.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	contains("XML", string(asXML))

	for format, want := range map[string]string{"%v": "[redacted]", "%s": "[redacted]", "%d": "[redacted]", "%#v": "[redacted]"} {
		if got := fmt.Sprintf(format, secret.Value); got != want {
			t.Errorf("%s is %s", format, got)
		}
	}
	if asJSON, _ := json.Marshal(secret); string(asJSON) != `{"Name":"token","Value":"[redacted]"}` {
		t.Errorf("JSON is %s", asJSON)
	}
	if secret.Value.Reveal() != text || (secrets.Value{}).Reveal() != "" {
		t.Error("Reveal does not")
	}
}
