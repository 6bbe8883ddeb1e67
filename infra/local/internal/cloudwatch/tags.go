package cloudwatch

import (
	"context"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// maxTags is how many tags an alarm takes ("TagResource", Amazon CloudWatch API
// reference).
const maxTags = 50

// tagged authorizes an action with the alarm of an ARN, and returns its name.
func (s *Service) tagged(ctx context.Context, action, arn string) (string, error) {
	if err := awswire.Authorize(ctx, awswire.Access{Action: "cloudwatch:" + action, Resource: arn}); err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(arn, s.ARN(""))
	if !ok || !s.HasAlarm(name) {
		e := awswire.Errorf("ResourceNotFoundException", "there is no alarm %s", arn)
		e.Status = 404
		return "", e
	}
	return name, nil
}

type tagList struct{ Tags []Tag }

func (s *Service) listTagsForResource(ctx context.Context, in *struct{ ResourceARN string }) (*tagList, error) {
	name, err := s.tagged(ctx, "ListTagsForResource", in.ResourceARN)
	if err != nil {
		return nil, err
	}
	a, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return &tagList{append([]Tag{}, a.Tags...)}, nil
}

func (s *Service) tagResource(ctx context.Context, in *struct {
	ResourceARN string
	Tags        []Tag
}) (*none, error) {
	name, err := s.tagged(ctx, "TagResource", in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &none{}, s.setTags(name, func(tags []Tag) []Tag {
		for _, t := range in.Tags {
			tags = append(slices.DeleteFunc(tags, func(has Tag) bool { return has.Key == t.Key }), t)
		}
		return tags
	})
}

func (s *Service) untagResource(ctx context.Context, in *struct {
	ResourceARN string
	TagKeys     []string
}) (*none, error) {
	name, err := s.tagged(ctx, "UntagResource", in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &none{}, s.setTags(name, func(tags []Tag) []Tag {
		return slices.DeleteFunc(tags, func(t Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	})
}

func (s *Service) setTags(name string, edit func([]Tag) []Tag) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.alarms[name]
	if is == nil {
		return noSuchAlarm(name)
	}
	next := *is
	next.Tags = edit(slices.Clone(is.Tags))
	if err := checkTags(next.Tags); err != nil {
		return err
	}
	return s.save(&next)
}

func checkTags(tags []Tag) error {
	if len(tags) > maxTags {
		return invalid("an alarm has %d tags at most (got %d)", maxTags, len(tags))
	}
	for _, t := range tags {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return invalid("tag %q: want a key of 1 to 128 characters that does not begin with aws:, and a value of 256 at most", t.Key)
		}
	}
	return nil
}
