package egress

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Signer signs what is sent, by the rules of Standard Webhooks (the
// specification's section "Signature scheme", symmetric).
type Signer struct{ keys []*standardwebhooks.Webhook }

// A secret has 24 to 64 random bytes, says the specification.
const (
	minSecret = 24
	maxSecret = 64
)

// NewSigner reads one secret or several, separated by white space: each is
// "whsec_" and 24 to 64 bytes in base64. Each makes a signature of its own, so
// that a secret is changed without a gap: with the new one before the old, until
// every receiver knows the new one. The error repeats no secret.
func NewSigner(secrets string) (*Signer, error) {
	s := &Signer{}
	for i, secret := range strings.Fields(secrets) {
		text, ok := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(key) < minSecret || len(key) > maxSecret {
			return nil, fmt.Errorf(`signing secret %d must be "whsec_" and %d to %d bytes in base64: make one by (printf whsec_; head -c 32 /dev/urandom | base64)`, i+1, minSecret, maxSecret)
		}
		one, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, fmt.Errorf("signing secret %d cannot be used", i+1)
		}
		s.keys = append(s.keys, one)
	}
	if len(s.keys) == 0 {
		return nil, errors.New("there is no signing secret")
	}
	return s, nil
}

// Sign sets the headers webhook-id, webhook-timestamp and webhook-signature. The
// id is that of the message, the same each time that it is sent, by which its
// receiver knows a repetition; at is when it is sent this time.
func (s *Signer) Sign(header http.Header, id string, at time.Time, body []byte) error {
	var signatures []string
	for _, key := range s.keys {
		signature, err := key.Sign(id, at, body)
		if err != nil {
			return err
		}
		signatures = append(signatures, signature)
	}
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
