package eventbridge

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

type tag struct{ Key, Value string }

// maxTags is how many tags a bus or a rule takes ("Tag your AWS resources").
const maxTags = 50

// checkTags checks tags and returns them by key; nil for none.
func checkTags(list []tag) (map[string]string, error) {
	var out map[string]string
	for _, t := range list {
		if n := len(t.Key); n < 1 || n > 128 || len(t.Value) > 256 || strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, awswire.Errorf("ValidationException", "tag %q: a key has 1 to 128 characters and does not begin with aws:, a value has at most 256", t.Key)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[t.Key] = t.Value
	}
	if len(out) > maxTags {
		return nil, awswire.Errorf("ValidationException", "a resource takes %d tags (got %d)", maxTags, len(out))
	}
	return out, nil
}

// tagged finds what an ARN names: a bus (rule is empty then) or a rule.
func (s *Service) tagged(arn string) (bus, rule string, err error) {
	if name, ok := strings.CutPrefix(arn, s.BusARN("")); ok {
		return name, "", nil
	}
	name, ok := strings.CutPrefix(arn, s.RuleARN(defaultBus, ""))
	if !ok {
		return "", "", awswire.Errorf("ResourceNotFoundException", "resource %q: no bus and no rule of this account and region has this ARN", arn)
	}
	if i := strings.LastIndex(name, "/"); i >= 0 {
		return name[:i], name[i+1:], nil
	}
	return defaultBus, name, nil
}

// changeTags replaces the tags of a bus or a rule by what edit makes of them.
func (s *Service) changeTags(arn string, edit func(map[string]string)) error {
	bus, rule, err := s.tagged(arn)
	if err != nil {
		return err
	}
	edited := func(tags map[string]string) (map[string]string, error) {
		out := maps.Clone(tags)
		if out == nil {
			out = map[string]string{}
		}
		edit(out)
		if len(out) > maxTags {
			return nil, awswire.Errorf("ValidationException", "%s: a resource takes %d tags (it would have %d)", arn, maxTags, len(out))
		}
		return out, nil
	}
	if rule == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		b, ok := s.buses[bus]
		if !ok {
			return noSuchBus(bus)
		}
		changed := b.Bus
		if changed.Tags, err = edited(b.Tags); err != nil {
			return err
		}
		return s.saveBus(b, changed)
	}
	return s.change(bus, rule, func(r *Rule) error {
		r.Tags, err = edited(r.Tags)
		return err
	})
}

func (s *Service) tagResource(ctx context.Context, in *struct {
	ResourceARN string
	Tags        []tag
}) (*none, error) {
	if err := authorize(ctx, "TagResource", in.ResourceARN); err != nil {
		return nil, err
	}
	tags, err := checkTags(in.Tags)
	if err != nil {
		return nil, err
	}
	return &none{}, s.changeTags(in.ResourceARN, func(all map[string]string) { maps.Copy(all, tags) })
}

func (s *Service) untagResource(ctx context.Context, in *struct {
	ResourceARN string
	TagKeys     []string
}) (*none, error) {
	if err := authorize(ctx, "UntagResource", in.ResourceARN); err != nil {
		return nil, err
	}
	return &none{}, s.changeTags(in.ResourceARN, func(all map[string]string) {
		for _, key := range in.TagKeys {
			delete(all, key)
		}
	})
}

func (s *Service) listTagsForResource(ctx context.Context, in *struct{ ResourceARN string }) (*struct{ Tags []tag }, error) {
	if err := authorize(ctx, "ListTagsForResource", in.ResourceARN); err != nil {
		return nil, err
	}
	busName, ruleName, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	var tags map[string]string
	if ruleName != "" {
		r, err := s.rule(busName, ruleName)
		if err != nil {
			return nil, err
		}
		tags = r.Tags
	} else {
		s.mu.RLock()
		defer s.mu.RUnlock()
		b, ok := s.buses[busName]
		if !ok {
			return nil, noSuchBus(busName)
		}
		tags = b.Tags
	}
	out := &struct{ Tags []tag }{[]tag{}}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out.Tags = append(out.Tags, tag{key, tags[key]})
	}
	return out, nil
}
