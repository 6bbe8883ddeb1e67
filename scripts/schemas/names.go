package schemas

import (
	"fmt"
	"go/token"
	"path"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// names gives the Go types of one source's events the names that they have in
// its schemas and interfaces. That is the Go type's own, and the package's
// before it where two packages have a type of that name.
type names struct {
	of    map[reflect.Type]string
	types map[string]reflect.Type
	taken map[string]bool
}

func newNames() *names {
	return &names{map[reflect.Type]string{}, map[string]reflect.Type{}, map[string]bool{}}
}

// add names a type, unless it has a name.
func (n *names) add(t reflect.Type) {
	if n.of[t] != "" {
		return
	}
	name := plainName(t)
	name = n.take(name, exported(identifier(path.Base(t.PkgPath())))+exported(name))
	n.of[t], n.types[name] = name, t
}

// take returns the first of some names that is free, or the last with a number.
// Names that differ in the first letter's case only are the same: interfaces
// begin with a capital.
func (n *names) take(candidates ...string) string {
	name := candidates[0]
	for i := 1; n.taken[exported(name)]; i++ {
		if i < len(candidates) {
			name = candidates[i]
		} else {
			name = fmt.Sprint(candidates[len(candidates)-1], i)
		}
	}
	n.taken[exported(name)] = true
	return name
}

// plainName is a type's name without the packages of its type arguments:
// Page[example.com/shop.Item] is PageItem.
func plainName(t reflect.Type) string {
	var name strings.Builder
	for i, part := range strings.FieldsFunc(t.Name(), func(r rune) bool { return strings.ContainsRune("[],*", r) }) {
		part = identifier(part[strings.LastIndexAny(part, "./")+1:])
		if i > 0 {
			part = exported(part)
		}
		name.WriteString(part)
	}
	return name.String()
}

// identifier drops what may not stand in a name.
func identifier(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

func exported(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}

// initialisms are written in capitals in Go's names.
var initialisms = strings.Fields("ACL API ARN ASCII AWS BIC CPU CSS DNS HTML HTTP HTTPS IBAN ID IP ISIN JSON JWT SQL SSH TCP TLS TTL UDP UI UID URI URL UTC UTF8 UUID VAT XML")

// fieldName is the Go name for a field that is name in JSON: accountId is
// AccountID, row_id is RowID.
func fieldName(name string) string {
	var words []string
	word := ""
	end := func() {
		if word != "" {
			words = append(words, word)
		}
		word = ""
	}
	previous := rune(0)
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			previous = 0
			continue
		case unicode.IsUpper(r) && !unicode.IsUpper(previous):
			end()
		}
		word += string(r)
		previous = r
	}
	end()
	for i, w := range words {
		words[i] = exported(w)
		if upper := strings.ToUpper(w); slices.Contains(initialisms, upper) {
			words[i] = upper
		}
	}
	field := strings.Join(words, "")
	if first, _ := utf8.DecodeRuneInString(field); !unicode.IsUpper(first) {
		field = "X" + field // begins with a digit, or a letter that has no capital
	}
	return field
}

// packageName is the Go package of a source's interfaces.
func packageName(source string) string {
	name := strings.NewReplacer(".", "", "-", "").Replace(source)
	if token.IsKeyword(name) || name == "main" || name == "init" {
		name += "events"
	}
	return name
}
