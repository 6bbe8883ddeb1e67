package webhook

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/penstock-dev/penstock/functions/egress"
)

const (
	// SecretTTL is how long a secret is kept that was read: so long after a rotation
	// some deliveries may still be signed by the old one alone.
	SecretTTL = 5 * time.Minute

	// Overlap is how long after a rotation deliveries are signed by both secrets.
	Overlap = 24 * time.Hour

	// secretAgain is how soon one is read again that could not be read.
	secretAgain = 30 * time.Second

	secretBytes = 32 // of 24 to 64, as the Standard Webhooks specification allows
)

// SecretsAPI is what a [Secret] needs of Secrets Manager: *secretsmanager.Client
// has it.
type SecretsAPI interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Secret is the secret that an endpoint shares, in Secrets Manager. A version of
// it holds one: as text, "whsec_…", or as a [Version]. The current version
// (AWSCURRENT) and the one before it (AWSPREVIOUS) are read; so a secret is rotated
// by writing the next version, and nobody needs to read the last one for that.
// Until the overlap ends every delivery has two signatures.
//
// Where Secrets Manager cannot be reached, what was read before stays in use. A
// Secret is safe for concurrent use.
type Secret struct {
	api  SecretsAPI
	name string

	mu      sync.Mutex
	known   versions
	readAt  time.Time // zero: never
	triedAt time.Time // of a try that failed; zero: the last did not
	err     error     // of that
}

// NewSecret returns the secret of a name. It makes no call.
func NewSecret(api SecretsAPI, name string) *Secret { return &Secret{api: api, name: name} }

// Version is one version of the secret.
type Version struct {
	Secret string `json:"secret"` // whsec_ and 24 to 64 bytes in base64

	// PreviousUntil is until when deliveries are also signed by the version before
	// it; zero: not at all.
	PreviousUntil time.Time `json:"previousUntil,omitzero"`
}

// NewVersion makes a version with a new secret.
func NewVersion(previousUntil time.Time) Version {
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // it never fails ("crypto/rand")
	return Version{"whsec_" + base64.StdEncoding.EncodeToString(key), previousUntil.UTC()}
}

// Text is the version as it is kept.
func (v Version) Text() string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a text and a time are JSON
	}
	return string(text)
}

// parseVersion reads a version. The error repeats nothing of it.
func parseVersion(text string) (v Version, err error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		if json.Unmarshal([]byte(text), &v) != nil {
			return v, errors.New(`it holds JSON that is not {"secret": "whsec_…"}`)
		}
	} else {
		v.Secret = text
	}
	if strings.ContainsAny(v.Secret, " \t\r\n") {
		return v, errors.New("it holds white space")
	}
	_, err = egress.NewSigner(v.Secret)
	return v, err
}

// versions are the current version and the one before it.
type versions struct {
	current  Version
	previous string // empty: there is none
}

// inUse are the secrets of one delivery.
type inUse struct {
	signer *egress.Signer
	shared string   // the one that the body holds
	all    []string // what must not be logged
}

// at are the secrets in use at a time.
func (v versions) at(now time.Time) (inUse, error) {
	out := inUse{shared: v.current.Secret, all: []string{v.current.Secret}}
	if v.previous != "" {
		out.all = append(out.all, v.previous)
	}
	secrets := v.current.Secret
	if v.previous != "" && now.Before(v.current.PreviousUntil) {
		secrets += " " + v.previous
		out.shared = v.previous
	}
	var err error
	out.signer, err = egress.NewSigner(secrets)
	return out, err
}

// read returns the secrets to use now.
func (s *Secret) read(ctx context.Context) (inUse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	fresh := !s.readAt.IsZero() && now.Sub(s.readAt) < SecretTTL
	tried := !s.triedAt.IsZero() && now.Sub(s.triedAt) < secretAgain
	if !fresh && !tried {
		known, err := s.fetch(ctx)
		switch {
		case err == nil:
			s.known, s.readAt, s.triedAt, s.err = known, now, time.Time{}, nil
		case ctx.Err() == nil: // else it is the caller's time that has run out
			s.triedAt, s.err = now, err
		default:
			return inUse{}, err
		}
	}
	if s.readAt.IsZero() {
		return inUse{}, s.err
	}
	return s.known.at(now)
}

func (s *Secret) fetch(ctx context.Context) (v versions, err error) {
	current, err := s.version(ctx, "AWSCURRENT")
	missing := (*types.ResourceNotFoundException)(nil)
	if errors.As(err, &missing) {
		return v, fmt.Errorf("secret %q, which deliveries are signed by, does not exist: make it with `penstock functions rotate-secret`: %w", s.name, err)
	}
	if err != nil {
		return v, fmt.Errorf("secret %q, which deliveries are signed by: %w", s.name, err)
	}
	if v.current, err = parseVersion(current); err != nil {
		return v, fmt.Errorf("secret %q, which deliveries are signed by, is none: %w", s.name, err)
	}
	if v.current.PreviousUntil.IsZero() {
		return v, nil
	}
	previous, err := s.version(ctx, "AWSPREVIOUS")
	if errors.As(err, &missing) {
		return v, nil
	}
	if err != nil {
		return v, fmt.Errorf("secret %q, the version before the current one: %w", s.name, err)
	}
	// One that was never a secret signs nothing.
	if p, err := parseVersion(previous); err == nil {
		v.previous = p.Secret
	}
	return v, nil
}

func (s *Secret) version(ctx context.Context, stage string) (string, error) {
	out, err := s.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.name, VersionStage: &stage})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.SecretString), nil
}
