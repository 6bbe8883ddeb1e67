package outboxsql

import (
	"encoding/json"
	"strings"

	"github.com/penstock-dev/penstock/events"
)

var arrayEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// arrayLiteral writes a PostgreSQL array, which every driver can send as text
// ("Array Input and Output Syntax").
func arrayLiteral(elements []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, e := range elements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		_, _ = arrayEscaper.WriteString(&b, e)
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// jsonRows writes entries as SQLite's json_each reads them: [[id, type, detail], …].
func jsonRows(entries []events.Entry) string {
	rows := make([][3]string, len(entries))
	for i, e := range entries {
		rows[i] = [3]string{e.ID, e.Type.String(), string(e.Detail)}
	}
	return jsonText(rows)
}

// jsonText encodes what cannot fail to be: strings and numbers.
func jsonText(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return b.String()
}
