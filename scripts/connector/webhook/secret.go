package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// readAgain is how long after it was read, or could not be, a secret is read again
// at the earliest.
const readAgain = 10 * time.Second

// secret is what GitHub signs deliveries with. It is read when it is needed, and
// once more when a signature is wrong: so a secret that is changed needs no restart,
// and many wrong signatures do not make many calls.
type secret struct {
	read func(context.Context) ([]byte, error)

	mu    sync.Mutex
	value []byte
	at    time.Time
}

// signed reports whether a signature is that of a body. The error says why the
// secret is not known.
func (s *secret) signed(ctx context.Context, body []byte, signature string) (bool, error) {
	if signature == "" {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value != nil && verify(body, s.value, signature) {
		return true, nil
	}
	if s.value != nil && time.Since(s.at) < readAgain {
		return false, nil
	}
	s.at = time.Now()
	value, err := s.read(ctx)
	if err == nil && len(value) == 0 {
		err = errors.New("the webhook's secret is empty")
	}
	if err != nil {
		if s.value != nil {
			return false, nil // the one that was read before is in use
		}
		return false, err
	}
	s.value = value
	return verify(body, s.value, signature), nil
}

// fromFile reads a secret from a file, less the line's end.
func fromFile(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		value, err := os.ReadFile(path)
		return bytes.TrimRight(value, "\r\n"), err
	}
}

// fromSecretsManager reads a secret by its full name.
func fromSecretsManager(client *secretsmanager.Client, name string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", name, err)
		}
		return []byte(aws.ToString(out.SecretString)), nil
	}
}
