package secretsmanager

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// The staging labels that Secrets Manager moves by itself.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

const (
	// maxValue is the largest value, in bytes ("AWS Secrets Manager quotas").
	maxValue = 65_536

	// keptVersions are kept however old; more are kept for keptFor
	// ("PutSecretValue", Secrets Manager API reference).
	keptVersions = 100
	keptFor      = 24 * time.Hour

	// A token becomes the version's id, and has this many characters.
	minToken, maxToken = 32, 64

	maxStages      = 20
	maxStageLength = 256
)

// value is the content of a version: either member, as it was given.
type value struct {
	SecretString *string `json:",omitempty"`
	SecretBinary []byte  `json:",omitempty"`
}

func (v value) given() bool { return v.SecretString != nil || v.SecretBinary != nil }

func (v value) equal(w value) bool {
	if (v.SecretString == nil) != (w.SecretString == nil) {
		return false
	}
	return (v.SecretString == nil || *v.SecretString == *w.SecretString) && bytes.Equal(v.SecretBinary, w.SecretBinary)
}

func (v value) check() error {
	if v.SecretString != nil && v.SecretBinary != nil {
		return awswire.Errorf("InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
	}
	member, size := "SecretString", 0
	if v.SecretString != nil {
		size = len(*v.SecretString)
	} else {
		member, size = "SecretBinary", len(v.SecretBinary)
	}
	if size < 1 || size > maxValue {
		return awswire.Errorf("ValidationException", "%s has %d bytes: want 1 to %d", member, size, maxValue)
	}
	return nil
}

func checkToken(token string) error {
	if token == "" {
		return awswire.Errorf("InvalidRequestException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	}
	if len(token) < minToken || len(token) > maxToken {
		return awswire.Errorf("InvalidParameterException", "ClientRequestToken has %d characters: want %d to %d", len(token), minToken, maxToken)
	}
	return nil
}

// version returns the place of the version with an id; -1 for none.
func (s *secret) version(id string) int {
	return slices.IndexFunc(s.Versions, func(v version) bool { return v.ID == id })
}

// staged returns the place of the version with a staging label; -1 for none.
func (s *secret) staged(stage string) int {
	return slices.IndexFunc(s.Versions, func(v version) bool { return slices.Contains(v.Stages, stage) })
}

// label puts a staging label on a version, and takes it off any other. The
// version that loses AWSCURRENT gets AWSPREVIOUS.
func (s *secret) label(at int, stage string) {
	from := s.staged(stage)
	if from == at {
		return
	}
	if from >= 0 {
		old := &s.Versions[from]
		old.Stages = slices.DeleteFunc(old.Stages, func(one string) bool { return one == stage })
		if stage == current {
			s.label(from, previous)
		}
	}
	s.Versions[at].Stages = append(s.Versions[at].Stages, stage)
}

// addVersion adds a version to a copy of a secret and its value to the batch.
// A repeat with the same token and value adds nothing; with another value it
// is refused, since a version does not change. The caller holds mu.
func (s *Service) addVersion(b *store.Batch, one *secret, token string, v value, stages []string) error {
	if err := v.check(); err != nil {
		return err
	}
	if err := checkToken(token); err != nil {
		return err
	}
	if at := one.version(token); at >= 0 {
		existing, err := s.value(one, token)
		if err != nil {
			return err
		}
		if !existing.equal(v) {
			return awswire.Errorf("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", token, s.arn(one))
		}
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	one.Versions = append(one.Versions, version{ID: token, CreatedAt: now})
	b.Set(one.valueKey(token), text)
	at := len(one.Versions) - 1
	if at == 0 && !slices.Contains(stages, current) {
		stages = append(slices.Clone(stages), current)
	}
	for _, stage := range stages {
		one.label(at, stage)
	}
	one.ChangedAt = now
	one.trim(b, now)
	return nil
}

// trim removes the oldest versions that have no label, as Secrets Manager does
// when there are many.
func (s *secret) trim(b *store.Batch, now time.Time) {
	excess := len(s.Versions) - keptVersions
	s.Versions = slices.DeleteFunc(s.Versions, func(v version) bool {
		if excess <= 0 || len(v.Stages) > 0 || now.Sub(v.CreatedAt) < keptFor {
			return false
		}
		excess--
		b.Delete(s.valueKey(v.ID))
		return true
	})
}

// value reads the value of a version.
func (s *Service) value(one *secret, versionID string) (value, error) {
	var v value
	text, ok, err := s.store.Get(one.valueKey(versionID))
	if err != nil {
		return v, err
	}
	if !ok {
		return v, awswire.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", versionID)
	}
	if json.Unmarshal(text, &v) != nil {
		// The decoder's own error could quote the value.
		return v, awswire.Errorf("InternalServiceError", "the value of version %s cannot be read", versionID)
	}
	return v, nil
}

// pick finds the version that a caller asks for: by id, by label, by both
// (which must agree), or the current one.
func (s *secret) pick(id, stage string) (int, error) {
	if id != "" {
		at := s.version(id)
		if at < 0 {
			return 0, awswire.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", id)
		}
		if stage != "" && !slices.Contains(s.Versions[at].Stages, stage) {
			return 0, awswire.Errorf("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
		}
		return at, nil
	}
	if stage == "" {
		stage = current
	}
	at := s.staged(stage)
	if at < 0 {
		return 0, awswire.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", stage)
	}
	return at, nil
}

// touch notes that a version was read, to the day as Secrets Manager does, so
// that a secret is written at most once a day for it. The caller holds mu.
func (s *Service) touch(one *secret, at int) (*secret, error) {
	today := time.Now().UTC().Truncate(24 * time.Hour)
	if one.AccessedAt.Equal(today) && one.Versions[at].AccessedAt.Equal(today) {
		return one, nil
	}
	changed := one.clone()
	changed.AccessedAt, changed.Versions[at].AccessedAt = today, today
	return changed, s.save(s.store.NewBatch(), changed)
}
