package webhook

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
)

const redacted = "[redacted]"

// redactor takes secrets out of what an endpoint has answered: some repeat the
// request.
type redactor struct {
	forms    []string // what is replaced, the longest parts first
	replacer *strings.Replacer
}

// run is a part of a secret that every way of escaping leaves as it is. A shorter
// one is no help to anybody.
var run = regexp.MustCompile(`[0-9A-Za-z]{8,}`)

func newRedactor(secrets []string) *redactor {
	r := &redactor{}
	add := func(form string) {
		if form != "" && !slices.Contains(r.forms, form) {
			r.forms = append(r.forms, form)
		}
	}
	for _, s := range secrets {
		add(s)
	}
	for _, s := range secrets {
		key := strings.TrimPrefix(s, "whsec_") // it is as good as with its prefix
		add(key)
		for _, part := range run.FindAllString(key, -1) {
			add(part)
		}
		// In base64, what is the same wherever the secret begins in a group of three
		// bytes.
		for skip := range min(3, len(s)) {
			whole := s[skip:]
			for _, part := range run.FindAllString(base64.RawStdEncoding.EncodeToString([]byte(whole[:len(whole)/3*3])), -1) {
				add(part)
			}
		}
	}
	var pairs []string
	for _, form := range r.forms {
		pairs = append(pairs, form, redacted)
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

// text is a text of up to a number of bytes, without secrets. cut says that it is
// itself only the start of one.
func (r *redactor) text(text string, cut bool, most int) (clean string, truncated bool) {
	text = r.replacer.Replace(strings.ToValidUTF8(text, "\uFFFD"))
	if cut {
		text = r.trim(text)
	}
	if len(text) <= most {
		return text, cut
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end], true
}

// response leaves in an attempt what an endpoint has answered.
func (r *redactor) response(into *deliveries.Response, contentType string, body []byte, cut bool) {
	into.ContentType, _ = r.text(contentType, false, maxContentType)
	into.Body, into.Truncated = r.text(string(body), cut, deliveries.MaxResponse)
}

const (
	maxContentType = 256
	maxError       = 1024 // bytes of an error's text
)

// error is an error without secrets: one of package net/http may repeat what an
// endpoint has sent. It wraps what err does.
func (r *redactor) error(err error) error {
	text, _ := r.text(err.Error(), false, maxError)
	return &redactedError{text, err}
}

type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }

// trim takes the beginning of a secret from the end of a text that was cut.
func (r *redactor) trim(text string) string {
	longest := 0
	for _, form := range r.forms {
		for n := min(len(form)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, form[:n]) {
				longest = n
			}
		}
	}
	return text[:len(text)-longest]
}
