// Package sessiontest gives tests the keys of function sessions, in a Secrets
// Manager that is in memory:
//
//	store := sessiontest.NewStore()
//	minter, err := session.NewMinter(session.Environment{Name: "shop-prod"}, session.NewKeys(store, sessiontest.Secret))
package sessiontest

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/penstock-dev/penstock/functions/session"
)

// Secret is the name of the secret that a [Store] holds.
const Secret = "test/test/function-session-keys"

// Store is a Secrets Manager of one secret, with a first key. It implements
// [session.SecretsAPI], and is safe for concurrent use.
type Store struct {
	mu       sync.Mutex
	versions []string // the last is current
	err      error
	reads    int
}

// NewStore returns a store with a key that signs at once.
func NewStore() *Store {
	return &Store{versions: []string{`{"seed":"` + rand.Text() + rand.Text() + `"}`}}
}

// Rotate puts the next key into the secret, as `penstock sessions rotate-key`
// does.
func (s *Store) Rotate(compromised bool) error {
	text, _, err := session.Rotation(time.Now(), compromised)
	if err == nil {
		s.Put(text)
	}
	return err
}

// Put puts any text into the secret, as its next version.
func (s *Store) Put(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = append(s.versions, text)
}

// Stolen returns a store of its own with what the secret holds now, and for ever:
// what an attacker has who has read it once.
func (s *Store) Stolen() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Store{versions: slices.Clone(s.versions)}
}

// Current is the text of the secret.
func (s *Store) Current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions[len(s.versions)-1]
}

// Fail has every call fail with err; nil has them work again.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Reads counts the times that the current version was asked for.
func (s *Store) Reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// GetSecretValue implements [session.SecretsAPI].
func (s *Store) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	back := 1
	switch aws.ToString(in.VersionStage) {
	case "AWSCURRENT":
		s.reads++
	case "AWSPREVIOUS":
		back = 2
	}
	if s.err != nil {
		return nil, s.err
	}
	if aws.ToString(in.SecretId) != Secret || len(s.versions) < back {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Secrets Manager can't find the specified secret value")}
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: &s.versions[len(s.versions)-back]}, nil
}
