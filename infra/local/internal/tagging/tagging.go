// Package tagging is the part of the Resource Groups Tagging API by which
// connectors find functions: the tags of all Lambda functions, in a few calls.
//
// It keeps nothing: what Lambda has is what it tells, at once, where AWS takes
// some seconds.
package tagging

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Target begins the names of the operations on the wire.
const Target = "ResourceGroupsTaggingAPI_20170126"

// The limits of GetResources (API reference).
const (
	maxPage   = 100
	maxKeys   = 50
	maxValues = 20
)

// Functions returns the tags of every Lambda function that has some, by its ARN.
type Functions func() map[string]map[string]string

// Operations are what the service answers.
func Operations(functions Functions) awswire.Operations {
	return awswire.Operations{"GetResources": awswire.Op(functions.getResources)}
}

type filter struct {
	Key    string
	Values []string
}

type tag struct{ Key, Value string }

type mapping struct {
	ResourceARN string
	Tags        []tag
}

type resources struct {
	PaginationToken        string
	ResourceTagMappingList []mapping
}

func (all Functions) getResources(ctx context.Context, in *struct {
	PaginationToken     string
	ResourceTypeFilters []string
	ResourcesPerPage    *int
	TagFilters          []filter
}) (*resources, error) {
	if err := awswire.Authorize(ctx, awswire.Access{Action: "tag:GetResources", Resource: "*"}); err != nil {
		return nil, err
	}
	if !slices.Equal(in.ResourceTypeFilters, []string{"lambda:function"}) {
		return nil, invalid("ResourceTypeFilters %q is not supported by the local environment: it knows the tags of lambda:function", in.ResourceTypeFilters)
	}
	if len(in.TagFilters) > maxKeys {
		return nil, invalid("TagFilters has %d keys, AWS takes %d", len(in.TagFilters), maxKeys)
	}
	for _, f := range in.TagFilters {
		if f.Key == "" || len(f.Values) > maxValues {
			return nil, invalid("TagFilters: key %q with %d values: want a key, and up to %d values", f.Key, len(f.Values), maxValues)
		}
	}
	found := []mapping{}
	for arn, tags := range all() {
		if !passes(tags, in.TagFilters) {
			continue
		}
		m := mapping{ResourceARN: arn}
		for _, key := range slices.Sorted(maps.Keys(tags)) {
			m.Tags = append(m.Tags, tag{key, tags[key]})
		}
		found = append(found, m)
	}
	page, next, err := awswire.Page(found, func(m mapping) string { return m.ResourceARN }, in.PaginationToken, in.ResourcesPerPage, maxPage)
	if err != nil {
		return nil, invalid("PaginationToken or ResourcesPerPage: %v", err)
	}
	return &resources{next, page}, nil
}

// passes reports whether tags have every key that is asked for, with one of its
// values if there are any.
func passes(tags map[string]string, filters []filter) bool {
	for _, f := range filters {
		value, has := tags[f.Key]
		if !has || len(f.Values) > 0 && !slices.Contains(f.Values, value) {
			return false
		}
	}
	return true
}

func invalid(format string, args ...any) *awswire.Error {
	return awswire.Errorf("InvalidParameterException", "%s", fmt.Sprintf(format, args...))
}
