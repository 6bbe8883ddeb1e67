package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is an Invoker that takes as long as its documents say ("ms"), and
// remembers what it was called with.
type recorder struct {
	mu      sync.Mutex
	started []string // by id
	ended   []string
	now     int
	most    int // calls at once
}

func (r *recorder) Invoke(ctx context.Context, c Call) ([]byte, error) {
	v, err := readValue(c.Payload)
	if err != nil {
		return nil, err
	}
	id := v.field("id").content()
	r.mu.Lock()
	r.started = append(r.started, id)
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.ended = append(r.ended, id)
		r.now--
		r.mu.Unlock()
	}()
	var wait time.Duration
	if ms := v.field("ms"); ms != nil {
		wait = time.Duration(ms.number().i) * time.Millisecond
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if fail := v.field("fail"); fail != nil {
		return nil, &FunctionError{Message: fail.content()}
	}
	return []byte(`"` + id + `"`), nil
}

// of keeps the ids that begin with a key.
func of(ids []string, key string) []string {
	var kept []string
	for _, id := range ids {
		if strings.HasPrefix(id, key) {
			kept = append(kept, id)
		}
	}
	return kept
}

// batchOf is n documents of the keys A, B, C, D in turn, the earlier the
// slower.
func batchOf(n int) []Document {
	documents := make([]Document, n)
	for i := range documents {
		key := string(rune('A' + i%4))
		documents[i].JSON = fmt.Appendf(nil, `{"id":"%s%03d","key":%q,"ms":%d}`, key, i, key, 10+(n-i)%7*10)
	}
	return documents
}

func ids(documents []Document) []string {
	var list []string
	for i := range documents {
		v, _ := readValue(documents[i].JSON)
		list = append(list, v.field("id").content())
	}
	return list
}

// allPassed checks that every document passed with its own response.
func allPassed(t *testing.T, documents []Document, results []Result) {
	t.Helper()
	if len(results) != len(documents) {
		t.Fatalf("%d results of %d documents", len(results), len(documents))
	}
	for i, id := range ids(documents) {
		if r := results[i]; r.Outcome != Passed || !strings.Contains(string(r.Document), `"x":"`+id+`"`) {
			t.Fatalf("document %d: %s %s %v", i, r.Outcome, r.Document, r.Err)
		}
	}
}

func TestA7WithoutParallelismDocumentsAreCalledForInTheOrderOfTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, stage := range []string{`"as": "x"`, `"execution": "async"`} {
			p, documents, r := mustParse(t, `[{"externalFunction": {"functionName": "f", `+stage+`}}]`), batchOf(20), &recorder{}
			p.RunBatch(t.Context(), documents, Effects{Invoker: r})
			if r.most != 1 || !slices.Equal(r.started, ids(documents)) {
				t.Errorf("%d calls at once, in the order %v", r.most, r.started)
			}
		}
	})
}

func TestA7ParallelismIsHowManyCallsAreUnderWayAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, documents, r := mustParse(t, `[{"externalFunction": {"functionName": "f", "as": "x", "parallelism": 8}}]`), batchOf(100), &recorder{}
		for i := range documents {
			documents[i].JSON = fmt.Appendf(nil, `{"id":"A%03d","ms":100}`, i)
		}
		began := time.Now()
		allPassed(t, documents, p.RunBatch(t.Context(), documents, Effects{Invoker: r}))
		if took := time.Since(began); r.most != 8 || took != 1300*time.Millisecond {
			t.Errorf("%d calls at once, %v in all, want 8 and 13 times 100 ms", r.most, took)
		}
	})
}

func TestA7PartitionByKeepsTheOrderWithinAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, documents, r := mustParse(t, `[{"externalFunction": {"functionName": "f", "as": "x", "parallelism": 3, "partitionBy": "$key"}}]`), batchOf(80), &recorder{}
		allPassed(t, documents, p.RunBatch(t.Context(), documents, Effects{Invoker: r}))
		for _, key := range []string{"A", "B", "C", "D"} {
			want := of(ids(documents), key)
			if !slices.Equal(of(r.started, key), want) || !slices.Equal(of(r.ended, key), want) {
				t.Errorf("key %s: started %v, ended %v", key, of(r.started, key), of(r.ended, key))
			}
		}
		if r.most != 3 || slices.Equal(r.started, ids(documents)) {
			t.Errorf("%d calls at once, and the order of all is %v", r.most, r.started)
		}
	})
}

func TestA7PartitionByKeepsTheOrderAlsoBehindAStageThatDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustParse(t, `[
			{"externalFunction": {"functionName": "f", "as": "x", "parallelism": 16}},
			{"match": {"id": {"$regex": "[02468]$"}}},
			{"externalFunction": {"functionName": "g", "as": "y", "parallelism": 3, "partitionBy": "$key"}}]`)
		documents, first, second := batchOf(80), &recorder{}, &recorder{}
		p.RunBatch(t.Context(), documents, Effects{Invoker: invokerFunc(func(ctx context.Context, c Call) ([]byte, error) {
			if c.Function == "f" {
				return first.Invoke(ctx, c)
			}
			return second.Invoke(ctx, c)
		})})
		if len(second.started) != 40 || slices.IsSorted(first.ended) {
			t.Fatalf("%d calls of the second stage; the first ended in the order %v", len(second.started), first.ended)
		}
		for _, key := range []string{"A", "C"} {
			if got := of(second.started, key); len(got) != 20 || !slices.IsSorted(got) {
				t.Errorf("key %s: %v", key, got)
			}
		}
	})
}

func TestA7EqualKeysAreOnePartitionHoweverTheyAreSpelled(t *testing.T) {
	for _, pair := range [][2]string{{`1`, `1.0`}, {`"\u0041"`, `"A"`}, {`{"a":1}`, `{ "a" : 1e0 }`}, {`[0]`, `[-0.0]`}} {
		if a, b := keyOf(t, pair[0]), keyOf(t, pair[1]); a != b {
			t.Errorf("%s has the key %s, %s has %s", pair[0], a, pair[1], b)
		}
	}
	for _, pair := range [][2]string{{`1`, `"1"`}, {`null`, `"null"`}, {`9007199254740993`, `9007199254740992.0`}, {`[]`, `{}`}, {`[1,2]`, `[12]`}} {
		if a, b := keyOf(t, pair[0]), keyOf(t, pair[1]); a == b {
			t.Errorf("%s and %s have the same key %s", pair[0], pair[1], a)
		}
	}
}

func keyOf(t *testing.T, json string) string {
	t.Helper()
	v, err := readValue([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return string(appendKey(nil, &v))
}

func TestDocumentsOfABatchDoNotAffectOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustParse(t, `[
			{"match": {"skip": null}},
			{"externalFunction": {"functionName": "f", "as": "x", "parallelism": 2, "partitionBy": {"$add": ["$n", 1]}}},
			{"set": {"y": {"$divide": [1, "$n"]}}},
			{"externalFunction": {"functionName": "g", "as": "z"}}]`)
		texts := []string{
			`{"id":"a","n":1}`, `not JSON`, `{"id":"b","n":1,"skip":true}`, `{"id":"c","n":"text"}`,
			`{"id":"d","n":1,"fail":"no"}`, `{"id":"e","n":0}`, `{"id":"f","n":1}`,
		}
		var documents []Document
		for _, text := range texts {
			documents = append(documents, Document{JSON: []byte(text)})
		}
		var got []string
		for _, r := range p.RunBatch(t.Context(), documents, Effects{Invoker: &recorder{}}) {
			line := string(r.Outcome) + " " + r.Stage
			if r.DeadLetter != nil {
				line += " " + r.DeadLetter.Reason
			}
			got = append(got, line+string(r.Document))
		}
		want := []string{
			`passed {"id":"a","n":1,"x":"a","y":1,"z":"a"}`,
			`dead  not JSON: invalid character 'o' in literal null (expecting 'u'), at byte 1`,
			`discarded pipeline[0].match`,
			`dead pipeline[1].externalFunction partitionBy.$add: $add takes numbers, not a value of type string ("text")`,
			`dead pipeline[1].externalFunction function f: no`,
			`dead pipeline[2].set y.$divide: cannot divide by zero`,
			`passed {"id":"f","n":1,"x":"f","y":1,"z":"f"}`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("results\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestWhenTimeRunsOutWhatHasNoCallYetIsNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		p, documents := mustParse(t, `[{"externalFunction": {"functionName": "f", "as": "x"}}, {"externalFunction": {"functionName": "g", "as": "y"}}]`), batchOf(6)
		for i := range documents {
			documents[i].JSON = fmt.Appendf(nil, `{"id":"A%d","ms":100}`, i)
		}
		// f is called from 0, 100 and 200 ms on, g from 100 and 200.
		results := p.RunBatch(ctx, documents, Effects{Invoker: &recorder{}})
		var got []string
		for _, r := range results {
			line := string(r.Outcome)
			if r.Err != nil {
				line += fmt.Sprintf(" %s %v %v", r.Stage, errors.Is(r.Err, ErrNotStarted), errors.Is(r.Err, context.DeadlineExceeded))
			}
			got = append(got, line)
		}
		const first, second = "failed pipeline[0].externalFunction ", "failed pipeline[1].externalFunction "
		want := []string{"passed", second + "false true", first + "false true", first + "true true", first + "true true", first + "true true"}
		if !slices.Equal(got, want) {
			t.Errorf("outcomes %q, want %q", got, want)
		}
	})
}

func TestABatchThatBeginsTooLateIsNotStarted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, stages := range []string{`[{"match": {}}]`, `[{"externalFunction": {"functionName": "f"}}]`} {
		for _, r := range mustParse(t, stages).RunBatch(ctx, batchOf(3), Effects{Invoker: &recorder{}}) {
			if r.Outcome != Failed || !errors.Is(r.Err, ErrNotStarted) {
				t.Errorf("%+v", r)
			}
		}
	}
}

func TestABatchOfNothing(t *testing.T) {
	for _, stages := range []string{`[{"match": {}}]`, `[{"externalFunction": {"functionName": "f"}}]`} {
		if r := mustParse(t, stages).RunBatch(t.Context(), nil, Effects{}); len(r) != 0 {
			t.Errorf("%+v", r)
		}
	}
}
