package connector

import "strings"

// Matcher reports whether a function that declares a topic is invoked for a
// message. It must be safe for concurrent use, and quick: it is asked about every
// topic of every function, for each message.
type Matcher func(received, declared string) bool

// Equal wants the topics to be the same.
func Equal(received, declared string) bool { return received == declared }

// EqualFold wants the topics to be the same but for upper and lower case.
func EqualFold(received, declared string) bool { return strings.EqualFold(received, declared) }

// Wildcard lets each * in a declared topic stand for any characters, none
// included, as in EventBridge's patterns: "payment.*" matches "payment.made" and
// "payment.made.late". There is no escape.
func Wildcard(received, declared string) bool {
	first, rest, found := strings.Cut(declared, "*")
	if !found {
		return received == declared
	}
	received, ok := strings.CutPrefix(received, first)
	if !ok {
		return false
	}
	for {
		part, more, found := strings.Cut(rest, "*")
		if !found {
			return strings.HasSuffix(received, part)
		}
		i := strings.Index(received, part)
		if i < 0 {
			return false
		}
		received, rest = received[i+len(part):], more
	}
}
