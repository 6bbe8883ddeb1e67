// Package secrets reads secrets in a handler. A function that does not import
// it does not link it.
//
//	cfg, err := awsenv.Config()
//	…
//	cache, err := secrets.New(secretsmanager.NewFromConfig(cfg))
//	…
//	token, err := cache.Get(ctx, "core-api-token")
//	…
//	request.Header.Set("Authorization", "Bearer "+token.Value.Reveal())
//
// A secret's name is as in the function's manifest: its "secrets" list what
// the function may read, and the deployment grants it nothing else.
//
// A value is kept for at most five minutes ([TTL]), so a rotation needs no new
// deployment: make the new key, put it into the secret with `penstock secrets
// update`, and let the old key live for five minutes more. Where Secrets
// Manager cannot be reached, or refuses, a value that was read before stays in
// use.
//
// The cache is AWS's own client, github.com/aws/aws-secretsmanager-caching-go.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-secretsmanager-caching-go/v2/secretcache"
	"github.com/aws/smithy-go"
)

// TTL is how long a value is kept at most. Each secret is asked for again
// after a random time between half of it and all of it, so that many functions
// do not ask at once.
const TTL = 5 * time.Minute

// API is what a [Cache] needs of Secrets Manager: *secretsmanager.Client has
// it.
type API interface {
	DescribeSecret(context.Context, *secretsmanager.DescribeSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Secret is a secret and its value.
type Secret struct {
	Name  string // as it was asked for
	Value Value
}

// Cache reads secrets, and keeps them for [TTL]. It is safe for concurrent
// use. The zero value is not usable: call [New] once, when the program starts.
type Cache struct {
	prefix string // <app>/<env>/
	cache  *secretcache.Cache
}

// New returns an empty cache over a client. It makes no call. It reads
// PENSTOCK_APP and PENSTOCK_ENV, which the deployment sets, and fails where
// they are missing.
func New(client API) (*Cache, error) {
	app, env := os.Getenv("PENSTOCK_APP"), os.Getenv("PENSTOCK_ENV")
	if app == "" || env == "" {
		return nil, errors.New("secrets: PENSTOCK_APP or PENSTOCK_ENV is not set: on Lambda they always are; elsewhere, set them to the names of the application and the environment")
	}
	cache, err := secretcache.New(func(c *secretcache.Cache) {
		c.Client = readOnly{API: client}
		c.CacheItemTTL = TTL.Nanoseconds()
	})
	if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	return &Cache{prefix: app + "/" + env + "/", cache: cache}, nil
}

// readOnly gives the caching client the rest of the interface that it asks
// for and does not call.
type readOnly struct {
	API
	unused
}

type unused interface {
	CreateSecret(context.Context, *secretsmanager.CreateSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error)
	DeleteSecret(context.Context, *secretsmanager.DeleteSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DeleteSecretOutput, error)
	ListSecrets(context.Context, *secretsmanager.ListSecretsInput, ...func(*secretsmanager.Options)) (*secretsmanager.ListSecretsOutput, error)
	UpdateSecret(context.Context, *secretsmanager.UpdateSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretOutput, error)
}

// Get returns a secret by its name in the manifest, as in "core-api-token"; a
// name that begins with "<app>/<env>/" is taken as it is. The error of one
// that does not exist, or that the function may not read, says how to mend it.
func (c *Cache) Get(ctx context.Context, name string) (Secret, error) {
	name = strings.TrimPrefix(name, c.prefix)
	value, err := c.cache.GetSecretStringWithContext(ctx, c.prefix+name)
	if err != nil {
		return Secret{}, explain(name, c.prefix+name, err)
	}
	return Secret{Name: name, Value: NewValue(value)}, nil
}

// explain adds to an error which secret it is about, and the way out.
func explain(name, full string, err error) error {
	var missing *types.ResourceNotFoundException
	var marked *types.InvalidRequestException
	var noCurrent *secretcache.VersionNotFoundError
	var notText *secretcache.InvalidOperationError
	var api smithy.APIError
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("secret %q (%s) does not exist: create it with `penstock secrets create %s`: %w", name, full, name, err)
	case errors.As(err, &noCurrent):
		return fmt.Errorf("secret %q (%s) has no value: give it one with `penstock secrets update %s`: %w", name, full, name, err)
	case errors.As(err, &marked):
		return fmt.Errorf("secret %q (%s) cannot be read; if it is deleted, `penstock secrets restore %s` brings it back: %w", name, full, name, err)
	case errors.As(err, &notText):
		return fmt.Errorf("secret %q (%s) is binary: only text can be read: %w", name, full, err)
	case errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "AccessDenied"):
		return fmt.Errorf("secret %q (%s) is not granted to this function: name it in \"secrets\" of its function.json, and deploy: %w", name, full, err)
	}
	return fmt.Errorf("secret %q (%s): %w", name, full, err)
}

// redacted stands where a value would be printed.
const redacted = "[redacted]"

// Value is a secret's value, which does not show itself: printed by fmt with
// any verb, logged by slog or written as JSON it is "[redacted]". The zero
// value is empty text.
type Value struct {
	// A function, since package fmt does not look into one: a value in an
	// unexported field of a struct is printed without its methods.
	reveal func() string
}

// NewValue returns a value of a text, for tests.
func NewValue(text string) Value { return Value{func() string { return text }} }

// Reveal returns the text. Hand it to what needs it, and to nothing that
// prints.
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// Format implements [fmt.Formatter], for every verb.
func (Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements [slog.LogValuer].
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], and so covers JSON, XML and
// most other formats.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
