package scaffold

import (
	"go/token"
	"regexp"
	"strings"
	"unicode"

	"github.com/penstock-dev/penstock/events"
)

// packageName makes a package's name of a source, whose dots and hyphens a
// package's cannot have: core-banking becomes corebanking.
func packageName(source string) string {
	name := strings.NewReplacer(".", "", "-", "").Replace(source)
	switch {
	case token.IsKeyword(name),
		name == "main", name == "internal", name == "vendor", name == "testdata", // folders that the go command treats otherwise
		strings.HasSuffix(name, "test"): // a package of helpers for tests, whose types are none of the project's
		name += "events"
	}
	return name
}

var version = regexp.MustCompile(`\.v([0-9]+)$`)

// goName makes a Go type's name of an event type's: words become capitalized,
// and the source, which the package's name says already, is left out.
// SAVINGS_DEPOSIT.v2 becomes DepositV2.
func goName(t events.Type, pkg string) string {
	name := version.ReplaceAllString(t.Name, "_V$1")
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '_' })
	if len(words) > 1 && strings.EqualFold(words[0], pkg) && unicode.IsLetter(rune(words[1][0])) && !version.MatchString("."+strings.ToLower(words[1])) {
		words = words[1:]
	}
	var b strings.Builder
	for _, word := range words {
		if word == strings.ToUpper(word) && !initialisms[word] {
			word = strings.ToLower(word)
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// initialisms keep their case in Go names ("Go Code Review Comments").
var initialisms = map[string]bool{
	"API": true, "DNS": true, "HTTP": true, "HTTPS": true, "IBAN": true, "ID": true, "IP": true,
	"ISIN": true, "JSON": true, "SMS": true, "SQL": true, "UI": true, "URL": true, "UUID": true, "XML": true,
}
