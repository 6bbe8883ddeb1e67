// Package topictags keeps the topics that a function declares in the tags of
// its Lambda function: the CDK app writes them, connectors read them.
//
// Tags, because one call reads those of 100 functions, picked by environment on
// AWS's side (Resource Groups Tagging API, GetResources), because reading them
// shows nothing else of a function, such as its variables, because changing one
// neither restarts the function nor moves another function's stack, and because
// there is nothing to keep in step: the tags go with the function.
//
// A function has these, of which the last is repeated as needed:
//
//	penstock:environment  penstock-prod             application and environment
//	penstock:function     printer                   its short name
//	penstock:namespace    billing                   only if it declares one
//	penstock:topics       payment.=2A invoice.paid  its topics, separated by a space
//	penstock:topics:2     refund.made               what the one before had no room for
//
// A tag's value holds up to 256 letters, digits, spaces and + - = . _ : / @
// (AWS, "Tag naming limits and requirements"). So each byte of a topic that is
// not an ASCII letter or digit or one of + - . _ : / @ is written as an equals
// sign and two upper-case hexadecimal digits: "payment.*" is "payment.=2A". A
// topic does not continue in another tag.
//
// The package is a leaf: it imports the standard library and no more.
package topictags

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The keys of the tags.
const (
	EnvironmentKey = "penstock:environment"
	FunctionKey    = "penstock:function"
	NamespaceKey   = "penstock:namespace"
	topicsKey      = "penstock:topics" // the first; the n-th is topicsKey + ":" + n
)

// A resource has up to 50 tags, with values of up to 256 characters ("Tag naming
// limits and requirements").
const (
	maxValue     = 256
	maxTopicTags = 10
)

// MaxTags is how many tags a declaration takes at most, of the 50 that AWS
// allows a function.
const MaxTags = 3 + maxTopicTags

// Declaration is what a function declares to connectors.
type Declaration struct {
	// Environment is the application and the environment, as in
	// "penstock-prod"; required.
	Environment string

	// Function is the function's short name; required.
	Function string

	// Namespace groups functions, so that a connector may serve those of one
	// namespace only: lower-case letters, digits and hyphens, beginning with a
	// letter, up to 63. Empty: the function is in no namespace.
	Namespace string

	// Topics are what the function is invoked for. What they mean is up to the
	// connector's matcher: names, or patterns such as "payment.*". None: the
	// function is invoked by its name only.
	Topics []string
}

// namespaces have no dot, which separates them from a function's name.
var namespaces = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Validate returns everything that is wrong with the namespace and the topics,
// joined; nil if nothing is. A topic is UTF-8 text without control characters,
// does not begin or end with a space, is given once, and fits a tag: up to 256
// bytes, where each byte besides ASCII letters, digits and + - . _ : / @ counts
// as three. All topics together fill up to ten tags.
func (d Declaration) Validate() error {
	var faults []error
	if d.Namespace != "" && !namespaces.MatchString(d.Namespace) {
		faults = append(faults, fmt.Errorf("namespace %q must be up to 63 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen", d.Namespace))
	}
	for i, topic := range d.Topics {
		if err := validTopic(topic); err != nil {
			faults = append(faults, err)
		}
		if slices.Contains(d.Topics[:i], topic) {
			faults = append(faults, fmt.Errorf("topic %q is there twice", topic))
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	if n := len(pack(d.Topics)); n > maxTopicTags {
		return fmt.Errorf("%d topics need %d tags, Penstock uses up to %d of a function's 50: declare fewer or shorter topics, or patterns in place of names", len(d.Topics), n, maxTopicTags)
	}
	return nil
}

func validTopic(topic string) error {
	switch {
	case topic == "":
		return errors.New("a topic is empty")
	case !utf8.ValidString(topic):
		return fmt.Errorf("topic %q is not UTF-8", topic)
	case strings.ContainsFunc(topic, unicode.IsControl):
		return fmt.Errorf("topic %q has a control character", topic)
	case strings.TrimSpace(topic) != topic:
		return fmt.Errorf("topic %q begins or ends with a space", topic)
	}
	if n := len(escape(topic)); n > maxValue {
		return fmt.Errorf("topic %q takes %d characters of a tag, AWS allows %d: shorten it (each byte besides letters, digits and + - . _ : / @ takes three)", topic, n, maxValue)
	}
	return nil
}

// Tags returns the tags that say what d declares, or what Validate says.
func (d Declaration) Tags() (map[string]string, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	tags := map[string]string{EnvironmentKey: d.Environment, FunctionKey: d.Function}
	if d.Namespace != "" {
		tags[NamespaceKey] = d.Namespace
	}
	for i, value := range pack(d.Topics) {
		tags[topicsTag(i+1)] = value
	}
	return tags, nil
}

// topicsTag is the key of the n-th tag with topics, from 1.
func topicsTag(n int) string {
	if n == 1 {
		return topicsKey
	}
	return topicsKey + ":" + strconv.Itoa(n)
}

// pack puts topics into as few values as keep their order.
func pack(topics []string) []string {
	var values []string
	for _, topic := range topics {
		word := escape(topic)
		if last := len(values) - 1; last >= 0 && len(values[last])+1+len(word) <= maxValue {
			values[last] += " " + word
			continue
		}
		values = append(values, word)
	}
	return values
}

// Parse returns what a function's tags declare. Tags that are not Penstock's are
// passed over. A function without an environment or a name, and topics that
// Tags would not have written, are errors: such a function was not tagged by
// the CDK app.
func Parse(tags map[string]string) (Declaration, error) {
	d := Declaration{Environment: tags[EnvironmentKey], Function: tags[FunctionKey], Namespace: tags[NamespaceKey]}
	if d.Environment == "" || d.Function == "" {
		return Declaration{}, fmt.Errorf("the tags %s and %s are needed, and are %q and %q", EnvironmentKey, FunctionKey, d.Environment, d.Function)
	}
	for n := 1; ; n++ {
		value, ok := tags[topicsTag(n)]
		if !ok {
			break
		}
		for word := range strings.SplitSeq(value, " ") {
			topic, err := unescape(word)
			if err != nil {
				return Declaration{}, fmt.Errorf("tag %s, value %q: %w", topicsTag(n), value, err)
			}
			d.Topics = append(d.Topics, topic)
		}
	}
	if err := d.Validate(); err != nil {
		return Declaration{}, err
	}
	return d, nil
}

func literal(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("+-._:/@", c) >= 0
}

func escape(topic string) string {
	var b strings.Builder
	for i := range len(topic) {
		if c := topic[i]; literal(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

func unescape(word string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		c := word[i]
		switch {
		case literal(c):
			b.WriteByte(c)
		case c == '=' && i+2 < len(word):
			decoded, err := strconv.ParseUint(word[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("%q is no escape: an equals sign stands before two hexadecimal digits", word[i:i+3])
			}
			b.WriteByte(byte(decoded))
			i += 2
		default:
			return "", fmt.Errorf("%q does not stand for itself in a topic", word[i:i+1])
		}
	}
	return b.String(), nil
}
