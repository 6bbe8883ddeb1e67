package subscriptions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// Difference is one in which a subscription differs from what its manifest says.
type Difference struct {
	What     string `json:"what"`               // such as "batchSize", in the manifest's words
	Manifest string `json:"manifest,omitempty"` // what the manifest says
	Deployed string `json:"deployed,omitempty"` // what there is
}

// String says it for people.
func (d Difference) String() string {
	if d.Manifest == "" && d.Deployed == "" {
		return d.What
	}
	return fmt.Sprintf("%s is %s, the manifest says %s", d.What, d.Deployed, d.Manifest)
}

// What a Difference is about that is no setting.
const (
	Missing  = "missing: in the manifest, and not deployed"
	Orphaned = "orphaned: deployed, and in no manifest"
)

// drift is what mapping and rule have otherwise than the manifest.
func (l *Live) drift(rules map[string]eventtypes.Rule) []Difference {
	m := l.Manifest
	switch {
	case m == nil:
		return []Difference{{What: Orphaned}}
	case l.Deleted() && l.Mapping != nil:
		return []Difference{{What: "event source mapping", Manifest: "deleted", Deployed: l.Mapping.State}}
	case l.Deleted():
		return nil
	case l.Mapping == nil:
		return []Difference{{What: Missing}}
	}
	var out []Difference
	number := func(what string, manifest, deployed int) {
		if manifest != deployed {
			out = append(out, Difference{what, strconv.Itoa(manifest), strconv.Itoa(deployed)})
		}
	}
	number("batchSize", m.BatchSize, l.Mapping.BatchSize)
	number("batchWindowSeconds", m.BatchWindowSeconds, l.Mapping.WindowSeconds)
	number("maxConcurrency", l.MaxConcurrency, l.Mapping.MaxConcurrency)
	out = append(out, l.enabledDrift()...)
	rule, ok := rules[l.Rule]
	switch {
	case !ok:
		out = append(out, Difference{"rule", string(m.Pattern()), "missing"})
	case rule.State == eventtypes.RuleStateDisabled:
		out = append(out, Difference{"rule", "enabled", "disabled: it does not fill the queue"})
	case !sameJSON(m.Pattern(), []byte(aws.ToString(rule.EventPattern))):
		out = append(out, Difference{"filter", compact(m.Pattern()), compact([]byte(aws.ToString(rule.EventPattern)))})
	}
	return out
}

// enabledDrift compares the mapping with the manifest and with the record of who
// stopped the subscription, which goes before the manifest.
func (l *Live) enabledDrift() []Difference {
	runs := l.Mapping.State != Disabled && l.Mapping.State != "disabling"
	says := l.Manifest.Enabled == nil || *l.Manifest.Enabled
	switch {
	case l.Stop != nil && runs:
		return []Difference{{"event source mapping", "nothing, and it was stopped by " + l.Stop.By, l.Mapping.State}}
	case l.Stop == nil && runs != says:
		return []Difference{{"enabled", strconv.FormatBool(says), strconv.FormatBool(runs)}}
	}
	return nil
}

// queueDrift is what the queue has otherwise than the manifest.
func (l *Live) queueDrift(attributes map[string]string) []Difference {
	if l.Manifest == nil || l.Mapping == nil {
		return nil
	}
	if attributes == nil {
		return []Difference{{"queue", "there", "missing"}}
	}
	var policy struct {
		MaxReceiveCount json.Number `json:"maxReceiveCount"` // SQS has taken text, too
	}
	if err := json.Unmarshal([]byte(attributes["RedrivePolicy"]), &policy); err != nil {
		return []Difference{{"maxReceiveCount", strconv.Itoa(l.Manifest.MaxReceiveCount), "none: the queue has no DLQ"}}
	}
	if want := strconv.Itoa(l.Manifest.MaxReceiveCount); policy.MaxReceiveCount.String() != want {
		return []Difference{{"maxReceiveCount", want, policy.MaxReceiveCount.String()}}
	}
	return nil
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func compact(data []byte) string {
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		return string(data)
	}
	return out.String()
}
