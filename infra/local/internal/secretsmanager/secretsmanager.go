// Package secretsmanager is AWS Secrets Manager as the local environment runs
// it: secrets with versions and staging labels, deletion after a recovery
// window, and restoring.
//
// A secret is what one can read in a list: its name, its ARN, when it changed,
// and which labels its versions have. That is kept in memory and in the store.
// Values lie in the store alone, one a version, and are read when they are
// asked for: nothing here logs a value or puts one into an error.
//
// A deleted secret is kept until its recovery window ends, and answers no read
// meanwhile. Then it is removed with its versions, and its name is free.
//
// What is out of scope (customer keys, rotation, replicas, resource policies,
// moving labels by hand) is refused by name.
package secretsmanager

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Config says where a service's secrets are.
type Config struct {
	Account string
	Region  string
	Logger  *slog.Logger // told of what goes wrong in the background
	Meter   *meter.Meter // where calls are counted; nil: nowhere
	// Caller names the Lambda function that makes the request being answered,
	// empty if it is another caller; nil: nobody is named.
	Caller func(context.Context) string
}

// Service holds the secrets of one account and region. It is safe for
// concurrent use. The zero value is not usable: call [New].
type Service struct {
	config Config
	store  *store.Store
	stop   chan struct{}

	mu      sync.Mutex
	secrets map[string]*secret // by name
}

// New returns the service with the secrets that the store holds. Close ends
// its background work.
func New(st *store.Store, config Config) (*Service, error) {
	s := &Service{config: config, store: st, stop: make(chan struct{}), secrets: map[string]*secret{}}
	for entry, err := range st.Scan(store.Prefix(secretKey())) {
		if err != nil {
			return nil, err
		}
		saved := &secret{}
		if err := json.Unmarshal(entry.Value, saved); err != nil {
			return nil, fmt.Errorf("secretsmanager: a secret in the store: %w", err)
		}
		s.secrets[saved.Name] = saved
	}
	go s.sweep()
	return s, nil
}

// Close ends the service's background work. It does not close the store.
func (s *Service) Close() { close(s.stop) }

// sweepInterval is how often secrets whose recovery window has ended are
// removed. Nobody waits for it: a look-up does not find them any more.
const sweepInterval = time.Minute

func (s *Service) sweep() {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			if err := s.removeDue(); err != nil {
				s.config.Logger.Error("removing secrets whose recovery window has ended", "error", err)
			}
		}
	}
}

func (s *Service) removeDue() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.secrets {
		if one.due() {
			if err := s.remove(one); err != nil {
				return err
			}
		}
	}
	return nil
}

// secret is what is known of a secret besides its values. One in the map is
// never changed: a change replaces it, once it is durable.
type secret struct {
	Name        string
	Suffix      string // ends its ARN, for as long as it exists
	Description string
	Tags        map[string]string
	CreatedAt   time.Time
	ChangedAt   time.Time
	AccessedAt  time.Time // to the day; zero: never
	DeletionAt  time.Time // the end of its recovery window; zero: not deleted
	Versions    []version // oldest first
}

// version is what is known of a version besides its value.
type version struct {
	ID         string
	CreatedAt  time.Time
	AccessedAt time.Time // to the day; zero: never
	Stages     []string  // its staging labels; none: deprecated
}

func (s *secret) pending() bool { return !s.DeletionAt.IsZero() }
func (s *secret) due() bool     { return s.pending() && !time.Now().Before(s.DeletionAt) }

// clone copies what a change may touch.
func (s *secret) clone() *secret {
	out := *s
	out.Tags = map[string]string{}
	maps.Copy(out.Tags, s.Tags)
	out.Versions = slices.Clone(s.Versions)
	for i := range out.Versions {
		out.Versions[i].Stages = slices.Clone(out.Versions[i].Stages)
	}
	return &out
}

func secretKey() store.Key { return store.NewKey("secretsmanager.secret") }

// valuesKey is above the values of a secret, and valueKey that of one version.
// A secret that is created anew has another suffix, and so other keys.
func (s *secret) valuesKey() store.Key {
	return store.NewKey("secretsmanager.value").String(s.Name).String(s.Suffix)
}
func (s *secret) valueKey(versionID string) store.Key { return s.valuesKey().String(versionID) }

// save makes a secret durable, with what else is in the batch, and puts it in
// the place of the one of its name. The caller holds mu.
func (s *Service) save(b *store.Batch, one *secret) error {
	text, err := json.Marshal(one)
	if err != nil {
		b.Discard()
		return err
	}
	b.Set(secretKey().String(one.Name), text)
	if err := b.Commit(); err != nil {
		return err
	}
	s.secrets[one.Name] = one
	return nil
}

// remove deletes a secret and its values for good. The caller holds mu.
func (s *Service) remove(one *secret) error {
	b := s.store.NewBatch()
	b.Delete(secretKey().String(one.Name))
	b.DeleteRange(one.valuesKey(), one.valuesKey().After())
	if err := b.Commit(); err != nil {
		return err
	}
	delete(s.secrets, one.Name)
	return nil
}

// arn returns a secret's ARN.
func (s *Service) arn(one *secret) string { return s.arnPrefix() + one.Name + "-" + one.Suffix }

func (s *Service) arnPrefix() string {
	return fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:", s.config.Region, s.config.Account)
}

// suffixLength is how many random characters end an ARN after a hyphen
// ("CreateSecret", Secrets Manager API reference).
const suffixLength = 6

func newSuffix() string { return rand.Text()[:suffixLength] }

func errNotFound() error {
	return awswire.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

// errPending is how AWS words that a secret waits for its deletion.
func errPending() error {
	return awswire.Errorf("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
}

// find finds a secret by its name, its ARN, or its ARN without the suffix
// ("Finding a secret from a partial ARN"). The caller holds mu.
func (s *Service) find(id string) (*secret, error) {
	if id == "" {
		return nil, awswire.Errorf("ValidationException", "SecretId is missing: want the name or the ARN of a secret")
	}
	name, isARN := strings.CutPrefix(id, s.arnPrefix())
	if isARN && len(name) > suffixLength {
		stem := name[:len(name)-suffixLength-1]
		if one, ok := s.secrets[stem]; ok && s.arn(one) == id && !one.due() {
			return one, nil
		}
	}
	one, ok := s.secrets[name]
	if !ok || one.due() {
		return nil, errNotFound()
	}
	return one, nil
}

// active finds a secret that is not waiting for its deletion.
func (s *Service) active(id string) (*secret, error) {
	one, err := s.find(id)
	if err == nil && one.pending() {
		return nil, errPending()
	}
	return one, err
}

// compare puts secrets in the order of their creation.
func compare(a, b *secret) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Name, b.Name))
}
