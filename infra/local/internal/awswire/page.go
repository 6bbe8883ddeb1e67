package awswire

import (
	"cmp"
	"slices"
	"strings"
)

// Page cuts a list to the page that a call asks for: at most limit elements
// (nil means most, which is also the largest limit allowed), from behind the
// one that token names, which is what the call before returned as next. next
// is empty on the last page. The list is put in the order of its keys, which
// must differ; so an element that is made or removed between two calls moves
// no other one to another page.
func Page[T any](all []T, key func(T) string, token string, limit *int, most int) (page []T, next string, err error) {
	if limit != nil {
		if *limit < 1 || *limit > most {
			return nil, "", Errorf("ValidationException", "Limit: want 1 to %d (got %d)", most, *limit)
		}
		most = *limit
	}
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	if token != "" {
		after, ok := strings.CutPrefix(token, pagePrefix)
		if !ok {
			return nil, "", Errorf("ValidationException", "NextToken %q is not valid: want the one that came with the page before", token)
		}
		i, found := slices.BinarySearchFunc(all, after, func(t T, after string) int { return cmp.Compare(key(t), after) })
		if found {
			i++
		}
		all = all[i:]
	}
	if len(all) > most {
		all = all[:most]
		next = pagePrefix + key(all[most-1])
	}
	return all, next, nil
}

// pagePrefix tells a token from a name that somebody made up.
const pagePrefix = "after:"
