package secretsmanager

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
)

// Generate says how the first value of a secret is made ("AWS::SecretsManager::
// Secret GenerateSecretString"): a JSON object with random text under a key. Other
// ways are not supported.
type Generate struct {
	SecretStringTemplate string // a JSON object
	GenerateStringKey    string
	PasswordLength       int  // 1 to 4,096
	ExcludePunctuation   bool // must be true: the text is of letters and digits
}

// Check returns what is wrong with it, or not supported.
func (g Generate) Check() error {
	var object map[string]any
	switch {
	case json.Unmarshal([]byte(g.SecretStringTemplate), &object) != nil || object == nil || g.GenerateStringKey == "":
		return fmt.Errorf("SecretStringTemplate must be a JSON object, and GenerateStringKey one of its keys to be: nothing else is supported by the local environment")
	case g.PasswordLength < 1 || g.PasswordLength > 4096:
		return fmt.Errorf("PasswordLength is %d: want 1 to 4096", g.PasswordLength)
	case !g.ExcludePunctuation:
		return fmt.Errorf("only ExcludePunctuation is supported by the local environment")
	}
	return nil
}

func (g Generate) value() (value, error) {
	object := map[string]any{}
	if err := json.Unmarshal([]byte(g.SecretStringTemplate), &object); err != nil {
		return value{}, err
	}
	var text string
	for len(text) < g.PasswordLength {
		text += rand.Text()
	}
	object[g.GenerateStringKey] = text[:g.PasswordLength]
	encoded, err := json.Marshal(object)
	if err != nil {
		return value{}, err
	}
	out := string(encoded)
	return value{SecretString: &out}, nil
}

// Ensure makes a secret with a generated value, as a template asks for, and
// returns its ARN. One that is there gets the description and the tags, and keeps
// its value; one that waits for its deletion is an error.
func (s *Service) Ensure(name, description string, tags map[string]string, g Generate) (arn string, err error) {
	if err := g.Check(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.store.NewBatch()
	one, err := s.active(name)
	if err == nil {
		one = one.clone()
	} else {
		if existing := s.secrets[name]; existing != nil && existing.pending() && !existing.due() {
			b.Discard()
			return "", errPending()
		}
		now := time.Now().UTC()
		one = &secret{Name: name, Suffix: newSuffix(), CreatedAt: now, ChangedAt: now}
		v, err := g.value()
		if err == nil {
			err = s.addVersion(b, one, uuid.NewString(), v, nil)
		}
		if err != nil {
			b.Discard()
			return "", err
		}
	}
	one.Description, one.Tags = description, map[string]string{}
	maps.Copy(one.Tags, tags)
	return s.arn(one), s.save(b, one)
}

// Discard removes a secret for good; one that does not exist is not an error.
func (s *Service) Discard(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.secrets[name]; one != nil {
		return s.remove(one)
	}
	return nil
}
