package sqs

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// validText reports whether a text holds only characters that SQS takes
// ("SendMessage", Amazon SQS API reference).
func validText(s string) bool {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r == 0xFFFE || r == 0xFFFF { // Go's runes have no surrogates
			return false
		}
		i += n
	}
	return true
}

func checkText(what, s string) error {
	if validText(s) {
		return nil
	}
	return awswire.Errorf("InvalidMessageContents", "%s: Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF", what)
}

// What a message's own attributes may be ("Amazon SQS message metadata").
const (
	maxMessageAttributes = 10
	maxAttributeName     = 256
	maxAttributeType     = 256
)

var validAttributeName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func checkAttributes(attributes map[string]MessageAttribute) error {
	if n := len(attributes); n > maxMessageAttributes {
		return awswire.Errorf("InvalidParameterValue", "Number of message attributes [%d] exceeds the allowed maximum [%d]", n, maxMessageAttributes)
	}
	for name, a := range attributes {
		lower := strings.ToLower(name)
		switch {
		case len(name) > maxAttributeName:
			return awswire.Errorf("InvalidParameterValue", "message attribute %q: a name has at most %d characters (got %d)", name, maxAttributeName, len(name))
		case !validAttributeName.MatchString(name):
			return awswire.Errorf("InvalidParameterValue", "message attribute %q: a name consists of A-Z, a-z, 0-9, underscore, hyphen and period", name)
		case strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
			return awswire.Errorf("InvalidParameterValue", "message attribute %q: a name must not begin or end with a period, or have two in succession", name)
		case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
			return awswire.Errorf("InvalidParameterValue", "message attribute %q: the prefixes AWS. and Amazon. are reserved", name)
		}
		if err := a.check(name); err != nil {
			return err
		}
	}
	return nil
}

func (a MessageAttribute) check(name string) error {
	if len(a.DataType) > maxAttributeType {
		return awswire.Errorf("InvalidParameterValue", "message attribute %q: a type has at most %d characters (got %d)", name, maxAttributeType, len(a.DataType))
	}
	if err := checkText("message attribute "+strconv.Quote(name), a.DataType); err != nil {
		return err
	}
	kind, _, _ := strings.Cut(a.DataType, ".")
	switch kind {
	case "String", "Number":
		if a.StringValue == nil || *a.StringValue == "" || a.BinaryValue != nil {
			return awswire.Errorf("InvalidParameterValue", "message attribute %q: type %q needs a StringValue that is not empty, and nothing else", name, a.DataType)
		}
		if err := checkText("message attribute "+strconv.Quote(name), *a.StringValue); err != nil {
			return err
		}
		if kind == "Number" && !isNumber(*a.StringValue) {
			return awswire.Errorf("InvalidParameterValue", "message attribute %q: can't cast the value of message attribute %q to a number (got %q)", name, name, *a.StringValue)
		}
	case "Binary":
		if len(a.BinaryValue) == 0 || a.StringValue != nil {
			return awswire.Errorf("InvalidParameterValue", "message attribute %q: type %q needs a BinaryValue that is not empty, and nothing else", name, a.DataType)
		}
	default:
		return awswire.Errorf("InvalidParameterValue", "message attribute %q: type %q: want String, Number or Binary, with an optional label behind a period", name, a.DataType)
	}
	return nil
}

var number = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)

func isNumber(s string) bool { return number.MatchString(s) }

// traceHeader checks the system attributes of a message on its way in: there
// is one, AWSTraceHeader ("SendMessage", Amazon SQS API reference).
func traceHeader(attributes map[string]MessageAttribute) (string, error) {
	for name, a := range attributes {
		if name != "AWSTraceHeader" {
			return "", awswire.Errorf("InvalidParameterValue", "message system attribute %q: the only one that can be sent is AWSTraceHeader", name)
		}
		if a.DataType != "String" || a.StringValue == nil || *a.StringValue == "" || a.BinaryValue != nil {
			return "", awswire.Errorf("InvalidParameterValue", "message system attribute AWSTraceHeader: want type String and a StringValue that is not empty")
		}
		return *a.StringValue, checkText("message system attribute AWSTraceHeader", *a.StringValue)
	}
	return "", nil
}

// validGroup is what a MessageGroupId may be ("SendMessage").
var validGroup = regexp.MustCompile("^[A-Za-z0-9!-/:-@\\[-`{-~]{1,128}$")

func checkGroup(group *string) (string, error) {
	if group == nil {
		return "", nil
	}
	if !validGroup.MatchString(*group) {
		return "", awswire.Errorf("InvalidParameterValue", "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length (got %q)", *group)
	}
	return *group, nil
}

// fifoOnly refuses a parameter that is not for standard queues, as SQS does.
func fifoOnly(parameter string, value *string) error {
	if value == nil {
		return nil
	}
	return awswire.Errorf("InvalidParameterValue", "Value %s for parameter %s is invalid. Reason: The request includes a parameter that is not valid for this queue type", *value, parameter)
}
