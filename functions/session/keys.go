package session

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/go-jose/go-jose/v4"
)

// How keys are kept and changed. Whoever signs or verifies has read a new key
// before it signs; the old one verifies until the last session that it may have
// signed has expired.
const (
	// KeysTTL is how long the keys are kept that were read.
	KeysTTL = 5 * time.Minute

	// SignsAfter is when a new key begins to sign.
	SignsAfter = 2 * KeysTTL

	// VerifiesFor is how long the old key still verifies after that.
	VerifiesFor = MaxLifetime + KeysTTL

	// RotateAfter is how soon a rotation may follow another: two keys are known
	// at a time.
	RotateAfter = SignsAfter + VerifiesFor
)

// readAgain is how soon the keys are read again for a token of an unknown key,
// or after they could not be read.
const readAgain = 30 * time.Second

// SecretsAPI is what [Keys] needs of Secrets Manager: *secretsmanager.Client has
// it.
type SecretsAPI interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Keys are the keys of an environment's sessions, in one secret of Secrets
// Manager. A version of the secret holds one key. The current version
// (AWSCURRENT) and the one before it (AWSPREVIOUS) are known; so a key is
// rotated by writing the next version, and nobody needs to read the last one for
// that:
//
//	now                 the new key is published: everybody reads it within KeysTTL
//	after SignsAfter    it signs
//	after RotateAfter   the old key verifies no longer
//
// Where Secrets Manager cannot be reached, keys that were read before stay in
// use. Keys are safe for concurrent use.
type Keys struct {
	api    SecretsAPI
	secret string

	mu       sync.Mutex
	set      keySet
	readAt   time.Time // when set was read; zero: never
	triedAt  time.Time // when it was last tried
	triedErr error
}

// NewKeys returns the keys in a secret, by its name. It makes no call.
func NewKeys(api SecretsAPI, secret string) *Keys { return &Keys{api: api, secret: secret} }

// key is one key pair. Its id is the thumbprint of the public half (RFC 7638).
type key struct {
	id      string
	private ed25519.PrivateKey
}

// document is what a version of the secret holds.
type document struct {
	// Seed is random text, of 256 bits or more: whoever provisions the secret has
	// Secrets Manager make the first one.
	Seed string `json:"seed"`
	// SignsFrom is when it begins to sign; zero: at once.
	SignsFrom time.Time `json:"signsFrom,omitzero"`
	// PreviousUntil is until when the key before it verifies; zero: not at all.
	PreviousUntil time.Time `json:"previousUntil,omitzero"`
}

// minSeed is the shortest seed, in characters. 43 of base64, or of letters and
// digits, hold 256 bits.
const minSeed = 43

func (d document) key() (key, error) {
	if len(d.Seed) < minSeed {
		return key{}, fmt.Errorf("the seed has %d characters: want %d or more", len(d.Seed), minSeed)
	}
	seed := sha256.Sum256([]byte("penstock function session key\x00" + d.Seed))
	private := ed25519.NewKeyFromSeed(seed[:])
	print, err := (&jose.JSONWebKey{Key: publicOf(private)}).Thumbprint(crypto.SHA256)
	if err != nil {
		return key{}, err
	}
	return key{base64.RawURLEncoding.EncodeToString(print), private}, nil
}

// KeyIn returns the key in a version of the secret, given its text, and the id
// that tokens name it by. Nothing but tests that forge tokens needs it.
func KeyIn(version string) (id string, private ed25519.PrivateKey, err error) {
	var d document
	if json.Unmarshal([]byte(version), &d) != nil {
		return "", nil, errors.New("session: the version holds no key")
	}
	k, err := d.key()
	return k.id, k.private, err
}

// keySet are the keys as they were read.
type keySet struct {
	document
	current  key
	previous *key // nil: there is none
}

// signing returns the key that signs at a time.
func (s keySet) signing(now time.Time) key {
	if now.Before(s.SignsFrom) && s.previous != nil {
		return *s.previous
	}
	return s.current
}

// verifying returns the key of an id, if it verifies at a time.
func (s keySet) verifying(id string, now time.Time) (ed25519.PublicKey, bool) {
	switch {
	case id == "":
		return nil, false
	case id == s.current.id:
		return publicOf(s.current.private), true
	case s.previous != nil && id == s.previous.id && now.Before(s.PreviousUntil):
		return publicOf(s.previous.private), true
	}
	return nil, false
}

// Rotation is the content of the next version of the secret: a new key, which
// signs after SignsAfter and replaces the one before it. With compromised it
// signs at once and the one before it verifies nothing any more; a verifier finds
// that out within KeysTTL. The text is a secret.
func Rotation(now time.Time, compromised bool) (text string, signsFrom time.Time, err error) {
	d := document{Seed: rand.Text() + rand.Text(), SignsFrom: now.UTC().Truncate(time.Second)}
	if !compromised {
		d.SignsFrom = d.SignsFrom.Add(SignsAfter)
		d.PreviousUntil = d.SignsFrom.Add(VerifiesFor)
	}
	encoded, err := json.Marshal(d)
	return string(encoded), d.SignsFrom, err
}

func (k *Keys) signing(ctx context.Context) (key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fresh(ctx, KeysTTL); err != nil {
		return key{}, err
	}
	return k.set.signing(time.Now()), nil
}

// verifying returns the key of an id. One that is not known may be new: the keys
// are read again for it, but not for each of many.
func (k *Keys) verifying(ctx context.Context, id string) (ed25519.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fresh(ctx, KeysTTL); err != nil {
		return nil, err
	}
	public, ok := k.set.verifying(id, time.Now())
	if !ok {
		if err := k.fresh(ctx, readAgain); err != nil {
			return nil, err
		}
		public, ok = k.set.verifying(id, time.Now())
	}
	if !ok {
		return nil, refused("its key is not one of those in use")
	}
	return public, nil
}

// fresh reads the keys if those there are were read longer ago than age. The
// caller holds mu: who else needs a key waits for the same answer.
func (k *Keys) fresh(ctx context.Context, age time.Duration) error {
	now := time.Now()
	if !k.readAt.IsZero() && now.Sub(k.readAt) < age {
		return nil
	}
	if !k.triedAt.IsZero() && now.Sub(k.triedAt) < readAgain && (k.triedErr == nil || !k.readAt.IsZero()) {
		return nil
	}
	set, err := k.read(ctx)
	k.triedAt, k.triedErr = now, err
	if err == nil {
		k.set, k.readAt = set, now
	} else if k.readAt.IsZero() {
		return fmt.Errorf("the keys of function sessions (secret %s): %w", k.secret, err)
	}
	return nil
}

func (k *Keys) read(ctx context.Context) (s keySet, err error) {
	if s.document, s.current, err = k.version(ctx, "AWSCURRENT"); err != nil {
		return s, err
	}
	_, previous, err := k.version(ctx, "AWSPREVIOUS")
	if missing := (*types.ResourceNotFoundException)(nil); errors.As(err, &missing) {
		return s, nil // it was never rotated
	}
	s.previous = &previous
	return s, err
}

func (k *Keys) version(ctx context.Context, stage string) (d document, _ key, err error) {
	out, err := k.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &k.secret, VersionStage: &stage})
	if err != nil {
		return d, key{}, err
	}
	// The decoder's own error would repeat what it read.
	if out.SecretString == nil || json.Unmarshal([]byte(*out.SecretString), &d) != nil {
		return d, key{}, fmt.Errorf("version %s holds no key: make one with `penstock sessions rotate-key`", stage)
	}
	one, err := d.key()
	if err != nil {
		return d, key{}, fmt.Errorf("version %s: %w", stage, err)
	}
	return d, one, nil
}
