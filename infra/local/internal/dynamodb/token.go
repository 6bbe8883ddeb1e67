package dynamodb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// tokenLife is how long a transaction's ClientRequestToken makes its repetition
// do nothing ("TransactWriteItems", Amazon DynamoDB API reference).
const tokenLife = 10 * time.Minute

// token is the ClientRequestToken of a transaction. It is written in the same
// batch as the transaction's changes, with a fingerprint of what was asked for.
type token struct {
	text        string
	fingerprint [sha256.Size]byte
}

func checkToken(text *string) error {
	if text != nil && (*text == "" || len(*text) > 36) {
		return constraint("clientRequestToken", "'"+*text+"'", "Member must have length between 1 and 36, inclusive")
	}
	return nil
}

// newToken makes the token of a request's changes, which have their place.
func newToken(text string, changes []*change) *token {
	h := sha256.New()
	length := make([]byte, 8)
	add := func(part []byte) {
		binary.BigEndian.PutUint64(length, uint64(len(part)))
		h.Write(length)
		h.Write(part)
	}
	for _, c := range changes {
		add([]byte{byte(c.verb)})
		add(c.key)
		add(c.next)
		for _, expression := range []*string{c.in.UpdateExpression, c.in.ConditionExpression} {
			if expression != nil {
				add([]byte(*expression))
			}
		}
		add([]byte(c.in.ReturnValuesOnConditionCheckFailure))
		for _, placeholder := range slices.Sorted(maps.Keys(c.in.ExpressionAttributeNames)) {
			add([]byte(placeholder))
			add([]byte(c.in.ExpressionAttributeNames[placeholder]))
		}
		add(c.in.ExpressionAttributeValues.AppendJSON(nil))
	}
	return &token{text, [sha256.Size]byte(h.Sum(nil))}
}

// Tokens are kept by the ten minutes in which they were written, so that old
// ones are dropped all at once.
func tokenKey() store.Key { return store.NewKey("dynamodb.token") }

func generation(t time.Time) uint64 { return uint64(t.Unix()) / uint64(tokenLife/time.Second) }

// tokens remembers which tokens were written, as hashes by generation, so that
// the store is asked only about a token that may be there: nearly every
// transaction's is new. It is safe for concurrent use.
type tokens struct {
	seed maphash.Seed

	mu   sync.Mutex
	seen map[uint64]map[uint64]struct{}
}

// loadTokens returns the memory of the tokens that the store holds.
func loadTokens(st *store.Store) (*tokens, error) {
	t := &tokens{seed: maphash.MakeSeed(), seen: map[uint64]map[uint64]struct{}{}}
	for _, g := range generations(time.Now()) {
		prefix := tokenKey().Uint(g)
		for entry, err := range st.Scan(store.Prefix(prefix)) {
			if err != nil {
				return nil, err
			}
			t.note(g, entry.Key[len(prefix):])
		}
	}
	return t, nil
}

// note remembers a token by its part of the key, and forgets generations whose
// tokens are dead.
func (t *tokens) note(g uint64, key []byte) {
	hash := maphash.Bytes(t.seed, key)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[g] == nil {
		t.seen[g] = map[uint64]struct{}{}
		maps.DeleteFunc(t.seen, func(old uint64, _ map[uint64]struct{}) bool { return old+1 < g })
	}
	t.seen[g][hash] = struct{}{}
}

// maybe reports whether a token may have been written in a generation; false is
// certain.
func (t *tokens) maybe(g uint64, key []byte) bool {
	hash := maphash.Bytes(t.seed, key)
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.seen[g][hash]
	return ok
}

// generations are those in which a token that is alive now may have been
// written.
func generations(now time.Time) []uint64 {
	g := generation(now)
	return []uint64{g, g - 1}
}

// lockKey is what is locked so that of two requests with the same token the
// second one finds the first one's.
func (t *token) lockKey() store.Key { return tokenKey().String(t.text) }

// isRepeat reports whether a transaction with this token was committed within
// the token's life. The same token with another request is an error.
func (s *Service) isRepeat(t *token) (bool, error) {
	now := time.Now()
	name := store.Key{}.String(t.text)
	for _, g := range generations(now) {
		if !s.tokens.maybe(g, name) {
			continue
		}
		value, ok, err := s.store.Get(tokenKey().Uint(g).String(t.text))
		if err != nil {
			return false, err
		}
		if !ok || now.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(value)))) >= tokenLife {
			continue
		}
		if !bytes.Equal(value[8:], t.fingerprint[:]) {
			return false, awswire.Errorf("IdempotentParameterMismatchException", "DynamoDB rejected the request because you retried a request with a different payload but with an idempotent token that was already used.")
		}
		return true, nil
	}
	return false, nil
}

// saveToken writes the token. It is remembered before it is durable: that it
// may be there is all that is remembered.
func (s *Service) saveToken(t *token, b *store.Batch) {
	now := time.Now()
	g := generation(now)
	value := binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano()))
	b.Set(tokenKey().Uint(g).String(t.text), append(value, t.fingerprint[:]...))
	s.tokens.note(g, store.Key{}.String(t.text))
}

// expireTokens removes the tokens that no repetition can meet any more.
func (s *Service) expireTokens(now time.Time) error {
	b := s.store.NewBatch()
	b.DeleteRange(tokenKey(), tokenKey().Uint(generation(now)-1))
	return b.Commit()
}
