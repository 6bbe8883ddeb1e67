package webhook

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
)

const redacted = "[redacted]"

// redactor takes secrets out of what an endpoint has answered: some repeat the
// request.
type redactor struct {
	forms    []string // the secrets, as they are and as they may be written
	replacer *strings.Replacer
}

func newRedactor(secrets []string) *redactor {
	r := &redactor{}
	for _, s := range secrets {
		if s == "" {
			continue
		}
		// The key without its prefix is as good as with it.
		for _, form := range []string{s, strings.TrimPrefix(s, "whsec_")} {
			for _, written := range []string{form, strings.ReplaceAll(form, "/", `\/`), url.QueryEscape(form), url.PathEscape(form)} {
				if !slices.Contains(r.forms, written) {
					r.forms = append(r.forms, written)
				}
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

// start is the start of a response's body, as the log keeps it. cut says that body
// is itself only the start.
func (r *redactor) start(body []byte, cut bool) (text string, truncated bool) {
	text = r.replacer.Replace(strings.ToValidUTF8(string(body), "\uFFFD"))
	if cut {
		text = r.trim(text)
	}
	if len(text) <= deliveries.MaxResponse {
		return text, cut
	}
	end := deliveries.MaxResponse
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end], true
}

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
